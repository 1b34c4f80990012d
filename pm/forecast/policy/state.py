"""The state a policy chooses by: volatility regime, time since the last change, autocorrelation of the residual."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pm.forecast.policy.actions import FIXED

if TYPE_CHECKING:
    from pm.forecast.policy.cohort import Place
    from pm.typing import FloatArray

__all__ = ["STATES", "State", "observe", "volatility_shares"]

VOLATILITY_BARS = 20
HISTORY_BARS = 500
"""How far back a volatility is compared with its own: two years, so that a panel of a thousand bars shows the same as
a longer one."""

RECENT, SETTLED = 60, 250
"""Bars since the last change, up to which it is recent, and from which it is long ago."""

WEAK, STRONG = 0.3, 0.6
"""First autocorrelations of the residual, up to which little is left in it, and from which it wanders as that of a
random walk does."""

REGIMES = ("calm", "normal", "wild")
AGES = ("recent", "settling", "settled")
MEMORIES = ("none", "some", "much")


@dataclass(frozen=True)
class State:
    """What is known of a series at a bar, in three words.

    Attributes
    ----------
    regime
        Tercile of the volatility of the last 20 returns within its own last 500 bars.
    age
        Time since the last change point that was known.
    memory
        First autocorrelation of what the fixed action's recurrence leaves over.
    """

    regime: str
    age: str
    memory: str

    def __str__(self) -> str:
        return f"{self.regime} / {self.age} / {self.memory}"


STATES = tuple(State(*words) for words in product(REGIMES, AGES, MEMORIES))
"""All 27 there are."""


def volatility_shares(log_prices: FloatArray) -> FloatArray:
    """Give, at each bar, the share of its last 500 bars' volatilities that lie below its own; shape (bars,).

    A volatility is the standard deviation of 20 returns. Where there is none yet, and for the first, the share is ½;
    of equal ones half count as below.
    """
    shares = np.full(log_prices.size, 0.5)
    returns = np.diff(log_prices)
    if returns.size < VOLATILITY_BARS:
        return shares
    volatility = sliding_window_view(returns, VOLATILITY_BARS).std(axis=1)
    padded = np.concatenate([np.full(HISTORY_BARS - 1, np.nan), volatility])
    past = sliding_window_view(padded, HISTORY_BARS)
    own = volatility[:, None]
    below = (past < own).sum(axis=1) + 0.5 * (past == own).sum(axis=1)
    shares[VOLATILITY_BARS:] = below / np.isfinite(past).sum(axis=1)
    return shares


def observe(place: Place, shares: FloatArray, bar: int) -> State:
    """Give a ticker's state at a bar.

    Parameters
    ----------
    place
        The ticker.
    shares
        From `volatility_shares`.
    bar
        Where it is wanted; nothing later is looked at.
    """
    memory = place.cohort.residual_autocorrelation(place.row, bar, FIXED)
    age = bar - place.cohort.last_change(bar)
    return State(
        regime=REGIMES[min(int(3 * shares[bar]), 2)],
        age=AGES[int(age >= RECENT) + int(age >= SETTLED)],
        memory=MEMORIES[int(memory > WEAK) + int(memory > STRONG)],
    )
