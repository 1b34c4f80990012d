"""Losses of forecasts: of points, of quantiles, of directions.

Every function is plain numpy, of any shape that broadcasts; what is averaged and in which unit its first lines say.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from pm.volatility.base import FloatArray

__all__ = [
    "Proportion",
    "crps_quantiles",
    "directional_accuracy",
    "mae",
    "mase",
    "naive_scale",
    "pinball",
    "quantile_weights",
    "rmse",
    "smape",
    "wilson",
]


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


def pinball(quantile: ArrayLike, actual: ArrayLike, level: ArrayLike) -> FloatArray:
    """Give the pinball loss of each quantile forecast, in the unit of the outcome.

    p(y − q) where y ≥ q, else (1 − p)(q − y): its expectation is least at the true quantile of level p.

    References
    ----------
    Koenker and Bassett (1978), Regression quantiles, Econometrica 46.
    """
    level = np.asarray(level, dtype=np.float64)
    excess = np.asarray(actual, dtype=np.float64) - np.asarray(quantile, dtype=np.float64)
    return np.maximum(level * excess, (level - 1.0) * excess)


def quantile_weights(levels: Sequence[float]) -> FloatArray:
    """Give the share of probability that each level speaks for: from the midpoint below it to the midpoint above.

    The lowest reaches down to 0 and the highest up to 1, so that they sum to 1; levels at the middle of n equal cells
    weigh 1/n.

    Raises
    ------
    ValueError
        Levels that do not increase strictly within (0, 1).
    """
    points = np.asarray(levels, dtype=np.float64)
    if points.size == 0 or points[0] <= 0 or points[-1] >= 1 or (np.diff(points) <= 0).any():
        raise ValueError(f"levels must increase strictly within (0, 1), got {list(levels)}")
    edges = np.concatenate(([0.0], (points[1:] + points[:-1]) / 2.0, [1.0]))
    return np.diff(edges)


def crps_quantiles(quantiles: ArrayLike, actual: ArrayLike, levels: Sequence[float]) -> FloatArray:
    """Give the continuous ranked probability score of distributions known by some quantiles, in the outcome's unit.

    CRPS(F, y) = 2 ∫ ρ_p(F⁻¹(p), y) dp: twice the mean pinball loss, here over the levels with their `quantile_weights`.
    Of all orders of a sample, at levels (i − ½)/n, that is the score of the sample, E|X − y| − ½ E|X − X'|. Coarse
    levels leave a bias, alike for all forecasts on the same levels: compare only those.

    Parameters
    ----------
    quantiles
        Shape (..., levels).
    actual
        Shape (...).
    levels
        Levels, increasing.

    References
    ----------
    Gneiting and Ranjan (2011), Comparing density forecasts using threshold- and quantile-weighted scoring rules,
    J. Business & Economic Statistics 29, equation (6).
    """
    outcome = np.asarray(actual, dtype=np.float64)[..., np.newaxis]
    losses = pinball(quantiles, outcome, np.asarray(levels, dtype=np.float64))
    return np.asarray(2.0 * (losses * quantile_weights(levels)).sum(axis=-1))


@dataclass(frozen=True)
class Proportion:
    """A share of trials, with its confidence interval.

    Attributes
    ----------
    share
        Hits over trials; NaN without trials, and so are its limits.
    lower, upper
        Ends of the Wilson interval.
    trials
        Outcomes counted.
    left_out
        Outcomes that could be neither hit nor miss.
    """

    share: float
    lower: float
    upper: float
    trials: int
    left_out: int = 0


def wilson(hits: float, trials: float, *, level: float = 0.95) -> tuple[float, float]:
    """Give the Wilson score interval of a proportion; NaN and NaN without trials.

    Unlike ±z standard errors it stays within 0 and 1 and keeps its level with few trials. Counts may be fractions:
    those of trials that depend on one another, divided by how many make an independent one.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, J. American Statistical
    Association 22. Brown, Cai and DasGupta (2001), Interval estimation for a binomial proportion, Statistical Science
    16.
    """
    if trials <= 0:
        return float("nan"), float("nan")
    z2 = NormalDist().inv_cdf((1.0 + level) / 2.0) ** 2
    share = hits / trials
    centre = (share + z2 / (2.0 * trials)) / (1.0 + z2 / trials)
    half = (z2 * (share * (1.0 - share) / trials + z2 / (4.0 * trials**2))) ** 0.5 / (1.0 + z2 / trials)
    return max(0.0, centre - half), min(1.0, centre + half)


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
