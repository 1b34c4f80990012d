"""Diebold-Mariano test of equal forecast accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pm.statistics.losses import RELATIVE_ROUNDING

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["DieboldMariano", "diebold_mariano"]

MIN_DIFFERENTIALS = 3
"""Minimum number of loss differentials for a test."""


@dataclass(frozen=True)
class DieboldMariano:
    """Result of a test of equal accuracy.

    Attributes
    ----------
    statistic
        Has the sign of the mean loss differential; NaN if there were too few differentials to test.
    p_value
        Probability of a statistic at least as extreme if both forecasts are equally accurate; NaN if `statistic` is.
    """

    statistic: float
    p_value: float


def diebold_mariano(
    differential: FloatArray, *, overlap: int = 1, alternative: Literal["two-sided", "greater"] = "two-sided"
) -> DieboldMariano:
    """Test whether a loss differential has mean zero, with the correction of Harvey, Leybourne and Newbold.

    With d̄ the mean of n differentials, γ_k their autocovariances (divided by n) and h the overlap, the statistic is
    d̄ / √(V/n) · √((n + 1 − 2h + h(h−1)/n) / n), V = γ_0 + 2 Σ γ_k for k < h. It is compared with Student's t
    distribution with n − 1 degrees of freedom.

    Parameters
    ----------
    differential
        Loss of the benchmark minus that of the forecast at each origin, oldest first.
    overlap
        Number h of consecutive origins that a forecast window covers; differentials at least h origins apart are
        independent. 1 for windows that do not overlap; the horizon for forecasts from every day.
    alternative
        'greater' for the alternative that the benchmark has the larger loss.

    Notes
    -----
    For h > 1 the estimate V can be negative; Bartlett's weights 1 − k/h, with which it cannot be, are used then. If all
    differentials are zero (identical forecasts), the statistic is 0; if all are equal but not zero, it is infinite.
    Both numbers are NaN with fewer than three differentials, or with no more than h.

    References
    ----------
    Diebold and Mariano (1995), Comparing predictive accuracy, J. Business & Economic Statistics 13.
    Harvey, Leybourne and Newbold (1997), Testing the equality of prediction mean squared errors, Int. J. Forecasting
    13, equation (9).
    """
    n, h = len(differential), overlap
    if n < MIN_DIFFERENTIALS or n <= h:
        return DieboldMariano(float("nan"), float("nan"))
    mean = float(differential.mean())
    centred = differential - mean
    largest = float(np.abs(differential).max())
    if float(np.abs(centred).max()) <= RELATIVE_ROUNDING * largest:
        statistic = float(np.copysign(np.inf, mean)) if largest > 0 else 0.0
    else:
        gamma = np.array([centred[lag:] @ centred[: n - lag] for lag in range(h)]) / n
        variance = gamma[0] + 2.0 * gamma[1:].sum()
        if variance <= 0:
            variance = gamma[0] + 2.0 * ((1.0 - np.arange(1, h) / h) * gamma[1:]).sum()
        correction = (n + 1 - 2 * h + h * (h - 1) / n) / n
        statistic = float(mean / np.sqrt(variance / n) * np.sqrt(correction))
    return DieboldMariano(statistic, _p_value(statistic, n - 1, alternative))


def _p_value(statistic: float, degrees_of_freedom: int, alternative: Literal["two-sided", "greater"]) -> float:
    """Return the probability that Student's t is at least as extreme as a statistic."""
    from scipy.special import stdtr

    if alternative == "greater":
        return float(stdtr(degrees_of_freedom, -statistic))
    return float(2.0 * stdtr(degrees_of_freedom, -abs(statistic)))
