"""SAMoSSA on log prices: of returns, or of prices about a line, whichever forecast better before the cutoff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pm.forecast.spectral.detrending import Detrending, Differences, LineRemoval
from pm.forecast.spectral.page import window_length
from pm.forecast.spectral.rank import GAVISH_DONOHO, RankRule
from pm.forecast.spectral.recurrence import DegenerateError
from pm.forecast.spectral.stack import Stack, fit_stack
from pm.typing import FloatArray  # noqa: TC001 - an annotation of a dataclass's field

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FEWEST_BARS",
    "LINE",
    "RETURNS",
    "History",
    "PriceStack",
    "Representation",
    "fit_prices",
    "fit_representation",
]

FEWEST_BARS = 30
"""Bars up to the cutoff: seven columns of four values for the returns, four of seven about the line."""

HELD_OUT = 0.25
"""Share of the bars before the cutoff on which the representations are compared."""

MARGIN = 0.7
"""What the line's loss on those must stay below, as a share of the returns': on prices that wander it wins by chance
now and then, and then loses much."""

FEWEST_COLUMNS = 4
"""Columns that a member must bring to a group's matrix of returns."""

Dates: TypeAlias = NDArray[np.datetime64]


@dataclass(frozen=True)
class Representation:
    """A way to see log prices.

    Attributes
    ----------
    detrending
        How they are freed of their trend.
    stretch
        Length of the window, in units of √(NT/4).
    rank
        See `RankRule`.
    """

    detrending: type[Differences | LineRemoval]
    stretch: float
    rank: RankRule = GAVISH_DONOHO


RETURNS = (Representation(Differences, 1.0), Representation(Differences, 2.0))
"""Log returns; the second window has more values to average a weak signal over. The rank is Gavish and Donoho's: a
share of energy finds components in pure noise."""

LINE = Representation(LineRemoval, 2.0)
"""Log prices about a line, with the longer window: prices hold longer waves, and less noise, than their differences.
(A rank by 90% of the energy did better on some seasons, and took chance for a wave on walks with fat tails.)"""


@dataclass(frozen=True)
class History:
    """A ticker's bars.

    Attributes
    ----------
    dates
        Ascending.
    log_prices
        At those dates.
    """

    dates: Dates
    log_prices: FloatArray

    def until(self, cutoff: np.datetime64) -> History:
        """Give the bars up to and including a date."""
        count = int(np.searchsorted(self.dates, cutoff, side="right"))
        return History(self.dates[:count], self.log_prices[:count])


@dataclass(frozen=True)
class PriceStack:
    """A fitted stack, and how each of its tickers was freed of its trend.

    Attributes
    ----------
    tickers
        In the order of the stack.
    detrendings
        One a ticker.
    stack
        Of the series without trend.
    """

    tickers: tuple[str, ...]
    detrendings: tuple[Detrending, ...]
    stack: Stack

    @staticmethod
    def bars_needed(observations: int) -> int:
        """Count the bars that a member must bring to a group of `observations` bars in all."""
        return FEWEST_COLUMNS * (window_length(observations) + 1) + 1

    def forecast(self, ticker: str, log_prices: FloatArray, origins: NDArray[np.int64], horizon: int) -> FloatArray:
        """Give the expected log price after each origin (a bar's position), shape (origins, horizon)."""
        member = self.tickers.index(ticker)
        detrending = self.detrendings[member]
        path = self.stack.forecast(member, detrending.remove(log_prices), origins - detrending.lost, horizon)
        return detrending.restore(path, log_prices, origins)


def fit_prices(histories: Mapping[str, History], horizon: int) -> PriceStack:
    """Fit related tickers together, on the representation of their log prices that earned it.

    They are compared on the last quarter of the bars, fitted to those before; the split is by date, so that no member's
    later bars are seen in another's past. RETURNS are the rule: of prices that wander, only differences are stationary;
    the first of them stands where there are too few bars for a comparison. Where waves or seasons stand about a line,
    differencing drowns them in noise: LINE is taken if it lost less than .7 of what the better of RETURNS did, and less
    than no change.

    Parameters
    ----------
    histories
        Ticker → finite log prices up to the cutoff, at least FEWEST_BARS.
    horizon
        Over which they are compared: squared errors, each divided by its step.

    Raises
    ------
    DegenerateError
        See `fit_stack`.
    """
    longest = max(histories.values(), key=lambda history: history.dates.size)
    split = longest.dates[int(longest.dates.size * (1 - HELD_OUT)) - 1]
    before = {ticker: history.until(split) for ticker, history in histories.items()}
    ahead = {ticker: histories[ticker].dates.size - before[ticker].dates.size for ticker in histories}
    needed = PriceStack.bars_needed(sum(history.dates.size for history in before.values()))
    voters = {
        ticker: history
        for ticker, history in before.items()
        if history.dates.size >= max(FEWEST_BARS, needed) and ahead[ticker] >= 2 * horizon
    }
    chosen = RETURNS[0]
    if voters:
        full = {ticker: histories[ticker] for ticker in voters}
        lost = {each: _loss(voters, full, horizon, each) for each in (*RETURNS, LINE)}
        chosen = min(RETURNS, key=lost.__getitem__)
        if lost[LINE] < min(MARGIN * lost[chosen], 1.0):
            chosen = LINE
    return fit_representation(histories, chosen)


def fit_representation(histories: Mapping[str, History], representation: Representation) -> PriceStack:
    """Fit tickers together on one representation; see `fit_prices`."""
    detrendings = tuple(representation.detrending.of(history.log_prices) for history in histories.values())
    series = [
        detrending.remove(history.log_prices)
        for detrending, history in zip(detrendings, histories.values(), strict=True)
    ]
    stack = fit_stack(series, rank=representation.rank, stretch=representation.stretch)
    return PriceStack(tuple(histories), detrendings, stack)


def _loss(
    before: Mapping[str, History], full: Mapping[str, History], horizon: int, representation: Representation
) -> float:
    """Give the squared errors over the held-out bars relative to no change, the mean of the tickers; ∞ if it fails."""
    try:
        fitted = fit_representation(before, representation)
    except (DegenerateError, np.linalg.LinAlgError):
        return np.inf
    steps = np.arange(1, horizon + 1)
    losses = []
    for ticker, history in full.items():
        log_prices = history.log_prices
        first, last = before[ticker].log_prices.size - 1, log_prices.size - 1 - horizon
        origins = np.arange(first, last + 1, max(1, horizon // 2))
        actual = log_prices[origins[:, None] + steps]
        forecast = fitted.forecast(ticker, log_prices, origins, horizon)
        base = float(np.mean((actual - log_prices[origins][:, None]) ** 2 / steps))
        losses.append(float(np.mean((actual - forecast) ** 2 / steps)) / base if base > 0 else 1.0)
    return float(np.mean(losses))
