"""GARCH(1,1) by quasi-maximum likelihood, ticker by ticker."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.volatility.base import FloatArray, Refusal, VolatilityEstimate

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GarchModel"]

PERCENT = 100.0
"""The likelihood is maximised on returns in percent: at 1e-4 the variances are too small for the optimiser's steps."""

MAX_PERSISTENCE = 1.0 - 1e-4
"""Beyond it a shock's half-life exceeds 6,900 sessions, more than any window holds: there is no mean to revert to."""


@dataclass(frozen=True)
class GarchModel:
    """GARCH(1,1) with a constant mean and Gaussian quasi-likelihood, by `arch`.

    r[t] = μ + e[t],  e[t] = √h[t]·z[t],  h[t+1] = ω + α·e[t]² + β·h[t]. The Gaussian likelihood is consistent for the
    parameters whatever the law of z (Bollerslev and Wooldridge 1992); its true shape enters by the residuals.

    A fit at or beyond the edge of stationarity (α + β ≥ 1) is refused, not repaired: its forecasts revert to a level
    that the data do not determine.

    References
    ----------
    Bollerslev (1986), Generalized autoregressive conditional heteroskedasticity, J. Econometrics 31.
    """

    name: str = "garch11"

    def fit(self, returns: Mapping[str, FloatArray]) -> dict[str, VolatilityEstimate | Refusal]:
        """Maximise each ticker's likelihood; see `VolatilityModel.fit`."""
        return {ticker: self._fit_one(series) for ticker, series in returns.items()}

    def _fit_one(self, returns: FloatArray) -> VolatilityEstimate | Refusal:
        from arch.univariate import GARCH, ConstantMean, Normal  # arch takes a second to import

        model = ConstantMean(returns * PERCENT, volatility=GARCH(p=1, q=1), distribution=Normal(), rescale=False)
        try:
            # The optimiser's steps may overflow or leave its bounds on the way; what it ends with is judged below.
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.filterwarnings("ignore", message="Values in x were outside bounds", category=RuntimeWarning)
                fitted = model.fit(disp="off", show_warning=False)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            return Refusal("not_converged", f"GARCH failed: {error}")
        if fitted.convergence_flag != 0:
            return Refusal("not_converged", f"GARCH did not converge: {fitted.optimization_result.message}")
        mu, omega, alpha, beta = (float(value) for value in fitted.params)
        sigma, shock = fitted.conditional_volatility, fitted.resid
        estimate = VolatilityEstimate(
            model=self.name,
            mu=mu / PERCENT,
            omega=omega / PERCENT**2,
            alpha=alpha,
            beta=beta,
            next_variance=float(omega + alpha * shock[-1] ** 2 + beta * sigma[-1] ** 2) / PERCENT**2,
            residuals=np.asarray(shock / sigma, dtype=np.float64),
            log_likelihood=float(fitted.loglikelihood),
        )
        if not (np.isfinite([mu, omega, alpha, beta, fitted.loglikelihood]).all() and estimate.next_variance > 0):
            return Refusal("not_finite", f"GARCH gave mu={mu:g}, omega={omega:g}, alpha={alpha:g}, beta={beta:g}")
        if estimate.persistence > MAX_PERSISTENCE:
            return Refusal("not_stationary", f"alpha + beta = {estimate.persistence:.6f}: variance has no level")
        return estimate
