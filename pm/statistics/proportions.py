"""Proportions of successful trials, with confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

__all__ = ["Proportion", "wilson"]


@dataclass(frozen=True)
class Proportion:
    """Share of successful trials, with its confidence interval.

    Attributes
    ----------
    share
        Number of successes divided by the number of trials; NaN, like `lower` and `upper`, if there are no trials.
    lower, upper
        Limits of the Wilson interval.
    trials
        Number of outcomes that count as a success or a failure.
    left_out
        Number of outcomes that count as neither.
    """

    share: float
    lower: float
    upper: float
    trials: int
    left_out: int = 0


def wilson(hits: float, trials: float, *, level: float = 0.95) -> tuple[float, float]:
    """Return the lower and upper limit of the Wilson score interval of a proportion; NaN if there are no trials.

    Unlike ±z standard errors it stays between 0 and 1, and its coverage is close to the level even with few trials.

    Parameters
    ----------
    hits, trials
        Numbers of successes and of trials. They need not be whole numbers: if trials depend on one another, divide
        both by the number of trials that carry the information of one independent trial.
    level
        Confidence level.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, J. American Statistical
    Association 22. Brown, Cai and DasGupta (2001), Interval estimation for a binomial proportion, Statistical Science
    16.
    """
    if trials <= 0:
        return float("nan"), float("nan")
    z2 = NormalDist().inv_cdf((1.0 + level) / 2.0) ** 2
    share = hits / trials
    centre = (share + z2 / (2.0 * trials)) / (1.0 + z2 / trials)
    half = (z2 * (share * (1.0 - share) / trials + z2 / (4.0 * trials**2))) ** 0.5 / (1.0 + z2 / trials)
    return max(0.0, centre - half), min(1.0, centre + half)
