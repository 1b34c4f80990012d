"""Error measures of point forecasts, and the accuracy of their direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.proportions import Proportion, wilson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["directional_accuracy", "mae", "mase", "naive_scale", "rmse", "smape"]


def rmse(error: ArrayLike) -> float:
    """Return the root mean squared error, in the unit of the errors."""
    return float(np.sqrt(np.mean(np.square(error))))


def mae(error: ArrayLike) -> float:
    """Return the mean absolute error, in the unit of the errors."""
    return float(np.mean(np.abs(error)))


def smape(forecast: ArrayLike, actual: ArrayLike) -> float:
    """Return the symmetric mean absolute percentage error of positive prices, as a fraction: 0.02 is 2%.

    It is the mean of 2|F − A| / (F + A), from 0 to 2. The M4 competition uses this definition, multiplied by 100.

    References
    ----------
    Makridakis, Spiliotis and Assimakopoulos (2020), The M4 competition, Int. J. Forecasting 36, section 2.3.
    """
    forecast, actual = np.asarray(forecast), np.asarray(actual)
    return float(np.mean(2.0 * np.abs(forecast - actual) / (np.abs(forecast) + np.abs(actual))))


def naive_scale(series: ArrayLike) -> float:
    """Return the mean absolute one-step change of a series: the in-sample error of the naive forecast."""
    return float(np.mean(np.abs(np.diff(np.asarray(series)))))


def mase(error: ArrayLike, scale: ArrayLike) -> float:
    """Return the mean absolute scaled error: the mean of |error| / scale.

    A value of 1 is the in-sample error of the one-step naive forecast. At longer steps even the best forecast of a
    random walk is above 1.

    Parameters
    ----------
    error
        Forecast errors.
    scale
        `naive_scale` of the observations before each forecast; broadcast against `error`. The result is NaN if any
        scale is 0.

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
    """Return the share of changes whose sign was predicted, with its Wilson interval.

    A change of zero, predicted or realised, has no sign: it does not count as a trial, but in `Proportion.left_out`.
    (The naive forecast predicts no change, and so has no direction.)

    Parameters
    ----------
    predicted, actual
        Predicted and realised changes; arrays of the same shape.
    overlap
        Number of consecutive changes that share days with one another. The interval is computed as if there were only
        trials / overlap independent trials.
    level
        Confidence level of the interval.
    """
    product = np.asarray(np.sign(predicted) * np.sign(actual))
    hits, trials = int((product > 0).sum()), int((product != 0).sum())
    lower, upper = wilson(hits / overlap, trials / overlap, level=level)
    return Proportion(hits / trials if trials else float("nan"), lower, upper, trials, product.size - trials)
