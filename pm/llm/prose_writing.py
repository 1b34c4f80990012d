"""Let a language model that has proved itself write about a ticker, and keep only what the cells say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.errors import PmError
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

_TASK = """\
Rewrite these notes about a share for an investor, in two to four sentences. Keep every number, sign and date exactly as
it is. Use only the words of the notes. Add nothing.

Notes: {notes}

Text:"""


@dataclass(frozen=True)
class Prose:
    """A text that a model wrote and every claim of which holds, with the facts behind its numbers and words."""

    text: str
    numbers: tuple[FoundNumber, ...]
    rests_on: tuple[Fact, ...]


def prompt_for(sheet: FactSheet) -> str:
    """Return what a model is asked: the clauses of a ticker as notes."""
    notes = " ".join(clause.text for clause in (opening_of(sheet), *clauses_of(sheet)))
    return _TASK.format(notes=notes)


def write_prose(model: LanguageModel, sheet: FactSheet, *, call_seconds: float, tries: int = TRIES) -> Prose | str:
    """Return a text that the model wrote about a ticker, or why none of its texts was kept, in a few words.

    Parameters
    ----------
    call_seconds
        Longest time of each text.
    tries
        Largest number of texts.
    """
    problem = "it wrote nothing"
    for seed in range(tries):
        try:
            written = model.generate(
                [prompt_for(sheet)], max_tokens=MAX_TOKENS, seed=seed, deadline_seconds=call_seconds
            )
        except PmError as error:
            return error.what.rstrip(".")
        text = " ".join(written.text.split())
        if not written.call.is_complete:
            problem = "it did not end in time"
        elif text:
            reading = read_text(text, sheet)
            if not reading.problems:
                return Prose(text, reading.numbers, reading.rests_on)
            problem = reading.problems[0]
    return problem
