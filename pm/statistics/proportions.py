"""Proportions of trials, with their confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

__all__ = ["Proportion", "wilson"]


@dataclass(frozen=True)
class Proportion:
    """A share of trials, with its confidence interval.

    Attributes
    ----------
    share
        Hits over trials; NaN without trials, and so are its limits.
    lower, upper
        Ends of the Wilson interval.
    trials
        Outcomes counted.
    left_out
        Outcomes that could be neither hit nor miss.
    """

    share: float
    lower: float
    upper: float
    trials: int
    left_out: int = 0


def wilson(hits: float, trials: float, *, level: float = 0.95) -> tuple[float, float]:
    """Give the Wilson score interval of a proportion; NaN and NaN without trials.

    Unlike ±z standard errors it stays within 0 and 1 and keeps its level with few trials. Counts may be fractions:
    those of trials that depend on one another, divided by how many make an independent one.

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
