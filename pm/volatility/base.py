"""What a volatility model is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

__all__ = [
    "FARTHEST_SHOCK",
    "SMALLEST_SIGMA",
    "BoolArray",
    "Exclusion",
    "FloatArray",
    "IntArray",
    "Key",
    "VolatilityEstimate",
]

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

Key = TypeVar("Key", bound="Hashable")

SMALLEST_SIGMA = 1e-6
"""A hundredth of a basis point a day: below any tick. A ticker that moves less is not traded, or not a price."""

FARTHEST_SHOCK = 25.0
"""Standard deviations beyond which a residual is the end of a quiet regime (a peg, a halt) and no shock of this one."""


@dataclass(frozen=True)
class Exclusion:
    """Why a ticker could not be served: a short name, and the same in words with its numbers."""

    reason: str
    detail: str


@dataclass(frozen=True)
class VolatilityEstimate:
    """A conditional variance that follows h[t+1] = ω + (α + γ·1[e[t] < 0])·e[t]² + β·h[t], where e[t] = r[t] − μ.

    Every unit is per day, of log returns as they are (not in percent).

    Attributes
    ----------
    model
        Name of the model that was fitted.
    mu
        Mean log return.
    omega
        Constant of the recursion; 0 where the model has none.
    alpha, gamma, beta
        Weights of the last squared shock, of the same once more if it was a fall, and of the last variance.
    nu
        Degrees of freedom of Student's t; None where the shocks are not taken to have one.
    next_variance
        Variance of the first session after the last return.
    residuals
        Shocks divided by their conditional standard deviation, oldest first.
    log_likelihood
        Of the returns in percent; None where nothing was maximised.
    errors
        Robust standard errors by the name of the parameter, where they were asked for.
    """

    model: str
    mu: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    nu: float | None
    next_variance: float
    residuals: FloatArray
    log_likelihood: float | None
    errors: Mapping[str, float] = field(default_factory=dict)

    @property
    def shocks(self) -> FloatArray:
        """The residuals of mean 0 and variance 1, ascending: the law that shocks are drawn from.

        Without those beyond `FARTHEST_SHOCK`: one of them among 600 would be half or more of their variance, and all
        others drawn too small.
        """
        drawn = np.sort(self.residuals[np.abs(self.residuals) <= FARTHEST_SHOCK])
        return np.asarray((drawn - drawn.mean()) / drawn.std())

    @property
    def persistence(self) -> float:
        """Share of today's excess variance expected to be left tomorrow: α + γ·E[z²·1[z < 0]] + β.

        The expectation is that of the shocks, ½ where they are symmetric.
        """
        if self.gamma == 0.0:
            return self.alpha + self.beta
        shocks = self.shocks
        falls = float(np.sum(shocks[shocks < 0.0] ** 2)) / len(shocks)
        return self.alpha + self.gamma * falls + self.beta

    def forecast_variance(self, horizon: int) -> FloatArray:
        """Give the expected variance of each of the next `horizon` sessions, in closed form.

        E h[T+1] is known; E h[T+k] = ω + persistence·E h[T+k−1] (Bollerslev 1986; Glosten, Jagannathan and Runkle
        1993, On the relation between the expected value and the volatility of the nominal excess return on stocks,
        J. Finance 48).
        """
        persistence = self.persistence
        variance = np.empty(horizon)
        variance[0] = self.next_variance
        for step in range(1, horizon):
            variance[step] = self.omega + persistence * variance[step - 1]
        return variance
