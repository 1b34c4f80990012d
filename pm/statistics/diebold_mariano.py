"""The test of Diebold and Mariano for equal forecast accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pm.statistics.losses import ROUNDING

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["DieboldMariano", "diebold_mariano"]

FEWEST = 3
"""Loss differentials below which nothing is tested."""


@dataclass(frozen=True)
class DieboldMariano:
    """A test of equal accuracy.

    Attributes
    ----------
    statistic
        Positive where the differential is; NaN where there was too little to test.
    p_value
        Probability, were the two equally accurate, of a statistic as far out; NaN with the statistic.
    """

    statistic: float
    p_value: float


def diebold_mariano(
    differential: FloatArray, *, overlap: int = 1, alternative: Literal["two-sided", "greater"] = "two-sided"
) -> DieboldMariano:
    """Test whether a loss differential has mean zero, by Diebold and Mariano with the correction for small samples.

    With d̄ the mean of n differentials, γ_k their autocovariances (divided by n) and h the overlap, the statistic is
    d̄ / √(V/n) · √((n + 1 − 2h + h(h−1)/n) / n), V = γ_0 + 2 Σ γ_k for k < h, held against Student's t with n − 1
    degrees of freedom.

    Parameters
    ----------
    differential
        Loss of the benchmark less that of the forecast at each origin, oldest first.
    overlap
        h: how many successive origins a forecast window covers, so that differentials this far apart are independent.
        1 for windows that do not overlap; for forecasts of every single day, the horizon.
    alternative
        'greater': the benchmark loses more.

    Notes
    -----
    V can come out negative for h > 1; it is then taken with Bartlett's weights 1 − k/h, which cannot. Differentials
    that are all zero (forecasts that are identical) have statistic 0. Differentials that are all equal but not zero
    have an infinite one. With fewer than three, or no more than h, both numbers are NaN.

    References
    ----------
    Diebold and Mariano (1995), Comparing predictive accuracy, J. Business & Economic Statistics 13.
    Harvey, Leybourne and Newbold (1997), Testing the equality of prediction mean squared errors, Int. J. Forecasting
    13, equation (9).
    """
    n, h = len(differential), overlap
    if n < FEWEST or n <= h:
        return DieboldMariano(float("nan"), float("nan"))
    mean = float(differential.mean())
    centred = differential - mean
    size = float(np.abs(differential).max())
    if float(np.abs(centred).max()) <= ROUNDING * size:
        statistic = float(np.copysign(np.inf, mean)) if size > 0 else 0.0
    else:
        gamma = np.array([centred[lag:] @ centred[: n - lag] for lag in range(h)]) / n
        variance = gamma[0] + 2.0 * gamma[1:].sum()
        if variance <= 0:
            variance = gamma[0] + 2.0 * ((1.0 - np.arange(1, h) / h) * gamma[1:]).sum()
        correction = (n + 1 - 2 * h + h * (h - 1) / n) / n
        statistic = float(mean / np.sqrt(variance / n) * np.sqrt(correction))
    return DieboldMariano(statistic, _tail(statistic, n - 1, alternative))


def _tail(statistic: float, freedom: int, alternative: Literal["two-sided", "greater"]) -> float:
    """Give the probability of a t at least so far out."""
    from scipy.special import stdtr

    if alternative == "greater":
        return float(stdtr(freedom, -statistic))
    return float(2.0 * stdtr(freedom, -abs(statistic)))
