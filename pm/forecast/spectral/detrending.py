"""Two ways to take the trend out of log prices, and to put it back into a forecast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pm.statistics.robust import robust_sigma

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.typing import FloatArray

__all__ = ["Detrending", "Differences", "LineRemoval", "shrunk_mean"]

FARTHEST = 8.0
"""Returns further from the median than this many robust standard deviations are cut back to it: a hundredfold jump is
one event, and would otherwise be the largest component, the unit of all others, and most of the drift."""

CAUTION = 4.0
"""Squared standard errors of a mean below which it counts as chance."""


class Detrending(Protocol):
    """Log prices to a series without trend, and forecasts of it back to log prices."""

    @property
    def lost(self) -> int:
        """How many bars at the beginning have no value in the series: position t there is bar t + lost."""
        ...

    def remove(self, log_prices: FloatArray) -> FloatArray:
        """Give the series of log prices, shape (T − lost,)."""
        ...

    def restore(self, path: FloatArray, log_prices: FloatArray, origins: NDArray[np.int64]) -> FloatArray:
        """Give the log prices that forecasts of the series mean, shape (origins, horizon) as `path`."""
        ...


@dataclass(frozen=True)
class Differences:
    """Log returns about their mean; the forecast is the last log price, the drift, and the sum of forecast returns.

    Attributes
    ----------
    low, high
        Where returns are cut back to.
    mean
        Of the returns cut back, over the bars fitted.
    drift
        What of the mean is expected to go on: `shrunk_mean`.
    """

    low: float
    high: float
    mean: float
    drift: float
    lost: int = 1

    @classmethod
    def of(cls, log_prices: FloatArray) -> Differences:
        """Measure the bars that parameters are estimated on."""
        returns = np.diff(log_prices)
        median = float(np.median(returns))
        spread = robust_sigma(returns - median)
        reach = FARTHEST * spread if spread > 0 else np.inf
        low, high = median - reach, median + reach
        kept = np.clip(returns, low, high)
        return cls(low, high, float(np.mean(kept)), shrunk_mean(kept))

    def remove(self, log_prices: FloatArray) -> FloatArray:
        """See `Detrending.remove`."""
        centred: FloatArray = np.clip(np.diff(log_prices), self.low, self.high) - self.mean
        return centred

    def restore(self, path: FloatArray, log_prices: FloatArray, origins: NDArray[np.int64]) -> FloatArray:
        """See `Detrending.restore`."""
        restored: FloatArray = log_prices[origins][:, None] + np.cumsum(path + self.drift, axis=1)
        return restored


@dataclass(frozen=True)
class LineRemoval:
    """Log prices about their least-squares line, which goes on.

    Attributes
    ----------
    level
        Of the line at bar 0.
    slope
        A bar.
    """

    level: float
    slope: float
    lost: int = 0

    @classmethod
    def of(cls, log_prices: FloatArray) -> LineRemoval:
        """Fit the line to the bars that parameters are estimated on."""
        bars = np.arange(log_prices.size) - (log_prices.size - 1) / 2
        slope = float(bars @ log_prices) / float(bars @ bars)
        return cls(float(np.mean(log_prices)) + slope * float(bars[0]), slope)

    def remove(self, log_prices: FloatArray) -> FloatArray:
        """See `Detrending.remove`."""
        return log_prices - (self.level + self.slope * np.arange(log_prices.size))

    def restore(self, path: FloatArray, log_prices: FloatArray, origins: NDArray[np.int64]) -> FloatArray:  # noqa: ARG002 - the line needs no price
        """See `Detrending.restore`."""
        bars = origins[:, None] + np.arange(1, path.shape[1] + 1)
        return path + self.level + self.slope * bars


def shrunk_mean(values: FloatArray) -> float:
    """Give the mean, drawn towards 0 by the evidence for it: m·max(0, 1 − 4/t²), t = m/(s/√n).

    A mean return of a thousand bars is mostly chance: its t is about 1 for a share that doubles in ten years. Below two
    standard errors nothing is left of it; a mean that is beyond doubt is left as it is.

    References
    ----------
    James and Stein (1961), Estimation with quadratic loss (the positive-part rule, here for one
    mean, and more cautious).
    """
    mean, spread = float(np.mean(values)), float(np.std(values))
    square = mean**2
    excess = square - CAUTION * spread**2 / values.size
    return mean * excess / square if excess > 0 else 0.0
