"""Exponentially weighted volatility: the fallback for tickers to which no GARCH model can be fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.exclusions import Exclusion
from pm.statistics.robust import OUTLIER_SIGMAS
from pm.tables.vocabulary import Reason
from pm.volatility.base import BACKCAST_RETURNS, SMALLEST_SIGMA, VolatilityEstimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.typing import FloatArray
    from pm.volatility.base import Key

__all__ = ["EwmaModel"]

MIN_RETURNS = 20
"""Minimum number of returns (one month). With λ = 0.94 the weight of the starting value has fallen to 0.3 by then."""


@dataclass(frozen=True)
class EwmaModel:
    """RiskMetrics volatility: h[t+1] = (1 − λ)·r[t]² + λ·h[t], without a mean and with no parameter to estimate.

    The recursion starts from the mean of the first squared returns, weighted λ⁰, λ¹, …

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
        """Run the recursion over each series of log returns (finite, oldest first), or return why it is impossible."""
        return {key: self._fit_one(series) for key, series in returns.items()}

    def _fit_one(self, returns: FloatArray) -> VolatilityEstimate | Exclusion:
        if len(returns) < MIN_RETURNS:
            return Exclusion(Reason.TOO_FEW_RETURNS, f"needs {MIN_RETURNS} returns, has {len(returns)}")
        variance = self._filter(returns**2)
        sigma = np.sqrt(variance)
        if not sigma[-1] >= SMALLEST_SIGMA:
            return Exclusion(Reason.CONSTANT, f"volatility is {sigma[-1]:.1e} per day: the price hardly moves")
        # Residuals are undefined where the price did not move for long.
        moving = sigma[:-1] >= SMALLEST_SIGMA
        residuals = returns[moving] / sigma[:-1][moving]
        known = int(np.count_nonzero(np.abs(residuals) <= OUTLIER_SIGMAS))
        if known < MIN_RETURNS:
            return Exclusion(
                Reason.TOO_FEW_RETURNS, f"needs {MIN_RETURNS} returns since the price started to move, has {known}"
            )
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
        """Return the variance of each session and of the one after the last, from squared returns."""
        from scipy.signal import lfilter  # scipy.signal takes 0.3 s to import

        weights = self.decay ** np.arange(min(BACKCAST_RETURNS, len(squares)))
        start = squares[: len(weights)] @ weights / weights.sum()
        later, _ = lfilter([1.0 - self.decay], [1.0, -self.decay], squares, zi=[self.decay * start])
        return np.concatenate([[start], later])
