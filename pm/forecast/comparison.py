"""Tests of whether one forecast is more accurate than another, and of which are not worse than the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.volatility.base import FloatArray

__all__ = ["DieboldMariano", "diebold_mariano", "loss_differential", "model_confidence_set", "stationary_bootstrap"]

FEWEST = 3
"""Loss differentials below which nothing is tested."""

ROUNDING = 1e-9
"""Losses closer than this share of the larger are equal: what is left is rounding, not skill."""


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


def loss_differential(benchmark: FloatArray, losses: FloatArray) -> FloatArray:
    """Give how much less was lost than by the benchmark; exactly zero where the two differ by rounding alone."""
    difference = benchmark - losses
    size = np.maximum(np.abs(benchmark), np.abs(losses))
    return np.where(np.abs(difference) > ROUNDING * size, difference, 0.0)


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


def stationary_bootstrap(n: int, *, block: float, reps: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Give resampled indices of a series, shape (reps, n): blocks from anywhere, of geometric length, wrapping round.

    Parameters
    ----------
    n
        Length of the series.
    block
        Mean length of a block.
    reps
        Samples.
    generator
        Source of the draws.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap, J. American Statistical Association 89.
    """
    starts = generator.integers(0, n, (reps, n))
    new = generator.random((reps, n)) < 1.0 / block
    new[:, 0] = True
    place = np.arange(n)
    begun = np.maximum.accumulate(np.where(new, place, 0), axis=1)
    return (np.take_along_axis(starts, begun, axis=1) + place - begun) % n


def model_confidence_set(losses: FloatArray, resampled: NDArray[np.intp]) -> FloatArray:
    """Give each model's p-value of belonging to the model confidence set; the set at level 1 − α holds those above α.

    Models are eliminated one by one, the one that does worst against some other first. At each turn the range
    statistic, the largest t of any difference of mean losses L̄_i − L̄_j, is held against its bootstrapped distribution
    under equal accuracy; a model's p-value is the largest so far, and that of the last one 1.

    Parameters
    ----------
    losses
        Shape (origins, models).
    resampled
        From `stationary_bootstrap`: shape (reps, origins). Blocks should be no shorter than forecast windows overlap.

    Notes
    -----
    Two models with the same losses have a t of 0 against each other, and leave one after the other.

    References
    ----------
    Hansen, Lunde and Nason (2011), The model confidence set, Econometrica 79, section 3.1.2 (T_R).
    """
    origins, models = losses.shape
    mean = losses.mean(axis=0)
    counts = np.zeros((len(resampled), origins))
    np.add.at(counts, (np.arange(len(resampled))[:, np.newaxis], resampled), 1.0)
    centred = counts @ (losses - mean) / origins
    gaps = mean[:, np.newaxis] - mean
    draws = centred[:, :, np.newaxis] - centred[:, np.newaxis, :]
    spread = np.sqrt((draws**2).mean(axis=0))
    # Where the difference is the same at every origin there is no spread to divide by, or one of rounding: t is then
    # infinite, or 0 if the losses are equal too.
    rounding = ROUNDING * float(np.abs(mean).max())
    constant = spread <= rounding
    t = gaps / np.where(constant, 1.0, spread)
    t[constant & (np.abs(gaps) <= rounding)] = 0.0
    t[constant & (gaps > rounding)] = np.inf
    t[constant & (gaps < -rounding)] = -np.inf
    draws /= np.where(constant, np.inf, spread)

    p_values = np.ones(models)
    alive = np.arange(models)
    highest = 0.0
    while alive.size > 1:
        current = t[np.ix_(alive, alive)]
        statistic = current.max()
        simulated = draws[:, alive[:, np.newaxis], alive].max(axis=(1, 2))
        highest = max(highest, float((simulated >= statistic).mean()))
        worst = int(np.argmax(current.max(axis=1)))
        p_values[alive[worst]] = highest
        alive = np.delete(alive, worst)
    return p_values
