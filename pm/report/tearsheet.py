"""Render a tearsheet: what an account, a trial or a ticker made, beside its benchmarks, and what that proves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.report.proof import PROOF_WORDS
from pm.report.render import environment
from pm.report.returns import ReturnSeries, describe, rolling
from pm.validation.verdicts import judge_trials

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

__all__ = ["Tearsheet", "judged", "render_tearsheet"]


@dataclass(frozen=True)
class Tearsheet:
    """What a tearsheet shows.

    Attributes
    ----------
    kind
        'account', 'trial' or 'ticker'.
    series
        Returns by session, at least one.
    others
        Returns of what they are compared with.
    facts
        Pairs of a name and a text about what was done.
    sources
        Pairs of what and the query that gives it.
    made_on
        Present day (UTC).
    verdict
        A word of vocabulary `Proof`; None if it was not judged.
    reasons
        Why, in sentences.
    basis
        What the verdict rests on, in a sentence.
    """

    kind: str
    series: ReturnSeries
    others: Sequence[ReturnSeries]
    facts: Sequence[tuple[str, str]]
    sources: Sequence[tuple[str, str]]
    made_on: date
    verdict: str | None = None
    reasons: Sequence[str] = ()
    basis: str = ""


def judged(
    series: ReturnSeries, benchmark: ReturnSeries, *, trials: int, reps: int, seed: int
) -> tuple[str, tuple[str, ...]]:
    """Return whether a series is better than a benchmark beyond chance, and why, on the days that both have.

    Parameters
    ----------
    trials
        Number of series of which this one could have been picked.
    reps, seed
        Number of samples of the bootstrap, and the seed of its draws.
    """
    other = dict(zip(benchmark.dates, benchmark.returns.tolist(), strict=True))
    pairs = [
        (made, other[day]) for day, made in zip(series.dates, series.returns.tolist(), strict=True) if day in other
    ]
    excess = np.array([made - base for made, base in pairs]).reshape(-1, 1)
    found = judge_trials(excess, [0], trials=trials, reps=reps, seed=seed).of[0]
    return found.verdict.value, found.reasons


def render_tearsheet(sheet: Tearsheet) -> str:
    """Return a tearsheet as one HTML document that loads no other file and runs no script."""
    return (
        environment()
        .get_template("templates/tearsheet.html.j2")
        .render(
            sheet=sheet,
            shown=describe(sheet.series, sheet.others),
            rolled=rolling(sheet.series),
            verdict=PROOF_WORDS.get(sheet.verdict or "", "not judged"),
        )
    )
