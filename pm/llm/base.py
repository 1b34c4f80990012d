"""Define what a language model is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Call", "Generation", "LanguageModel", "ModelInfo", "Scores"]


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
    """

    name: str
    sha256: str
    noise: float


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
    """A text that the model wrote.

    Attributes
    ----------
    text
        The text, without its end mark; cut off where the call was.
    call
        What the call took.
    """

    text: str
    call: Call


class LanguageModel(Protocol):
    """A language model in a process of its own, used by one thread at a time.

    The process that holds the model is started again once if it dies in a call; the call fails then, and so does every
    call after it dies again.
    """

    @property
    def info(self) -> ModelInfo:
        """The model."""
        ...

    def score(self, prefix: str, suffixes: Sequence[str], labels: Sequence[str], *, deadline_seconds: float) -> Scores:
        """Return the log-probability of each label as the continuation of prefix and suffix.

        The prefix is read once for all suffixes. A label of several tokens has the sum of their log-probabilities.

        Parameters
        ----------
        prefix
            What all questions begin with.
        suffixes
            What each question ends with. Marks of a chat, such as the end of a message, are plain text in it.
        labels
            Texts that could follow; one token each is fastest.
        deadline_seconds
            Time after which the call ends, within a token's time.

        Raises
        ------
        ModelError
            The question exceeds the context of the model, or the process that holds it died.
        """
        ...

    def generate(
        self, prompt: str, *, max_tokens: int, seed: int, deadline_seconds: float, grammar: str | None = None
    ) -> Generation:
        """Return the continuation of a prompt.

        Parameters
        ----------
        prompt
            The whole prompt, as plain text.
        max_tokens
            Largest number of tokens to write.
        seed
            Seed of what is drawn; equal calls write equal texts.
        deadline_seconds
            Time after which the call ends, within a token's time.
        grammar
            Grammar in GBNF that the text must follow; None for none.

        Raises
        ------
        ModelError
            The prompt exceeds the context of the model, the grammar is not one, or the process that holds it died.
        """
        ...
