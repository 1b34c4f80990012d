"""Tests of drift, by functions that are imported fast: scipy.special, not scipy.stats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["differs", "exceeds_rate", "mean_differs"]

_ROUNDING = 1e-24
"""Variance of a mean that equal values have by rounding."""


def exceeds_rate(count: int, total: int, count_before: int, total_before: int, *, level: float) -> bool:
    """Return whether a share is significantly larger than the one before, by a one-sided binomial test.

    The share before is taken as (count_before + 1) / (total_before + 1), so that no share is impossible.
    """
    from scipy.special import bdtrc

    rate = min(1.0, (count_before + 1) / (total_before + 1))
    return count > 0 and float(bdtrc(count - 1, total, rate)) < level


def mean_differs(values: NDArray[np.float64], mean: float) -> float:
    """Return the two-sided p-value of Student's t test that independent values have this mean.

    Of values that are all equal, it is 1 if they equal the mean and 0 otherwise.
    """
    return _p_value(float(values.mean()) - mean, float(values.var(ddof=1)) / values.size, values.size - 1.0)


def differs(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of Welch's test that two samples of independent values have equal means."""
    a, b = float(one.var(ddof=1)) / one.size, float(other.var(ddof=1)) / other.size
    freedom = (a + b) ** 2 / (a**2 / (one.size - 1) + b**2 / (other.size - 1)) if a + b > 0 else 1.0
    return _p_value(float(one.mean() - other.mean()), a + b, freedom)


def _p_value(difference: float, variance: float, freedom: float) -> float:
    from scipy.special import stdtr

    if variance < _ROUNDING:
        return 1.0 if math.isclose(difference, 0, abs_tol=1e-12) else 0.0
    return 2 * float(stdtr(freedom, -abs(difference) / math.sqrt(variance)))
