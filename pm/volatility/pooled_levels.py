"""Levels of quantiles that tickers learn from each other's past outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.tables.quantiles import QUANTILES

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray

__all__ = ["PooledLevels", "corrected_levels", "level_counts", "no_counts", "pooled_levels"]

_BINS = 200
"""Number of bins of equal width of the levels of outcomes."""
_PRIOR_OUTCOMES = 100.0
"""Number of outcomes of a ticker, of windows that do not overlap, at which pooled levels have half of their weight."""
_PRIOR_TICKERS = 3.0
"""Number of tickers at which they have half of it: tickers move together, so that more of them add little."""
_OWN_SHARE = 0.25
"""Share of a ticker's own correction that is used where there are no others to learn from."""


@dataclass(frozen=True)
class PooledLevels:
    """Levels at which quantiles held their nominal share over all tickers.

    Attributes
    ----------
    levels
        Level of each of `QUANTILES` at each step, shape (horizon, quantiles).
    weight
        Weight of these levels at each step, from 0 to 1; it grows with the number of outcomes and tickers.
    """

    levels: FloatArray
    weight: FloatArray


def no_counts(horizon: int) -> IntArray:
    """Return counts of no outcome, shape (horizon, bins)."""
    return np.zeros((horizon, _BINS), dtype=np.int64)


def level_counts(levels: FloatArray) -> IntArray:
    """Return the number of outcomes of each step in each bin of their level, shape (horizon, bins).

    Counts of tickers can be added in any order.

    Parameters
    ----------
    levels
        Level of each outcome in its forecast distribution, shape (origins, horizon); NaN where not known yet.
    """
    counts = no_counts(levels.shape[1])
    for step, own in enumerate(levels.T):
        known = own[np.isfinite(own)]
        counts[step] = np.bincount(np.minimum((known * _BINS).astype(np.int64), _BINS - 1), minlength=_BINS)
    return counts


def pooled_levels(counts: IntArray, tickers: int, *, stride: int) -> PooledLevels:
    """Return the levels below which the nominal shares of all tickers' past outcomes fell, and their weight.

    Parameters
    ----------
    counts
        Sum of `level_counts` over tickers.
    tickers
        Number of tickers that have outcomes.
    stride
        Sessions from one origin to the next.
    """
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    levels = np.tile(np.asarray(QUANTILES), (len(counts), 1))
    total = counts.sum(axis=1)
    for step, own in enumerate(counts):
        if total[step]:
            reached = np.concatenate([[0.0], np.cumsum(own)]) / total[step]
            rising = np.concatenate([[True], np.diff(reached) > 0.0])
            levels[step] = np.interp(QUANTILES, reached[rising], edges[rising])
    independent = total / max(tickers, 1) * np.minimum(1.0, stride / np.arange(1, len(counts) + 1))
    weight = independent / (independent + _PRIOR_OUTCOMES) * tickers / (tickers + _PRIOR_TICKERS)
    return PooledLevels(levels, weight)


def corrected_levels(own: FloatArray, pooled: PooledLevels) -> FloatArray:
    """Return the levels at which a ticker's quantiles are read, shape (horizon, quantiles).

    They are the nominal ones, moved by the pooled correction times its weight, and by a quarter of the ticker's own
    times the rest. A ticker alone has too few outcomes to learn from without following noise.

    Parameters
    ----------
    own
        Levels learnt from the ticker's own outcomes, shape (horizon, quantiles).
    pooled
        Levels of all tickers, for at least as many steps.
    """
    nominal = np.asarray(QUANTILES)
    weight = pooled.weight[: len(own), np.newaxis]
    moved = weight * (pooled.levels[: len(own)] - nominal) + (1.0 - weight) * _OWN_SHARE * (own - nominal)
    return np.asarray(np.sort(nominal + moved, axis=1))
