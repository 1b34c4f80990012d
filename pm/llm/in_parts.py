"""Ask many questions in calls that are each small enough to end in time, and ask again what a call did not reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.llm.record import Recorder

__all__ = ["score_in_parts"]

_BATCH = 8
"""Number of questions of a call: a fraction of a second of one core, so that a busy machine ends it in time too."""
_FRUITLESS = 2
"""Number of calls, one after another, that may reach nothing before the rest is given up."""


def score_in_parts(
    recorder: Recorder,
    role: str,
    prefix: str,
    suffixes: Sequence[str],
    labels: Sequence[str],
    *,
    deadline_seconds: float,
) -> list[Sequence[float] | None]:
    """Return the log-probability of each label after each suffix; see `LanguageModel.score`.

    Parameters
    ----------
    role
        What the calls are recorded as.
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
        answer = recorder.score(
            role, prefix, [suffixes[place] for place in places], labels, deadline_seconds=deadline_seconds
        )
        left = []
        for place, values in zip(places, answer.values, strict=True):
            found[place] = values
            if values is None:
                left.append(place)
        fruitless = fruitless + 1 if len(left) == len(places) else 0
        if left:
            parts.append(left)
    return found
