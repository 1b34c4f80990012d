"""Scores of quantile forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from pm.typing import FloatArray

__all__ = ["crps_quantiles", "pinball", "quantile_weights"]


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
