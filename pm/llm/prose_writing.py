"""Let a language model that has proved itself write about a ticker, and keep only what the cells say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.errors import PmError
from pm.llm.base import Message
from pm.llm.clauses import clauses_of, opening_of
from pm.llm.reading import read_text

if TYPE_CHECKING:
    from pm.llm.base import LanguageModel
    from pm.llm.facts import Fact, FactSheet
    from pm.llm.reading import FoundNumber

__all__ = ["TRIES", "WRITING_REFUSED", "Prose", "prompt_for", "write_prose"]

WRITING_REFUSED = "what the language model wrote was refused"
TRIES = 2
"""Number of texts that a model may write about a ticker before code speaks instead."""
MAX_TOKENS = 140
"""Longest text: four sentences."""

_CHAT_TOKENS = 64
"""Room for the marks of a chat, and for the words that a template puts before it."""

_TASK = """\
Rewrite these notes about a share for an investor, in two to four sentences. Keep every number, sign and date exactly as
it is. Use only the words of the notes. Add nothing.

Notes: {notes}

Text:"""


@dataclass(frozen=True)
class Prose:
    """A text that a model wrote and every claim of which holds.

    Attributes
    ----------
    text
        The text.
    numbers, rests_on
        The facts behind its numbers and its words.
    left_out
        Number of clauses, the last ones, that the model was not told, since they exceeded its context.
    """

    text: str
    numbers: tuple[FoundNumber, ...]
    rests_on: tuple[Fact, ...]
    left_out: int = 0


def prompt_for(sheet: FactSheet, kept: int | None = None) -> tuple[Message]:
    """Return what a model is asked: the clauses of a ticker as notes, in a chat.

    Parameters
    ----------
    kept
        Number of clauses after the opening one, the most important first; None for all.
    """
    notes = " ".join(clause.text for clause in (opening_of(sheet), *clauses_of(sheet)[:kept]))
    return (Message("user", _TASK.format(notes=notes)),)


def _fitting(model: LanguageModel, sheet: FactSheet) -> tuple[tuple[Message], int] | None:
    """Return a question that fits in the model's context, and the number of clauses left out; None if none fits."""
    room = model.info.context_tokens - MAX_TOKENS - _CHAT_TOKENS
    count = len(clauses_of(sheet))
    for left_out in range(count + 1):
        prompt = prompt_for(sheet, count - left_out)
        (tokens,) = model.count_tokens([prompt[0].content])
        if tokens <= room:
            return prompt, left_out
    return None


def write_prose(model: LanguageModel, sheet: FactSheet, *, call_seconds: float, tries: int = TRIES) -> Prose | str:
    """Return a text that the model wrote about a ticker, or why none of its texts was kept, in a few words.

    If not all clauses fit in the model's context, the last ones are left out.

    Parameters
    ----------
    call_seconds
        Longest time of each text.
    tries
        Largest number of texts.
    """
    problem = "it wrote nothing"
    try:
        fitting = _fitting(model, sheet)
    except PmError as error:
        return error.what.rstrip(".")
    if fitting is None:
        return f"the notes exceed its context of {model.info.context_tokens:,} tokens (llm.context_tokens)"
    prompt, left_out = fitting
    for seed in range(tries):
        try:
            written = model.generate([prompt], max_tokens=MAX_TOKENS, seed=seed, deadline_seconds=call_seconds)
        except PmError as error:
            return error.what.rstrip(".")
        text = " ".join(written.text.split())
        if not written.call.is_complete:
            problem = "it did not end in time"
        elif text:
            reading = read_text(text, sheet)
            if not reading.problems:
                return Prose(text, reading.numbers, reading.rests_on, left_out)
            problem = reading.problems[0]
    return problem
