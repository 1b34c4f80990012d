"""Inference about Sharpe ratios: standard errors, annualisation, and what remains of the best of many trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pm.statistics.losses import RELATIVE_ROUNDING
from pm.statistics.regression import newey_west_lags

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = [
    "Sharpe",
    "annualisation",
    "annualisation_of",
    "deflated_sharpe",
    "effective_number",
    "expected_maximum",
    "hac_error",
    "minimum_track_record",
    "probabilistic_sharpe",
    "sharpe_of",
]

Variance = Literal["observed", "null"]
"""Sharpe ratio at which its own variance is computed.

'observed': the formula of Bailey and López de Prado (2012), with n − 1 observations. 'null': that of López de Prado,
Lipton and Zoonekynd (2025), with n observations, which does not let a large observed ratio widen its own error.
"""


@dataclass(frozen=True)
class Sharpe:
    """The Sharpe ratio of a series of returns, and the moments that its error depends on.

    Attributes
    ----------
    ratio
        Mean return over its standard deviation (n − 1 in the denominator), per observation. NaN if it is not defined:
        fewer than two returns, or returns without variance.
    skewness, kurtosis
        Third and fourth standardised moments; 0 and 3 for a normal distribution. NaN if the ratio is.
    observations
        Number n of returns.
    """

    ratio: float
    skewness: float
    kurtosis: float
    observations: int

    def variance(self, ratio: float) -> float:
        """Return n times the asymptotic variance of the estimated ratio if `ratio` is the true one.

        1 − γ₃·SR + (γ₄ − 1)/4·SR²; Mertens (2002). It is positive for the moments of any distribution, and at least
        zero for those of any sample.
        """
        return max(0.0, 1 - self.skewness * ratio + (self.kurtosis - 1) / 4 * ratio**2)


def sharpe_of(returns: FloatArray) -> Sharpe:
    """Return the Sharpe ratio of returns over a benchmark, with its moments.

    Parameters
    ----------
    returns
        Returns less those of the benchmark, shape (observations,), all finite.
    """
    n = len(returns)
    nan = float("nan")
    if n < 2:
        return Sharpe(nan, nan, nan, n)
    mean = float(returns.mean())
    centred = returns - mean
    second = float(centred @ centred) / n
    if math.sqrt(second) <= RELATIVE_ROUNDING * float(np.abs(returns).max()):
        return Sharpe(nan, nan, nan, n)
    scaled = centred / math.sqrt(second)
    return Sharpe(mean / math.sqrt(second * n / (n - 1)), float((scaled**3).mean()), float((scaled**4).mean()), n)


def probabilistic_sharpe(sharpe: Sharpe, *, null: float = 0.0, at: Variance = "observed") -> float:
    """Return the probability that the true Sharpe ratio is above `null`; NaN if the ratio is not defined.

    Parameters
    ----------
    null
        Sharpe ratio per observation that is to be exceeded.
    at
        Ratio at which the variance is computed.

    References
    ----------
    Bailey, D. and López de Prado, M. (2012), The Sharpe ratio efficient frontier, Journal of Risk 15(2), equation (9).
    López de Prado, M., Lipton, A. and Zoonekynd, V. (2025), How to use the Sharpe ratio, SSRN 5520741.

    Examples
    --------
    >>> round(probabilistic_sharpe(Sharpe(0.458, -2.448, 10.164, 24)), 3)
    0.913
    """
    from scipy.special import ndtr

    if math.isnan(sharpe.ratio):
        return float("nan")
    difference = sharpe.ratio - null
    error = _error(sharpe, null, at)
    if error == 0:
        return 0.5 if difference == 0 else float(difference > 0)
    return float(ndtr(difference / error))


def minimum_track_record(sharpe: Sharpe, *, null: float = 0.0, level: float = 0.95, at: Variance = "observed") -> float:
    """Return the number of observations from which the ratio would be above `null` with probability `level`.

    Infinite if the ratio is not above `null`; NaN if it is not defined.

    References
    ----------
    Bailey and López de Prado (2012), equation (11).

    Examples
    --------
    >>> round(minimum_track_record(Sharpe(0.458, -2.448, 10.164, 24)), 2)
    34.56
    """
    from scipy.special import ndtri

    if math.isnan(sharpe.ratio):
        return float("nan")
    if sharpe.ratio <= null:
        return math.inf
    needed = (float(ndtri(level)) / (sharpe.ratio - null)) ** 2
    if at == "null":
        return sharpe.variance(null) * needed
    return 1 + sharpe.variance(sharpe.ratio) * needed


def expected_maximum(count: float) -> float:
    """Return the approximate expected maximum of independent standard normal variables; 0 for one.

    (1 − γ)·Φ⁻¹(1 − 1/N) + γ·Φ⁻¹(1 − 1/(N·e)), with Euler's constant γ; 0 where that is negative, as it is for effective
    numbers below 1.3.

    Parameters
    ----------
    count
        Number N of variables, at least 1; an effective number need not be whole.

    References
    ----------
    Bailey, D. and López de Prado, M. (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40(5).

    Examples
    --------
    >>> round(expected_maximum(100), 4)
    2.5306
    """
    from scipy.special import ndtri

    if count <= 1:
        return 0.0
    largest = float(ndtri(1 - 1 / count))
    return max(0.0, (1 - np.euler_gamma) * largest + np.euler_gamma * float(ndtri(1 - 1 / (count * math.e))))


def deflated_sharpe(
    sharpe: Sharpe, *, trials: float, variance: float, at: Variance = "observed"
) -> tuple[float, float]:
    """Return the probability that the best of many ratios is above what luck alone would give, and that ratio.

    Parameters
    ----------
    sharpe
        The chosen trial.
    trials
        Number of trials, the chosen one included. Only the number of all that were ever run is safe: an effective
        number, computed from their correlations, was measured to let luck pass.
    variance
        Variance of the trials' Sharpe ratios, per observation.

    References
    ----------
    Bailey and López de Prado (2014), equations (1) and (2).
    """
    bar = math.sqrt(max(0.0, variance)) * expected_maximum(trials)
    return probabilistic_sharpe(sharpe, null=bar, at=at), bar


def effective_number(correlation: FloatArray) -> float:
    """Return the effective number of independent series: the exponential of the entropy of the eigenvalues.

    Parameters
    ----------
    correlation
        Correlations of the series, shape (series, series).

    References
    ----------
    Roy, O. and Vetterli, M. (2007), The effective rank, EUSIPCO.

    Examples
    --------
    >>> round(effective_number(np.eye(3)), 6)
    3.0
    """
    values = np.clip(np.linalg.eigvalsh(correlation), 0.0, None)
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def annualisation(returns: FloatArray, periods: int, *, lags: int | None = None) -> float:
    """Return the factor by which a ratio per observation becomes one per `periods` observations.

    q / √(q + 2 Σ (q − k)·ρ_k) with the autocorrelations ρ_k; √q if there are none.

    Parameters
    ----------
    periods
        Number q of observations in a year.
    lags
        Number of autocorrelations that count; by default that of `hac_error`. Those of higher lags are noise, and their
        sum over all lags of a sample is −1/2 whatever the series is.

    References
    ----------
    Lo, A. (2002), The statistics of Sharpe ratios, Financial Analysts Journal 58(4), equation (20).
    """
    n = len(returns)
    lags = min(newey_west_lags(n) if lags is None else lags, n - 1, periods - 1)
    centred = returns - returns.mean()
    variance = float(centred @ centred)
    if variance == 0:
        return math.sqrt(periods)
    rho = np.array([float(centred[lag:] @ centred[:-lag]) / variance for lag in range(1, lags + 1)])
    return annualisation_of(rho, periods)


def annualisation_of(autocorrelations: FloatArray, periods: int) -> float:
    """Return the factor of `annualisation` for given autocorrelations of lags 1, 2, …; those missing are 0.

    Examples
    --------
    >>> round(annualisation_of(0.2 ** np.arange(1, 12), 12), 4)
    2.8788
    """
    lags = np.arange(1, len(autocorrelations) + 1)
    whole = periods + 2 * float(((periods - lags) * autocorrelations).sum())
    return periods / math.sqrt(whole) if whole > 0 else float("nan")


def hac_error(returns: FloatArray, *, lags: int | None = None) -> float:
    """Return the standard error of the Sharpe ratio under autocorrelation and changing variance; NaN if undefined.

    The delta method on the mean and the second moment, with the covariance of Newey and West (Bartlett's weights).

    Parameters
    ----------
    returns
        Returns over the benchmark, shape (observations,).
    lags
        Number of lags; by default ⌊4·(n/100)^(2/9)⌋.

    References
    ----------
    Lo (2002), appendix. Newey, W. and West, K. (1987), Econometrica 55(3).
    """
    n = len(returns)
    sharpe = sharpe_of(returns)
    if math.isnan(sharpe.ratio):
        return float("nan")
    mean = float(returns.mean())
    variance = float(((returns - mean) ** 2).mean())
    # Influence of each return on mean/sd: (r − μ)/σ − μ/(2σ³)·((r − μ)² − σ²).
    deviation = returns - mean
    influence = deviation / math.sqrt(variance) - mean / (2 * variance**1.5) * (deviation**2 - variance)
    lags = min(newey_west_lags(n) if lags is None else lags, n - 1)
    long_run = float(influence @ influence) / n
    for lag in range(1, lags + 1):
        long_run += 2 * (1 - lag / (lags + 1)) * float(influence[lag:] @ influence[:-lag]) / n
    return math.sqrt(max(0.0, long_run) / n)


def _error(sharpe: Sharpe, null: float, at: Variance) -> float:
    if at == "null":
        return math.sqrt(sharpe.variance(null) / sharpe.observations)
    return math.sqrt(sharpe.variance(sharpe.ratio) / (sharpe.observations - 1))
