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
    """Return the pinball loss of each quantile forecast, in the unit of the outcome.

    The loss is p(y − q) where y ≥ q, else (1 − p)(q − y). Its expectation is smallest at the true quantile of level p.

    References
    ----------
    Koenker and Bassett (1978), Regression quantiles, Econometrica 46.
    """
    level = np.asarray(level, dtype=np.float64)
    excess = np.asarray(actual, dtype=np.float64) - np.asarray(quantile, dtype=np.float64)
    return np.maximum(level * excess, (level - 1.0) * excess)


def quantile_weights(levels: Sequence[float]) -> FloatArray:
    """Return the weight of each quantile level in an integral over all levels from 0 to 1.

    A level's weight is the distance from the midpoint below it to the midpoint above it. The lowest level's interval
    starts at 0 and the highest level's ends at 1, so that the weights sum to 1. Levels in the middle of n equal cells
    have weights of 1/n.

    Raises
    ------
    ValueError
        The levels do not increase strictly within (0, 1).
    """
    points = np.asarray(levels, dtype=np.float64)
    if points.size == 0 or points[0] <= 0 or points[-1] >= 1 or (np.diff(points) <= 0).any():
        raise ValueError(f"levels must increase strictly within (0, 1), got {list(levels)}")
    edges = np.concatenate(([0.0], (points[1:] + points[:-1]) / 2.0, [1.0]))
    return np.diff(edges)


def crps_quantiles(quantiles: ArrayLike, actual: ArrayLike, levels: Sequence[float]) -> FloatArray:
    """Return the continuous ranked probability score of distributions given by some quantiles, in the outcome's unit.

    CRPS(F, y) = 2 ∫ ρ_p(F⁻¹(p), y) dp is twice the mean pinball loss over all levels, approximated here by the given
    levels and their `quantile_weights`. For the order statistics of a sample, at levels (i − ½)/n, the result is
    exactly the score of the sample, E|X − y| − ½ E|X − X'|. With few levels the approximation has a bias that all
    forecasts on the same levels share: compare only such forecasts.

    Parameters
    ----------
    quantiles
        Forecast quantiles, shape (..., levels).
    actual
        Realised outcomes, shape (...).
    levels
        Quantile levels, strictly increasing within (0, 1).

    References
    ----------
    Gneiting and Ranjan (2011), Comparing density forecasts using threshold- and quantile-weighted scoring rules,
    J. Business & Economic Statistics 29, equation (6).
    """
    outcome = np.asarray(actual, dtype=np.float64)[..., np.newaxis]
    losses = pinball(quantiles, outcome, np.asarray(levels, dtype=np.float64))
    return np.asarray(2.0 * (losses * quantile_weights(levels)).sum(axis=-1))
