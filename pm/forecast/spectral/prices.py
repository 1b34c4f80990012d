"""SAMoSSA of log prices: on returns or on deviations from a line, whichever forecast better before the cutoff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pm.forecast.spectral.detrending import Detrending, Differencing, LineRemoval
from pm.forecast.spectral.page import window_length
from pm.forecast.spectral.rank import GAVISH_DONOHO, RankRule
from pm.forecast.spectral.recurrence import DegenerateError
from pm.forecast.spectral.stack import Stack, fit_stack
from pm.statistics.losses import step_scaled_loss
from pm.typing import FloatArray  # noqa: TC001 - an annotation of a dataclass's field

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LINE",
    "MIN_BARS",
    "RETURNS",
    "PriceHistory",
    "PriceStack",
    "Representation",
    "fit_prices",
    "fit_representation",
]

MIN_BARS = 30
"""Minimum number of bars up to the cutoff: seven columns of four returns, or four columns of seven prices."""

HELD_OUT_SHARE = 0.25
"""Share of the bars before the cutoff on which the representations are compared."""

MAX_LINE_LOSS = 0.7
"""Maximum loss of LINE on those bars, relative to that of RETURNS, at which LINE is chosen.

On random walks the line sometimes has the smaller loss by chance, and its later losses are large.
"""

MIN_COLUMNS = 4
"""Minimum number of columns that each ticker contributes to its group's Page matrix of returns."""

Dates: TypeAlias = NDArray[np.datetime64]


@dataclass(frozen=True)
class Representation:
    """A choice of detrending, window length and rank for the analysis of log prices.

    Attributes
    ----------
    detrending
        Method of removing the trend.
    stretch
        Number of lags, in units of √(NT/4).
    rank
        See `RankRule`.
    """

    detrending: type[Differencing | LineRemoval]
    stretch: float
    rank: RankRule = GAVISH_DONOHO


RETURNS = (Representation(Differencing, 1.0), Representation(Differencing, 2.0))
"""Log returns with two window lengths; the longer one averages a weak signal over more values.

The rank is that of Gavish and Donoho, because a fraction of the energy would find components in pure noise.
"""

LINE = Representation(LineRemoval, 2.0)
"""Deviations of log prices from a line, with the longer window: prices show longer waves and less noise than returns.

(A rank by 90% of the energy was better for some seasonal series, but found waves in random walks with fat tails.)
"""


@dataclass(frozen=True)
class PriceHistory:
    """Dates and log prices of a ticker's bars.

    Attributes
    ----------
    dates
        Dates, ascending.
    log_prices
        Log prices at these dates.
    """

    dates: Dates
    log_prices: FloatArray

    def until(self, cutoff: np.datetime64) -> PriceHistory:
        """Return the bars up to and including a date."""
        count = int(np.searchsorted(self.dates, cutoff, side="right"))
        return PriceHistory(self.dates[:count], self.log_prices[:count])


@dataclass(frozen=True)
class PriceStack:
    """A model fitted to the log prices of related tickers.

    Attributes
    ----------
    tickers
        Tickers in the order of the stack.
    detrendings
        Fitted detrending of each ticker.
    stack
        Model of the series without trend.
    """

    tickers: tuple[str, ...]
    detrendings: tuple[Detrending, ...]
    stack: Stack

    @staticmethod
    def bars_needed(observations: int) -> int:
        """Return the minimum number of bars of each ticker in a group with `observations` bars in all."""
        return MIN_COLUMNS * (window_length(observations) + 1) + 1

    def forecast(self, ticker: str, log_prices: FloatArray, origins: NDArray[np.int64], horizon: int) -> FloatArray:
        """Return the expected log prices after each origin (a bar's position), shape (origins, horizon)."""
        index = self.tickers.index(ticker)
        detrending = self.detrendings[index]
        path = self.stack.forecast(index, detrending.remove(log_prices), origins - detrending.lost, horizon)
        return detrending.restore(path, log_prices, origins)


def fit_prices(histories: Mapping[str, PriceHistory], horizon: int) -> PriceStack:
    """Fit related tickers together, on the representation of their log prices with the smallest loss.

    The representations are compared on the last quarter of the bars, fitted to those before. The division is by date,
    so that no later bar of another ticker is used. RETURNS are the default, because only the differences of a random
    walk are stationary; the first of them is used if there are too few bars for a comparison. Differencing hides waves
    and seasons about a line in noise: LINE is chosen if its loss is less than MAX_LINE_LOSS times that of the better of
    RETURNS, and less than that of assuming no change.

    Parameters
    ----------
    histories
        Ticker → finite log prices up to the cutoff, at least MIN_BARS.
    horizon
        Number of sessions over which they are compared, by `step_scaled_loss`.

    Raises
    ------
    DegenerateError
        See `fit_stack`.
    """
    longest = max(histories.values(), key=lambda history: history.dates.size)
    split = longest.dates[int(longest.dates.size * (1 - HELD_OUT_SHARE)) - 1]
    before = {ticker: history.until(split) for ticker, history in histories.items()}
    ahead = {ticker: histories[ticker].dates.size - before[ticker].dates.size for ticker in histories}
    needed = PriceStack.bars_needed(sum(history.dates.size for history in before.values()))
    compared = {
        ticker: history
        for ticker, history in before.items()
        if history.dates.size >= max(MIN_BARS, needed) and ahead[ticker] >= 2 * horizon
    }
    chosen = RETURNS[0]
    if compared:
        full = {ticker: histories[ticker] for ticker in compared}
        loss = {each: _relative_loss(compared, full, horizon, each) for each in (*RETURNS, LINE)}
        chosen = min(RETURNS, key=loss.__getitem__)
        if loss[LINE] < min(MAX_LINE_LOSS * loss[chosen], 1.0):
            chosen = LINE
    return fit_representation(histories, chosen)


def fit_representation(histories: Mapping[str, PriceHistory], representation: Representation) -> PriceStack:
    """Fit tickers together on one representation; see `fit_prices`."""
    detrendings = tuple(representation.detrending.fit(history.log_prices) for history in histories.values())
    series = [
        detrending.remove(history.log_prices)
        for detrending, history in zip(detrendings, histories.values(), strict=True)
    ]
    stack = fit_stack(series, rank=representation.rank, stretch=representation.stretch)
    return PriceStack(tuple(histories), detrendings, stack)


def _relative_loss(
    before: Mapping[str, PriceHistory], full: Mapping[str, PriceHistory], horizon: int, representation: Representation
) -> float:
    """Return the loss on the held-out bars relative to naive's, averaged over tickers; infinite if a fit fails.

    Parameters
    ----------
    before
        Bars to fit to, of each ticker.
    full
        The same tickers' bars with those held out.
    """
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
        naive = float(step_scaled_loss(actual - log_prices[origins][:, None]).mean())
        losses.append(float(step_scaled_loss(actual - forecast).mean()) / naive if naive > 0 else 1.0)
    return float(np.mean(losses))
