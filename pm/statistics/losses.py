"""Loss of multi-step forecasts, and the difference between the losses of two forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from pm.typing import FloatArray

__all__ = ["RELATIVE_ROUNDING", "loss_differential", "step_scaled_errors", "step_scaled_loss"]

RELATIVE_ROUNDING = 1e-9
"""Relative difference below which two losses count as equal: a smaller one comes from rounding, not from skill."""


def step_scaled_errors(errors: FloatArray, variance: ArrayLike = 1.0) -> FloatArray:
    """Return forecast errors divided by √(step × variance).

    The naive forecast of a random walk has an error variance of step × variance. So scaled, its errors have variance 1
    at every step and in calm and volatile periods alike; unscaled, the last steps from the most volatile origin would
    dominate any mean of squares.

    Parameters
    ----------
    errors
        Errors of a series' level (a log price), steps 1, 2, … along the last axis.
    variance
        Variance of the series' one-step change; broadcast against `errors` without its last axis.
    """
    steps = np.arange(1, errors.shape[-1] + 1)
    return np.asarray(errors / np.sqrt(steps * np.asarray(variance, dtype=np.float64)[..., np.newaxis]))


def step_scaled_loss(errors: FloatArray, variance: ArrayLike = 1.0) -> FloatArray:
    """Return the mean over steps of the squared `step_scaled_errors`; shape of `errors` without its last axis."""
    return np.asarray(np.mean(np.square(step_scaled_errors(errors, variance)), axis=-1))


def loss_differential(benchmark: FloatArray, losses: FloatArray) -> FloatArray:
    """Return the benchmark's losses minus the given ones, and exactly 0 where they differ only by rounding."""
    difference = benchmark - losses
    larger = np.maximum(np.abs(benchmark), np.abs(losses))
    return np.where(np.abs(difference) > RELATIVE_ROUNDING * larger, difference, 0.0)
