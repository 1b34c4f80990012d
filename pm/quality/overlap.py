"""Compare bars that a vendor sends again, or that another vendor sends, with those of the lake."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.quality.precision import unit_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COMMON_DATES", "Agreement", "agreement", "unit_change"]

COMMON_DATES = 5
"""Smallest number of common dates whose closes must agree before a vendor continues the bars of another."""
_HUNDREDFOLD = 100.0
"""Ratio between prices in a currency and in its hundredth, such as pounds and pence."""
_NEAR = 0.02
"""Largest distance from a ratio of 100, relative to it, that is still a change of unit."""


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
        Largest relative difference of two closes that agree, besides the rounding to the decimals of either side.
    """
    new, old = _common(sent, known)
    if not new.size:
        return Agreement(0, 0.0, 0.0, agrees=False)
    allowed = np.maximum(tolerance * old, 0.5 * max(unit_of(new), unit_of(old)) * (1 + 1e-9))
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


def _common(sent: pl.DataFrame, known: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the closes of both sides on the dates that both have: those sent, and those known.

    Both have a few rows, for which a dictionary is faster than a join; and there are thousands of tickers.
    """
    before = dict(zip(known["date"].to_list(), known["close"].to_list(), strict=True))
    pairs = [
        (close, before[day])
        for day, close in zip(sent["date"].to_list(), sent["close"].to_list(), strict=True)
        if day in before and close is not None and 0 < close < math.inf
    ]
    both = np.array(pairs, dtype=float).reshape(-1, 2)
    return both[:, 0], both[:, 1]
