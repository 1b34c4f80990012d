"""Compare bars that a vendor sends again, or that another vendor sends, with those of the lake."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.quality.precision import unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import polars as pl

__all__ = ["COMMON_DATES", "Agreement", "agreement", "basis_change", "unit_change"]

COMMON_DATES = 5
"""Smallest number of common dates whose closes must agree before a vendor continues the bars of another."""
_ROUNDING = 0.01
"""Largest relative difference of two closes that their rounding explains: the decimals of few closes, such as those of
a share that stands at 1.00, can be fewer than those of its prices."""
_HUNDREDFOLD = 100.0
"""Ratio between prices in a currency and in its hundredth, such as pounds and pence."""
_NEAR = 0.02
"""Largest distance from a ratio of 100, relative to it, that is still a change of unit."""
_SAME = 0.005
"""Largest difference of the logarithms of two ratios that count as one, besides the rounding of the closes."""
_REBASED = 0.04
"""Logarithm of the ratio above which closes that all differ by one ratio were rewritten, not corrected."""
_RUN = 2
"""Smallest number of closes by which a ratio is recognised that no split tells."""


@dataclass(frozen=True)
class Agreement:
    """How closes of two vendors compare.

    Attributes
    ----------
    dates
        Number of common dates.
    smallest_difference, largest_difference
        Smallest and largest relative difference of two closes; 0 without common dates.
    agrees
        Whether there are at least five common dates, and all closes agree.
    """

    dates: int
    smallest_difference: float
    largest_difference: float
    agrees: bool


def agreement(sent: pl.DataFrame, known: pl.DataFrame, *, tolerance: float) -> Agreement:
    """Return whether the closes that a vendor sends for a ticker agree with those of the lake on all common dates.

    Parameters
    ----------
    sent, known
        Bars with the columns date and close; a null close counts as none.
    tolerance
        Largest relative difference of two closes that agree, besides the rounding to the decimals of either side, of
        at most 1%.
    """
    new, old = _common(sent, known)
    if not new.size:
        return Agreement(0, 0.0, 0.0, agrees=False)
    rounding = np.minimum(0.5 * max(unit_of(new), unit_of(old)) * (1 + 1e-9), _ROUNDING * old)
    allowed = np.maximum(tolerance * old, rounding)
    agrees = new.size >= COMMON_DATES and bool((np.abs(new - old) <= allowed).all())
    differences = np.abs(new / old - 1)
    return Agreement(new.size, float(differences.min()), float(differences.max()), agrees=agrees)


def unit_change(sent: pl.DataFrame, known: pl.DataFrame) -> float | None:
    """Return 100 or 0.01 if that is about the ratio of the closes sent to those of the lake on all common dates.

    Prices as traded do not change with a split, so that such a ratio is a change of unit; None if there is none.

    Parameters
    ----------
    sent, known
        Bars with the columns date and close.
    """
    new, old = _common(sent, known)
    if not new.size:
        return None
    ratio = new / old
    for unit in (_HUNDREDFOLD, 1 / _HUNDREDFOLD):
        if (np.abs(ratio / unit - 1) <= _NEAR).all():
            return unit
    return None


def basis_change(sent: pl.DataFrame, known: pl.DataFrame, splits: Sequence[tuple[date, float]]) -> float | None:
    """Return the ratio of the closes sent to those of the lake if the vendor has recorded a split by half.

    Prices as traded do not change with a split. A vendor that adjusts its prices for one can tell it before it has
    adjusted them, or after: then what it sends of the days before the split is too high or too low by its ratio. None
    if nothing shows that.

    Parameters
    ----------
    sent, known
        Bars with the columns date and close, as traded.
    splits
        First session after each split that the vendor tells, and number of new shares for an old one.
    """
    pairs = _common_days(sent, known)
    if not pairs:
        return None
    days = np.array([day for day, _, _ in pairs], dtype="datetime64[D]")
    new, old = (np.array([pair[place] for pair in pairs]) for place in (1, 2))
    moves = np.log(new / old)
    rounding = 0.5 * unit_of(old) / np.minimum(new, old)
    steps = [(np.datetime64(day), abs(math.log(ratio))) for day, ratio in splits]
    together = [sum((step for day, step in steps if day > each), 0.0) for each in days]
    for told in (*(np.where(days < day, step, 0.0) for day, step in steps), np.array(together)):
        before = told > 0
        allowed = np.minimum(_NEAR + rounding, told / 4)
        if before.any() and (np.abs(np.abs(moves) - told) <= allowed)[before].all():
            return float(math.exp(moves[0]))
    is_same = np.abs(moves - moves[0]) <= _SAME + rounding + rounding[0]
    run = int(is_same.argmin()) if not is_same.all() else moves.size
    if abs(moves[0]) > _REBASED + rounding[0] and run >= _RUN and (np.abs(moves) <= _SAME + rounding)[run:].all():
        return float(math.exp(moves[0]))
    return None


def _common(sent: pl.DataFrame, known: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the closes of both sides on the dates that both have: those sent, and those known."""
    both = np.array([pair[1:] for pair in _common_days(sent, known)], dtype=float).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _common_days(sent: pl.DataFrame, known: pl.DataFrame) -> list[tuple[date, float, float]]:
    """Return the dates that both sides have, in order, with the close sent and the close known.

    Both have a few rows, for which a dictionary is faster than a join; and there are thousands of tickers.
    """
    before = dict(zip(known["date"].to_list(), known["close"].to_list(), strict=True))
    return sorted(
        (day, close, before[day])
        for day, close in zip(sent["date"].to_list(), sent["close"].to_list(), strict=True)
        if day in before and close is not None and 0 < close < math.inf
    )
