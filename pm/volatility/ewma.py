"""Exponentially weighted volatility: what serves a ticker when GARCH cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.exclusions import Exclusion
from pm.tables.vocabulary import Reason
from pm.volatility.base import FARTHEST_SHOCK, SMALLEST_SIGMA, VolatilityEstimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.typing import FloatArray
    from pm.volatility.base import Key

__all__ = ["EwmaModel"]

MIN_RETURNS = 20
"""A month. With λ = 0.94 a shock's weight has fallen to 0.3 by then: less says more of the start than of the ticker."""

BACKCAST = 75
"""Returns that the starting variance is taken from."""


@dataclass(frozen=True)
class EwmaModel:
    """RiskMetrics volatility: h[t+1] = (1 − λ)·r[t]² + λ·h[t], with no mean and nothing to estimate.

    The recursion starts from the first squared returns, weighted λ^0, λ^1, …

    Parameters
    ----------
    decay
        λ.

    References
    ----------
    J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th ed., section 5.2.
    """

    decay: float
    name: str = "ewma"

    def fit(self, returns: Mapping[Key, FloatArray]) -> dict[Key, VolatilityEstimate | Exclusion]:
        """Run the recursion over each series of log returns (finite, oldest first), or say why it cannot be done."""
        return {key: self._fit_one(series) for key, series in returns.items()}

    def _fit_one(self, returns: FloatArray) -> VolatilityEstimate | Exclusion:
        if len(returns) < MIN_RETURNS:
            return Exclusion(Reason.TOO_FEW_RETURNS, f"needs {MIN_RETURNS} returns, has {len(returns)}")
        variance = self._filter(returns**2)
        sigma = np.sqrt(variance)
        if not sigma[-1] >= SMALLEST_SIGMA:
            return Exclusion(Reason.CONSTANT, f"volatility is {sigma[-1]:.1e} a day: the price hardly moves")
        # Where the price stood still there was nothing to be shocked.
        moved = sigma[:-1] >= SMALLEST_SIGMA
        residuals = returns[moved] / sigma[:-1][moved]
        known = int(np.count_nonzero(np.abs(residuals) <= FARTHEST_SHOCK))
        if known < MIN_RETURNS:
            return Exclusion(Reason.TOO_FEW_RETURNS, f"needs {MIN_RETURNS} returns since the price moves, has {known}")
        return VolatilityEstimate(
            model=self.name,
            mu=0.0,
            omega=0.0,
            alpha=1.0 - self.decay,
            gamma=0.0,
            beta=self.decay,
            nu=None,
            next_variance=float(variance[-1]),
            residuals=residuals,
            log_likelihood=None,
        )

    def _filter(self, squares: FloatArray) -> FloatArray:
        """Give the variance of each session and of the one after the last."""
        from scipy.signal import lfilter  # scipy.signal takes 0.3 s to import

        weights = self.decay ** np.arange(min(BACKCAST, len(squares)))
        start = squares[: len(weights)] @ weights / weights.sum()
        later, _ = lfilter([1.0 - self.decay], [1.0, -self.decay], squares, zi=[self.decay * start])
        return np.concatenate([[start], later])
