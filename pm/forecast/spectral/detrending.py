"""Removal of the trend from log prices, and its restoration in forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pm.statistics.robust import robust_sigma

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from pm.typing import FloatArray

__all__ = ["Detrending", "Differencing", "Line", "LineRemoval", "shrunk_mean"]

MAX_DEVIATION = 8.0
"""Distance from the median, in robust standard deviations, that returns are clipped to.

Without clipping, a single hundredfold jump would be the largest component, the unit of all others, and most of the
drift.
"""

MIN_SQUARED_T = 4.0
"""Squared t statistic up to which a mean return is taken to be 0."""


class Detrending(Protocol):
    """A transformation of log prices into a series without trend, and of its forecasts back into log prices."""

    @property
    def lost(self) -> int:
        """Number of bars at the beginning without a value in the series: its position t belongs to bar t + lost."""
        ...

    def remove(self, log_prices: FloatArray) -> FloatArray:
        """Return the series without trend, shape (T − lost,)."""
        ...

    def restore(self, path: FloatArray, log_prices: FloatArray, origins: NDArray[np.int64]) -> FloatArray:
        """Convert forecasts of the series to forecasts of the log price, both of shape (origins, horizon)."""
        ...


@dataclass(frozen=True)
class Differencing:
    """Log returns minus their mean. A forecast is the last log price plus the sum of forecast returns and the drift.

    Attributes
    ----------
    low, high
        Limits that returns are clipped to.
    mean
        Mean of the clipped returns over the bars that parameters are estimated on.
    drift
        Mean return that is expected to continue; see `shrunk_mean`.
    """

    low: float
    high: float
    mean: float
    drift: float
    lost: int = 1

    @classmethod
    def fit(cls, log_prices: FloatArray) -> Differencing:
        """Estimate the parameters from log prices."""
        returns = np.diff(log_prices)
        median = float(np.median(returns))
        sigma = robust_sigma(returns - median)
        limit = MAX_DEVIATION * sigma if sigma > 0 else np.inf
        low, high = median - limit, median + limit
        clipped = np.clip(returns, low, high)
        return cls(low, high, float(np.mean(clipped)), shrunk_mean(clipped))

    def remove(self, log_prices: FloatArray) -> FloatArray:
        """See `Detrending.remove`."""
        centred: FloatArray = np.clip(np.diff(log_prices), self.low, self.high) - self.mean
        return centred

    def restore(self, path: FloatArray, log_prices: FloatArray, origins: NDArray[np.int64]) -> FloatArray:
        """See `Detrending.restore`."""
        restored: FloatArray = log_prices[origins][:, None] + np.cumsum(path + self.drift, axis=1)
        return restored


@dataclass(frozen=True)
class Line:
    """Least-squares line through a series.

    Attributes
    ----------
    level
        Mean of the series: the line's value at its middle.
    slope
        Change of the line per bar.
    middle
        Position of the middle of the series.
    """

    level: float
    slope: float
    middle: float

    @classmethod
    def fit(cls, series: FloatArray) -> Line:
        """Fit the line to the values at positions 0, 1, …; a single value has a slope of 0."""
        middle = (series.size - 1) / 2
        time = np.arange(series.size) - middle
        level = float(series.mean())
        slope = float(time @ (series - level)) / (float(time @ time) or 1.0)
        return cls(level, slope, middle)

    def at(self, positions: ArrayLike) -> FloatArray:
        """Return the line's values at some positions."""
        values: FloatArray = self.level + self.slope * (np.asarray(positions) - self.middle)
        return values


@dataclass(frozen=True)
class LineRemoval:
    """Log prices minus their least-squares line, which forecasts extrapolate.

    Attributes
    ----------
    line
        Line through the log prices that parameters are estimated on.
    """

    line: Line
    lost: int = 0

    @classmethod
    def fit(cls, log_prices: FloatArray) -> LineRemoval:
        """Fit the line to log prices."""
        return cls(Line.fit(log_prices))

    def remove(self, log_prices: FloatArray) -> FloatArray:
        """See `Detrending.remove`."""
        return log_prices - self.line.at(np.arange(log_prices.size))

    def restore(self, path: FloatArray, log_prices: FloatArray, origins: NDArray[np.int64]) -> FloatArray:  # noqa: ARG002 - the line needs no price
        """See `Detrending.restore`."""
        return path + self.line.at(origins[:, None] + np.arange(1, path.shape[1] + 1))


def shrunk_mean(values: FloatArray) -> float:
    """Return the mean m of some values, shrunk towards 0: m·max(0, 1 − 4/t²), where t = m/(s/√n).

    The mean return of a thousand bars is mostly chance: t is about 1 for a share that doubles in ten years. Up to two
    standard errors the result is 0; a mean of many standard errors is hardly changed.

    References
    ----------
    James and Stein (1961), Estimation with quadratic loss: the positive-part rule, here for a single mean and with a
    larger constant.
    """
    mean, deviation = float(np.mean(values)), float(np.std(values))
    square = mean**2
    excess = square - MIN_SQUARED_T * deviation**2 / values.size
    return mean * excess / square if excess > 0 else 0.0
