"""Robust estimates of scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["MAD_TO_SIGMA", "OUTLIER_SIGMAS", "median", "robust_sigma"]

MAD_TO_SIGMA = 1.4826
"""Ratio of a normal distribution's standard deviation to its median absolute deviation."""

OUTLIER_SIGMAS = 25.0
"""Number of standard deviations beyond which a move is not of the present regime: the end of a peg or a halt, a split
that was not adjusted for, a wrong quote."""


def median(values: FloatArray) -> float:
    """Return the median of finite values, at least one: that of `np.median`, in a fraction of its time."""
    lower, upper = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (lower, upper))
    return float((ordered[lower] + ordered[upper]) / 2.0)


def robust_sigma(deviations: FloatArray) -> float:
    """Return the standard deviation of normal observations with these deviations from their median.

    It is 1.4826 times the median absolute deviation, which outliers hardly change.

    Parameters
    ----------
    deviations
        Differences from the median, at least one; their signs are ignored.
    """
    return MAD_TO_SIGMA * median(np.abs(deviations))
