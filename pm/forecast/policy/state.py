"""States of a series that a policy distinguishes: recent volatility, age of the last change, residual autocorrelation.

The levels of recent volatility (calm, normal, wild) are not the volatility room's regimes (low, middle, high). A level
ranks the realised volatility of the last 20 returns among those of the last 500 bars, and needs no fitted model, so
that it is known at every bar of the training. A regime ranks the conditional volatility of fitted GARCH models among
those of the last 250 sessions, and conformal levels are learnt for each. Stored policies name the levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pm.forecast.policy.actions import FIXED

if TYPE_CHECKING:
    from pm.forecast.policy.aligned import TickerView
    from pm.typing import FloatArray

__all__ = ["STATES", "State", "state_at", "volatility_percentiles"]

VOLATILITY_BARS = 20
"""Number of returns that a realised volatility is computed from (one month)."""

COMPARED_BARS = 500
"""Number of bars whose realised volatilities are compared (two years).

A panel of a thousand bars then gives the same levels as a longer one.
"""

RECENT_BARS, SETTLED_BARS = 60, 250
"""Bars since the last change below which it is recent, and from which it is settled."""

WEAK_AUTOCORRELATION, STRONG_AUTOCORRELATION = 0.3, 0.6
"""First autocorrelations of the residual up to which it is weak, and above which it is strong, as for a random walk."""

VOLATILITY_LEVELS = ("calm", "normal", "wild")
CHANGE_AGES = ("recent", "settling", "settled")
AUTOCORRELATIONS = ("none", "some", "much")


@dataclass(frozen=True)
class State:
    """The state of a series at a bar.

    Attributes
    ----------
    volatility
        Level of the volatility of the last 20 returns: its tercile among those of the last 500 bars.
    change_age
        Category of the time since the last detected change.
    autocorrelation
        Category of the first autocorrelation of the residual from the fixed action's recurrence.
    """

    volatility: str
    change_age: str
    autocorrelation: str

    def __str__(self) -> str:
        return f"{self.volatility} / {self.change_age} / {self.autocorrelation}"


STATES = tuple(State(*words) for words in product(VOLATILITY_LEVELS, CHANGE_AGES, AUTOCORRELATIONS))
"""All 27 states."""


def volatility_percentiles(log_prices: FloatArray) -> FloatArray:
    """Return the rank, from 0 to 1, of each bar's volatility among those of the last 500 bars; shape (bars,).

    A volatility is the standard deviation of 20 returns. Half of the equal volatilities count as lower. The rank is ½
    for the first volatility, and for the bars before it.
    """
    percentiles = np.full(log_prices.size, 0.5)
    returns = np.diff(log_prices)
    if returns.size < VOLATILITY_BARS:
        return percentiles
    volatility = sliding_window_view(returns, VOLATILITY_BARS).std(axis=1)
    padded = np.concatenate([np.full(COMPARED_BARS - 1, np.nan), volatility])
    past = sliding_window_view(padded, COMPARED_BARS)
    current = volatility[:, None]
    lower = (past < current).sum(axis=1) + 0.5 * (past == current).sum(axis=1)
    percentiles[VOLATILITY_BARS:] = lower / np.isfinite(past).sum(axis=1)
    return percentiles


def state_at(view: TickerView, percentiles: FloatArray, bar: int) -> State:
    """Return a ticker's state at a bar; later bars are not used.

    Parameters
    ----------
    view
        The ticker's series.
    percentiles
        Ranks of its volatility, from `volatility_percentiles`.
    bar
        Position of the bar.
    """
    autocorrelation = view.aligned.residual_autocorrelation(view.row, bar, FIXED)
    age = bar - view.aligned.last_change(bar)
    return State(
        volatility=VOLATILITY_LEVELS[min(int(3 * percentiles[bar]), 2)],
        change_age=CHANGE_AGES[int(age >= RECENT_BARS) + int(age >= SETTLED_BARS)],
        autocorrelation=AUTOCORRELATIONS[
            int(autocorrelation > WEAK_AUTOCORRELATION) + int(autocorrelation > STRONG_AUTOCORRELATION)
        ],
    )
