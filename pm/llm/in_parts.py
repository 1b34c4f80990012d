"""Ask many questions in calls that are each small enough to end in time, and ask again what a call did not reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.llm.base import LanguageModel

__all__ = ["TERMS", "score_above_neutral", "score_in_parts"]

_BATCH = 8
"""Number of questions of a call: a fraction of a second of one core, so that a busy machine ends it in time too."""
TERMS = 4
"""Number of log-probabilities in a comparison of two labels, each less that of a neutral question: noise adds up."""
_FRUITLESS = 2
"""Number of calls, one after another, that may reach nothing before the rest is given up."""


def score_above_neutral(
    model: LanguageModel,
    prefix: str,
    suffixes: Sequence[str],
    neutral: str,
    labels: Sequence[str],
    *,
    deadline_seconds: float,
) -> list[Sequence[float] | None]:
    """Return how much likelier each suffix makes each label than a suffix without content does.

    Some words are likelier than others after any text (Zhao et al., 2021, Calibrate before use). A difference of two of
    these values has the noise of `TERMS` log-probabilities.

    Parameters
    ----------
    neutral
        The suffix without content.
    deadline_seconds
        Longest time of each call; see `score_in_parts`, also for what is returned and raised.
    """
    base, *answers = score_in_parts(model, prefix, [neutral, *suffixes], labels, deadline_seconds=deadline_seconds)
    return [
        None if base is None or values is None else [value - usual for value, usual in zip(values, base, strict=True)]
        for values in answers
    ]


def score_in_parts(
    model: LanguageModel,
    prefix: str,
    suffixes: Sequence[str],
    labels: Sequence[str],
    *,
    deadline_seconds: float,
) -> list[Sequence[float] | None]:
    """Return the log-probability of each label after each suffix; see `LanguageModel.score`.

    Parameters
    ----------
    model
        The model; `Recorder.as_role` returns one whose calls are written down.
    deadline_seconds
        Longest time of each call.

    Returns
    -------
    For each suffix the values; None for those that were not reached, since two calls in a row reached nothing.

    Raises
    ------
    ModelError
        The process that holds the model died, or a question exceeds the context.
    """
    found: list[Sequence[float] | None] = [None] * len(suffixes)
    parts = [list(range(begin, min(begin + _BATCH, len(suffixes)))) for begin in range(0, len(suffixes), _BATCH)]
    parts.reverse()
    fruitless = 0
    while parts and fruitless < _FRUITLESS:
        places = parts.pop()
        answer = model.score(prefix, [suffixes[place] for place in places], labels, deadline_seconds=deadline_seconds)
        left = []
        for place, values in zip(places, answer.values, strict=True):
            found[place] = values
            if values is None:
                left.append(place)
        fruitless = fruitless + 1 if len(left) == len(places) else 0
        if left:
            parts.append(left)
    return found
