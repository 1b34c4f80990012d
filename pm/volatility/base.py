"""What a volatility model is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FloatArray", "Refusal", "VolatilityEstimate", "VolatilityModel"]

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Refusal:
    """Why a ticker could not be served: a short name, and the same in words with its numbers."""

    reason: str
    detail: str


@dataclass(frozen=True)
class VolatilityEstimate:
    """A conditional variance that follows h[t+1] = ω + α·e[t]² + β·h[t], where e[t] = r[t] − μ.

    Every unit is per day, of log returns as they are (not in percent).

    Attributes
    ----------
    model
        Name of the model that was fitted.
    mu
        Mean log return.
    omega
        Constant of the recursion; None where the model has none.
    alpha, beta
        Weights of the last squared shock and of the last variance.
    next_variance
        Variance of the first session after the last return.
    residuals
        Shocks divided by their conditional standard deviation, oldest first.
    log_likelihood
        Gaussian log-likelihood of the returns in percent; None where nothing was maximised.
    """

    model: str
    mu: float
    omega: float | None
    alpha: float
    beta: float
    next_variance: float
    residuals: FloatArray
    log_likelihood: float | None

    @property
    def persistence(self) -> float:
        """Share of today's excess variance expected to be left tomorrow."""
        return self.alpha + self.beta

    def forecast_variance(self, horizon: int) -> FloatArray:
        """Give the expected variance of each of the next `horizon` sessions, in closed form.

        E h[T+1] is known; E h[T+k] = ω + (α + β)·E h[T+k−1] (Bollerslev 1986).
        """
        variance = np.empty(horizon)
        variance[0] = self.next_variance
        for step in range(1, horizon):
            variance[step] = (self.omega or 0.0) + self.persistence * variance[step - 1]
        return variance


class VolatilityModel(Protocol):
    """A way to estimate conditional variances, for many tickers at once.

    A batch in and a batch out, so that a kernel over all tickers fits the same seam as a loop does. A ticker's
    estimate may depend on its own returns only: results must not change with the company it is fitted in.
    """

    @property
    def name(self) -> str:
        """The name under which the table `volatility` knows it."""
        ...

    def fit(self, returns: Mapping[str, FloatArray]) -> dict[str, VolatilityEstimate | Refusal]:
        """Fit each ticker's log returns (finite, oldest first), or say why it cannot be done."""
        ...
