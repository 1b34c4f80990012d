"""Tests of past value at risk and expected shortfall against the losses that followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.typing import BoolArray, FloatArray

__all__ = [
    "Independence",
    "LikelihoodRatio",
    "MeanTest",
    "basel_zone",
    "christoffersen",
    "fz0_loss",
    "kupiec",
    "mcneil_frey",
    "z2",
    "z2_critical",
]

_GREEN, _YELLOW = 0.95, 0.9999
"""Cumulative probabilities of the number of exceptions at which the Basel zones green and yellow end."""


@dataclass(frozen=True)
class LikelihoodRatio:
    """Result of a likelihood ratio test.

    Attributes
    ----------
    statistic
        Twice the difference of the log-likelihoods.
    p_value
        Probability of a statistic at least as large if the hypothesis is true.
    """

    statistic: float
    p_value: float


@dataclass(frozen=True)
class Independence:
    """Result of Christoffersen's tests.

    Attributes
    ----------
    transitions
        Number of days after a day, by whether that day and this one had an exception: n00, n01, n10, n11.
    independence
        Test that an exception is as likely after an exception as after none; 1 degree of freedom.
    conditional
        Test of both the share of exceptions and independence; 2 degrees of freedom.
    """

    transitions: tuple[int, int, int, int]
    independence: LikelihoodRatio
    conditional: LikelihoodRatio


@dataclass(frozen=True)
class MeanTest:
    """Result of a one-sided test that a mean is 0.

    Attributes
    ----------
    statistic
        Mean divided by its standard error; NaN if there are too few values.
    p_value
        Probability of a statistic at least as large if the mean is 0, from the bootstrap.
    count
        Number of values.
    """

    statistic: float
    p_value: float
    count: int


def kupiec(exceptions: int, days: int, probability: float) -> LikelihoodRatio:
    """Test whether the share of exceptions is the probability, whatever their order.

    Parameters
    ----------
    exceptions, days
        Number of losses above the value at risk, and number of forecasts.
    probability
        Probability of an exception, such as 0.01.

    References
    ----------
    Kupiec (1995), Techniques for verifying the accuracy of risk measurement models, J. Derivatives 3.
    """
    share = exceptions / days if days else probability
    statistic = 2.0 * (_log_likelihood(exceptions, days, share) - _log_likelihood(exceptions, days, probability))
    return _ratio(statistic, 1)


def christoffersen(exceptions: BoolArray, probability: float) -> Independence:
    """Test whether exceptions are independent of the day before, and whether they also have the right share.

    Parameters
    ----------
    exceptions
        Whether the loss exceeded the value at risk, by day.
    probability
        Probability of an exception.

    References
    ----------
    Christoffersen (1998), Evaluating interval forecasts, International Economic Review 39.
    """
    before, after = exceptions[:-1], exceptions[1:]
    n00 = int(np.sum(~before & ~after))
    n01 = int(np.sum(~before & after))
    n10 = int(np.sum(before & ~after))
    n11 = int(np.sum(before & after))
    total = n00 + n01 + n10 + n11
    hits = n01 + n11
    unrestricted = _log_likelihood(n01, n00 + n01, _share(n01, n00 + n01))
    unrestricted += _log_likelihood(n11, n10 + n11, _share(n11, n10 + n11))
    restricted = _log_likelihood(hits, total, _share(hits, total))
    statistic = max(0.0, 2.0 * (unrestricted - restricted))
    unconditional = kupiec(int(exceptions.sum()), len(exceptions), probability)
    return Independence((n00, n01, n10, n11), _ratio(statistic, 1), _ratio(statistic + unconditional.statistic, 2))


def basel_zone(exceptions: int, days: int, probability: float) -> str:
    """Return the Basel traffic light of a number of exceptions: 'green', 'yellow' or 'red'.

    Yellow begins where the probability of so many or fewer exceptions reaches 95%, red where it reaches 99.99%. For 250
    days at 1%, green is up to 4 exceptions and red from 10. No more exceptions than are expected are green, whatever
    their probability: of few days, none at all is what most likely comes.

    References
    ----------
    Basel Committee on Banking Supervision (1996), Supervisory framework for the use of "backtesting".
    """
    from scipy.stats import binom

    cumulative = float(binom.cdf(exceptions, days, probability))
    if cumulative < _GREEN or exceptions <= days * probability:
        return "green"
    return "yellow" if cumulative < _YELLOW else "red"


def z2(losses: FloatArray, var: FloatArray, es: FloatArray, probability: float) -> float:
    """Return the second statistic of Acerbi and Szekely, 1 − Σ L·1[L > VaR] / (T·α·ES); 0 is expected, less is bad.

    It is negative if exceptions are too many, too large, or both: −1 if losses beyond the value at risk were twice what
    was forecast.

    References
    ----------
    Acerbi and Szekely (2014), Backtesting expected shortfall, Risk.
    """
    return float(1.0 - np.sum(np.where(losses > var, losses / es, 0.0)) / (len(losses) * probability))


def z2_critical(
    days: int,
    probability: float,
    *,
    size: float = 0.05,
    degrees: float | None = None,
    draws: int = 20_000,
    seed: int = 0,
) -> float:
    """Return the value of `z2` that is undercut with probability `size` if the forecasts are right, by simulation.

    Parameters
    ----------
    days, probability
        Number of forecasts, and probability of an exception.
    size
        Probability of a false alarm.
    degrees
        Degrees of freedom of Student's t that losses have; normal losses if None.
    draws, seed
        Number of simulations, and their seed.
    """
    from scipy.stats import norm, t

    generator = np.random.default_rng(seed)
    distribution = norm if degrees is None else t(degrees)
    var = float(distribution.ppf(1.0 - probability))
    if degrees is None:
        es = float(norm.pdf(var)) / probability
    else:
        es = float(distribution.pdf(var)) * (degrees + var**2) / (degrees - 1.0) / probability
    # Only the exceptions matter: their number is binomial, and their size follows the tail beyond the value at risk.
    counts = generator.binomial(days, probability, draws)
    sizes = distribution.isf(generator.random(int(counts.sum())) * probability)
    sums = np.add.reduceat(np.append(sizes, 0.0), np.minimum(np.cumsum(counts) - counts, len(sizes)))
    sums[counts == 0] = 0.0
    return float(np.quantile(1.0 - sums / (days * probability * es), size))


def mcneil_frey(losses: FloatArray, var: FloatArray, es: FloatArray, *, draws: int = 10_000, seed: int = 0) -> MeanTest:
    """Test whether losses beyond the value at risk are larger on average than the expected shortfall.

    The residuals are (L − ES) / ES on days with an exception. The hypothesis that their mean is 0 is tested against a
    larger one by the bootstrap of the studentised mean.

    References
    ----------
    McNeil and Frey (2000), Estimation of tail-related risk measures for heteroscedastic financial time series, J.
    Empirical Finance 7.
    Efron and Tibshirani (1993), An introduction to the bootstrap, algorithm 16.2.
    """
    hit = losses > var
    residuals = (losses[hit] - es[hit]) / es[hit]
    count = len(residuals)
    if count < 3 or np.ptp(residuals) == 0.0:
        return MeanTest(float("nan"), float("nan"), count)
    statistic = float(residuals.mean() / (residuals.std(ddof=1) / np.sqrt(count)))
    centred = residuals - residuals.mean()
    sample = centred[np.random.default_rng(seed).integers(0, count, (draws, count))]
    deviation = sample.std(axis=1, ddof=1) / np.sqrt(count)
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = sample.mean(axis=1) / deviation
    return MeanTest(statistic, float(np.mean(np.nan_to_num(resampled) >= statistic)), count)


def fz0_loss(losses: FloatArray, var: FloatArray, es: FloatArray, probability: float) -> FloatArray:
    """Return the loss FZ0 of joint forecasts of value at risk and expected shortfall, by day; smaller is better.

    1[L > VaR]·(L − VaR) / (α·ES) + VaR / ES + ln ES − 1, which the true pair minimises on average. Compare two
    forecasts by `pm.statistics.diebold_mariano` of the differences.

    References
    ----------
    Patton, Ziegel and Chen (2019), Dynamic semiparametric models for expected shortfall (and value-at-risk), J.
    Econometrics 211, equation (6).
    """
    excess = np.where(losses > var, losses - var, 0.0)
    return np.asarray(excess / (probability * es) + var / es + np.log(es) - 1.0)


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0


def _log_likelihood(hits: int, total: int, probability: float) -> float:
    """Return the log-likelihood of a number of hits; 0·ln 0 is 0."""
    from scipy.special import xlog1py, xlogy

    return float(xlogy(hits, probability) + xlog1py(total - hits, -probability))


def _ratio(statistic: float, degrees: int) -> LikelihoodRatio:
    from scipy.special import chdtrc

    return LikelihoodRatio(statistic, float(chdtrc(degrees, max(statistic, 0.0))))
