"""Errors of point forecasts, and the accuracy of their directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.proportions import Proportion, wilson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["directional_accuracy", "mae", "mase", "naive_scale", "rmse", "smape"]


def rmse(error: ArrayLike) -> float:
    """Give the root of the mean squared error, in the unit of the errors."""
    return float(np.sqrt(np.mean(np.square(error))))


def mae(error: ArrayLike) -> float:
    """Give the mean absolute error, in the unit of the errors."""
    return float(np.mean(np.abs(error)))


def smape(forecast: ArrayLike, actual: ArrayLike) -> float:
    """Give the symmetric mean absolute percentage error of positive prices, as a share: 0.02 is 2%.

    The mean of 2|F − A| / (F + A), from 0 to 2: the definition of the M4 competition, which writes it times 100.

    References
    ----------
    Makridakis, Spiliotis and Assimakopoulos (2020), The M4 competition, Int. J. Forecasting 36, section 2.3.
    """
    forecast, actual = np.asarray(forecast), np.asarray(actual)
    return float(np.mean(2.0 * np.abs(forecast - actual) / (np.abs(forecast) + np.abs(actual))))


def naive_scale(series: ArrayLike) -> float:
    """Give the mean absolute one-step change of a series: the error in sample of the naive forecast."""
    return float(np.mean(np.abs(np.diff(np.asarray(series)))))


def mase(error: ArrayLike, scale: ArrayLike) -> float:
    """Give the mean absolute scaled error: each error over the `naive_scale` of the bars before its forecast.

    1 is the error of a one-step naive forecast in sample; at longer steps even a perfect model of a random walk is
    above it. NaN where a scale is 0.

    References
    ----------
    Hyndman and Koehler (2006), Another look at measures of forecast accuracy, Int. J. Forecasting 22.
    """
    scale = np.asarray(scale, dtype=np.float64)
    if not (scale > 0).all():
        return float("nan")
    return float(np.mean(np.abs(error) / scale))


def directional_accuracy(
    predicted: ArrayLike, actual: ArrayLike, *, overlap: int = 1, level: float = 0.95
) -> Proportion:
    """Give the share of moves whose sign was foretold.

    A move of zero, foretold or come, has no sign: it is left out and counted. (The naive forecast has no direction.)

    Parameters
    ----------
    predicted, actual
        Moves, of one shape.
    overlap
        How many neighbouring moves share days with one another; the interval is that of trials / overlap trials.
    level
        Confidence of the interval.
    """
    product = np.asarray(np.sign(predicted) * np.sign(actual))
    hits, trials = int((product > 0).sum()), int((product != 0).sum())
    lower, upper = wilson(hits / overlap, trials / overlap, level=level)
    return Proportion(hits / trials if trials else float("nan"), lower, upper, trials, product.size - trials)
