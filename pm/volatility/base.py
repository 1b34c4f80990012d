"""What the models share: their result, the names of their parameters, and limits of what is a market's movement."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pm.statistics.robust import OUTLIER_SIGMAS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from pm.typing import FloatArray

__all__ = [
    "BACKCAST_RETURNS",
    "MAX_PERSISTENCE",
    "PARAMETERS",
    "SMALLEST_SIGMA",
    "Key",
    "VolatilityEstimate",
]

Key = TypeVar("Key", bound="Hashable")

PARAMETERS = ("mu", "omega", "alpha", "gamma", "beta", "nu")
"""Names of the parameters, in the order of every array of parameters."""

BACKCAST_RETURNS = 75
"""Number of first squared returns whose weighted mean starts the recursion of the variance."""

MAX_PERSISTENCE = 1.0 - 1e-4
"""Largest persistence of a stationary variance. Beyond it a shock's half-life exceeds 6,900 sessions, more than any
window has: the variance has no long-run level."""

SMALLEST_SIGMA = 1e-6
"""Smallest volatility per day that is modelled (0.01 basis points, below any tick): a price that moves less is not
traded."""


@dataclass(frozen=True)
class VolatilityEstimate:
    """A conditional variance that follows h[t+1] = ω + (α + γ·1[e[t] < 0])·e[t]² + β·h[t], where e[t] = r[t] − μ.

    Every unit is per day, of log returns as they are (not in percent).

    Attributes
    ----------
    model
        Name of the fitted model.
    mu
        Mean log return.
    omega
        Constant of the recursion; 0 where the model has none.
    alpha, gamma, beta
        Weight of the last squared shock, its additional weight after a fall, and the weight of the last variance.
    nu
        Degrees of freedom of Student's t; None where the model does not assume it.
    next_variance
        Variance of the first session after the last return.
    residuals
        Shocks divided by their conditional standard deviation, oldest first.
    log_likelihood
        Log-likelihood of the returns in percent; None where no likelihood was maximised.
    errors
        Robust standard errors by name of the parameter; empty where they were not requested.
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
        """The residuals standardised to mean 0 and variance 1, ascending: the distribution that simulations draw from.

        Residuals beyond `OUTLIER_SIGMAS` are left out: one of them among 600 would be half or more of their variance,
        and all other shocks would be drawn too small.
        """
        drawn = np.sort(self.residuals[np.abs(self.residuals) <= OUTLIER_SIGMAS])
        return np.asarray((drawn - drawn.mean()) / drawn.std())

    @property
    def persistence(self) -> float:
        """Share of today's excess variance that is expected to remain tomorrow: α + γ·E[z²·1[z < 0]] + β.

        The expectation is taken over `shocks`; it is ½ where they are symmetric.
        """
        if self.gamma == 0.0:
            return self.alpha + self.beta
        shocks = self.shocks
        falls = float(np.sum(shocks[shocks < 0.0] ** 2)) / len(shocks)
        return self.alpha + self.gamma * falls + self.beta

    @property
    def is_stationary(self) -> bool:
        """Whether the variance has a long-run level, with half of the squared shocks in falls, as the model assumes.

        With the residuals' own share, the persistence may be a little above 1: over a horizon of weeks that is a slow
        rise of the variance, not an explosion.
        """
        return self.alpha + 0.5 * self.gamma + self.beta <= MAX_PERSISTENCE

    def forecast_variance(self, horizon: int) -> FloatArray:
        """Return the expected variance of each of the next `horizon` sessions, in closed form.

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
