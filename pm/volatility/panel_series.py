"""One ticker as the panel model sees it: regressors of its volatility on every session, in units of its own mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.volatility.averages import exponential_mean
from pm.volatility.base import SMALLEST_SIGMA

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray
    from pm.volatility.session_variance import SessionVariances

__all__ = ["KINDS", "MIN_RETURNS", "NODES", "REGRESSORS", "PanelSeries", "panel_series"]

NODES = (1, 5, 20, 60)
"""Numbers of sessions over which the panel model is fitted; steps between them are interpolated."""

REGRESSORS = ("constant", "day", "week", "month", "half_year", "falls")
"""Names of a ticker's own regressors: logarithms of exponential means of its moves with mean ages of 1, 5, 25 and 125
sessions, relative to their expanding mean, and the share of falls in its recent squared returns less ½."""

KINDS = ("close", "range")
"""What moves are read from. A range tells more of a session than a return does, so that each kind has equations of its
own."""

MIN_RETURNS = 60
"""Number of returns from which the panel model knows a ticker."""

_MEAN_AGES = (1.0, 5.0, 25.0, 125.0)
_FALLS_MEAN_AGE = 3.0
_SMALLEST_RATIO = 0.1
"""Smallest ratio of a mean of moves to the expanding mean: where a price does not move for a while it is 0, whose
logarithm is infinite."""


@dataclass(frozen=True)
class PanelSeries:
    """A ticker's series with the regressors of the panel model.

    Attributes
    ----------
    returns
        Log returns, oldest first.
    days
        Days since 1970-01-01 of the returns.
    log_ratio
        Log of the mean move of the next sessions, relative to the expanding mean, shape (returns, nodes); NaN where it
        is not known yet. A move is the root of a session's variance, |return| where only closes are known.
    level
        Expanding mean of absolute returns: the volatility to which all ratios are relative.
    regressors
        Values of `REGRESSORS` after each session, shape (returns, regressors).
    begin
        Place of the first return after which the ticker is modelled.
    kind
        Place in `KINDS`.
    """

    returns: FloatArray
    days: IntArray
    log_ratio: FloatArray
    level: FloatArray
    regressors: FloatArray
    begin: int
    kind: int

    def known(self, node: int, first_day: int) -> slice:
        """Return the places from a day on whose outcome over `NODES[node]` sessions is known."""
        begin = max(self.begin, int(np.searchsorted(self.days, first_day)))
        return slice(begin, max(begin, len(self.returns) - NODES[node]))

    def outcomes(self, node: int) -> FloatArray:
        """Return the total log return of the `NODES[node]` sessions after each session but the last ones."""
        sums = np.concatenate([[0.0], np.cumsum(self.returns)])
        return np.asarray(sums[1 + NODES[node] :] - sums[1 : len(sums) - NODES[node]])


def panel_series(returns: FloatArray, days: IntArray, variances: SessionVariances) -> PanelSeries | None:
    """Compute a ticker's regressors, each from the sessions up to its own; None if it has too few returns.

    Parameters
    ----------
    returns
        Log returns, oldest first.
    days
        Days since 1970-01-01 of the returns.
    variances
        Variance of each session, from `series_variances`.

    References
    ----------
    F. Corsi (2009), A simple approximate long-memory model of realized volatility, J. Financial Econometrics 7.
    T. Bollerslev, B. Hood, J. Huss and L. H. Pedersen (2018), Risk everywhere: modeling and managing volatility, Review
    of Financial Studies 31 (exponential means, relative to each asset's own mean).
    L. Forsberg and E. Ghysels (2007), Why do absolute returns predict volatility so well?, J. Financial Econometrics 5.
    """
    count = len(returns)
    numbers = np.arange(1, count + 1)
    squares = returns**2
    level = np.cumsum(np.abs(returns)) / numbers
    moves = np.sqrt(variances.values)
    begin = max(MIN_RETURNS - 1, int(np.argmax(level >= SMALLEST_SIGMA)))
    if count <= begin or not level[begin:].min() >= SMALLEST_SIGMA:
        return None
    tiny = np.finfo(np.float64).tiny
    mean = np.maximum(np.cumsum(moves) / numbers, tiny)
    averages = [np.log(np.maximum(exponential_mean(moves, age) / mean, _SMALLEST_RATIO)) for age in _MEAN_AGES]
    falls = exponential_mean(np.where(returns < 0.0, squares, 0.0), _FALLS_MEAN_AGE)
    both = exponential_mean(squares, _FALLS_MEAN_AGE)
    share = np.where(both > tiny, falls / np.maximum(both, tiny), 0.5) - 0.5
    sums = np.concatenate([[0.0], np.cumsum(moves)])
    log_ratio = np.full((count, len(NODES)), np.nan)
    for place, node in enumerate(NODES):
        if count > node:
            ahead = (sums[1 + node :] - sums[1 : count + 1 - node]) / node
            log_ratio[: count - node, place] = np.log(np.maximum(ahead / mean[: count - node], _SMALLEST_RATIO))
    return PanelSeries(
        returns,
        days,
        log_ratio,
        level,
        np.column_stack([np.ones(count), *averages, share]),
        begin,
        int(variances.from_ranges),
    )
