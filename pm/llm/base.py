"""Define what a language model is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from pm.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Call", "Generation", "LanguageModel", "Message", "ModelInfo", "Prompt", "RefusedQuestionError", "Scores"]


class RefusedQuestionError(ModelError):
    """A question cannot be asked of a model, such as one that exceeds its context: asking again would not help."""


@dataclass(frozen=True)
class Message:
    """A message of a chat.

    Attributes
    ----------
    role
        Who says it.
    content
        Its text. Marks of a chat in it, such as the end of a message, are plain text.
    """

    role: Literal["system", "user", "assistant"]
    content: str


Prompt = str | tuple[Message, ...]
"""A text to continue, or a chat whose next message is to be written."""


@dataclass(frozen=True)
class ModelInfo:
    """A model that is loaded.

    Attributes
    ----------
    name
        Name, as `pm models list` shows it.
    sha256
        Hash of the file's content, in hexadecimal digits.
    noise
        Largest difference of the log-probabilities of equal calls that was measured when it was loaded, over sizes of
        batches and states of the cache. Differences within it say nothing.
    context_tokens
        Largest number of tokens of a question and its answer together.
    load_seconds
        Time that loading and measuring the noise took.
    threads
        Number of threads that it computes with.
    template_hash
        Hash of the template in which it is asked chats, in hexadecimal digits; empty if it has none.
    """

    name: str
    sha256: str
    noise: float
    context_tokens: int
    load_seconds: float
    threads: int
    template_hash: str = ""


@dataclass(frozen=True)
class Call:
    """What one call took: what `llm_calls` records of it.

    Attributes
    ----------
    prompt_hash
        Hash of the whole question, in hexadecimal digits: of equal questions to one model the answers are equal.
    prompt_tokens, output_tokens
        Number of tokens read, those of a prefix that was read before left out, and number written or scored.
    seconds_to_first, seconds
        Time from the call to the first token or score, and to the end.
    processor_seconds
        Time that the model's process computed, of all its threads together.
    memory_bytes
        Memory that the model's process held at the end of the call, the model's file included.
    deadline_seconds
        Longest time that the call was given.
    is_complete
        Whether it ended before that; a call that is cut off keeps what it has.
    """

    prompt_hash: str
    prompt_tokens: int
    output_tokens: int
    seconds_to_first: float
    seconds: float
    processor_seconds: float
    memory_bytes: int
    deadline_seconds: float
    is_complete: bool


@dataclass(frozen=True)
class Scores:
    """Log-probabilities of labels after each of some suffixes.

    Attributes
    ----------
    values
        For each suffix, the log-probability of each label; None for a suffix that was not reached in time.
    call
        What the call took.
    """

    values: Sequence[Sequence[float] | None]
    call: Call


@dataclass(frozen=True)
class Generation:
    """Texts that the model wrote.

    Attributes
    ----------
    texts
        For each prompt, the text without its end mark; cut off where the call was.
    call
        What the call took.
    """

    texts: Sequence[str]
    call: Call

    @property
    def text(self) -> str:
        """The text, of a call with one prompt."""
        (text,) = self.texts
        return text


class LanguageModel(Protocol):
    """A language model in a process of its own, used by one thread at a time.

    The process that holds the model is started again once if it dies in a call; the call fails then, and so does every
    call after it dies again.
    """

    @property
    def info(self) -> ModelInfo:
        """The model."""
        ...

    @property
    def restarts(self) -> int:
        """Number of times that the process died: above 0, what was asked is incomplete."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return the number of tokens of each text.

        Raises
        ------
        ModelError
            A text is so long that it exceeds the context in any case, or the process that holds the model died.
        """
        ...

    def score(self, prefix: str, suffixes: Sequence[str], labels: Sequence[str], *, deadline_seconds: float) -> Scores:
        """Return the log-probability of each label as the continuation of prefix and suffix.

        The prefix is read once for all suffixes. A label of several tokens has the sum of their log-probabilities.

        Parameters
        ----------
        prefix
            Text that all questions begin with.
        suffixes
            Text that each question ends with. Marks of a chat, such as the end of a message, are plain text in it.
        labels
            Texts that could follow; one token each is fastest.
        deadline_seconds
            Time after which the call ends, within a token's time.

        Raises
        ------
        ModelError
            A question is empty or exceeds the context of the model, or the process that holds it died.
        """
        ...

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_tokens: int,
        seed: int,
        deadline_seconds: float,
        grammar: str | None = None,
        temperature: float = 0.7,
    ) -> Generation:
        """Return the continuations of prompts, which are written side by side: much faster than one after another.

        Parameters
        ----------
        prompts
            Whole prompts. What they have in common at their beginning is read once. A text is plain; a chat is
            written in the model's own template, or in that of the settings.
        max_tokens
            Largest number of tokens to write for each prompt.
        seed
            Seed of what is drawn; equal calls write equal texts.
        deadline_seconds
            Time after which the call ends, within a token's time.
        grammar
            Grammar in GBNF that the texts must follow; None for none.
        temperature
            Randomness of what is drawn: 0 takes the most probable token each time.

        Raises
        ------
        ModelError
            A prompt is empty or exceeds the context of the model, the model has no template for a chat, the grammar is
            not one, or the process that holds the model died.
        """
        ...
