"""GARCH(1,1), with leverage and with fat tails: the kernel over the whole batch, `arch` for what it cannot settle."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.errors import SettingsError, did_you_mean
from pm.exclusions import Exclusion
from pm.tables.vocabulary import Reason
from pm.volatility.base import SMALLEST_SIGMA, VolatilityEstimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.typing import FloatArray
    from pm.volatility.base import Key

__all__ = ["GARCH_MODELS", "GarchModel", "garch_model"]

PERCENT = 100.0
"""Likelihoods are told of returns in percent, as `arch` tells them."""

MAX_PERSISTENCE = 1.0 - 1e-4
"""Beyond it a shock's half-life exceeds 6,900 sessions, more than any window holds: there is no mean to revert to."""

EQUAL_LIKELIHOOD = 1e-3
"""Log-likelihoods nearer than this are the same."""


@dataclass(frozen=True)
class GarchModel:
    """GARCH(1,1) with a constant mean, by (quasi-)maximum likelihood.

    r[t] = μ + e[t],  e[t] = √h[t]·z[t],  h[t+1] = ω + (α + γ·1[e[t] < 0])·e[t]² + β·h[t]. The Gaussian likelihood is
    consistent for the parameters whatever the law of z (Bollerslev and Wooldridge 1992); its true shape enters by the
    residuals.

    A fit at or beyond the edge of stationarity is refused, not repaired: its forecasts revert to a level that the data
    do not determine.

    Parameters
    ----------
    name
        The name under which settings and the table `volatility_fits` know it.
    leverage
        Whether a fall moves the variance more than a rise (γ): Glosten, Jagannathan and Runkle (1993).
    student
        Whether z is Student t of unit variance (ν): Bollerslev (1987), A conditionally heteroskedastic time series
        model for speculative prices and rates of return, Review of Economics and Statistics 69.

    References
    ----------
    Bollerslev (1986), Generalized autoregressive conditional heteroskedasticity, J. Econometrics 31.
    """

    name: str
    leverage: bool = False
    student: bool = False

    def fit(
        self, returns: Mapping[Key, FloatArray], *, errors: bool = False
    ) -> dict[Key, VolatilityEstimate | Exclusion]:
        """Maximise the likelihood of each series of log returns (oldest first), or say why it cannot be done.

        A series' estimate depends on its own returns only, not on the company it is fitted in. With `errors`, the
        estimates have robust standard errors.
        """
        from pm.volatility import kernel  # numba takes 0.5 s to import

        if not returns:
            return {}
        series = [np.ascontiguousarray(values, dtype=np.float64) for values in returns.values()]
        begins = np.concatenate([[0], np.cumsum([len(values) for values in series])])
        parameters, statuses, likelihoods = kernel.fit_batch(
            np.concatenate(series), begins, self.leverage, self.student
        )
        fitted: dict[Key, VolatilityEstimate | Exclusion] = {}
        for place, (key, values) in enumerate(zip(returns, series, strict=True)):
            status, theta, likelihood = int(statuses[place]), parameters[place], float(likelihoods[place])
            if status == kernel.NOT_CONVERGED:
                theta, likelihood, status = self._by_arch(values, likelihood)
            if status == kernel.CONVERGED:
                fitted[key] = self._judge(values, theta, likelihood, errors=errors)
            else:
                fitted[key] = self._refusal(status, values)
        return fitted

    def _refusal(self, status: int, returns: FloatArray) -> Exclusion:
        """Put into words why the kernel could not fit a series."""
        from pm.volatility import kernel

        length = len(returns)
        return {
            kernel.NOT_CONVERGED: Exclusion(Reason.NOT_CONVERGED, f"{self.name} did not converge"),
            kernel.TOO_SHORT: Exclusion(Reason.TOO_FEW_RETURNS, f"{self.name} cannot be fitted to {length} returns"),
            kernel.CONSTANT: Exclusion(Reason.CONSTANT, f"all {length} returns are the same"),
            kernel.NOT_FINITE: Exclusion(
                Reason.BAD_RETURN, f"{np.sum(~np.isfinite(returns))} of {length} returns are not numbers"
            ),
        }[status]

    def _judge(
        self, returns: FloatArray, theta: FloatArray, likelihood: float, *, errors: bool
    ) -> VolatilityEstimate | Exclusion:
        """Make an estimate of a fit, or refuse it."""
        from pm.volatility import kernel

        mu, omega, alpha, gamma, beta, nu = theta.tolist()
        variance = kernel.conditional_variances(returns, theta)
        least, most = float(variance.min()), float(variance.max())
        if not (least > 0.0 and math.isfinite(most) and math.isfinite(mu)):
            said = f"mu={mu:g}, omega={omega:g}, alpha={alpha:g}, gamma={gamma:g}, beta={beta:g}"
            return Exclusion(Reason.BAD_ESTIMATE, f"{self.name} gave {said}")
        smallest = math.sqrt(least)
        if smallest < SMALLEST_SIGMA:
            return Exclusion(Reason.CONSTANT, f"volatility falls to {smallest:.1e} a day: the price hardly moves")
        # By the model's own law, under which half of the shocks are falls. By the residuals' share of falls a step's
        # growth may be a little above 1; over a horizon of weeks that is a slow rise, not an explosion.
        persistence = alpha + 0.5 * gamma + beta
        if persistence > MAX_PERSISTENCE:
            return Exclusion(
                Reason.NOT_STATIONARY, f"{self.name}: persistence {persistence:.6f}: variance has no level"
            )
        found = kernel.robust_errors(returns, theta, self.leverage) if errors else np.empty(0)
        return VolatilityEstimate(
            model=self.name,
            mu=mu,
            omega=omega,
            alpha=alpha,
            gamma=gamma,
            beta=beta,
            nu=nu if self.student else None,
            next_variance=float(variance[-1]),
            residuals=(returns - mu) / np.sqrt(variance[:-1]),
            log_likelihood=likelihood - len(returns) * math.log(PERCENT),
            errors={
                name: float(error)
                for name, error in zip(kernel.PARAMETERS, found, strict=False)
                if math.isfinite(error)
            },
        )

    def _by_arch(self, returns: FloatArray, reached: float) -> tuple[FloatArray, float, int]:
        """Fit one series by `arch`; give parameters, log-likelihood and status as the kernel does.

        A top below what the kernel has `reached` is none: where the likelihood has no bound, as on a price that seldom
        moves, `arch` may stop anywhere.
        """
        from arch.univariate import GARCH, ConstantMean, Normal, StudentsT  # takes a second to import

        from pm.volatility import kernel

        nothing = np.full(len(kernel.PARAMETERS), math.nan)
        model = ConstantMean(
            returns * PERCENT,
            volatility=GARCH(p=1, o=int(self.leverage), q=1),
            distribution=StudentsT() if self.student else Normal(),
            rescale=False,
        )
        try:
            # The optimiser's steps may overflow or leave its bounds on the way; its flag judges what it ends with.
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.filterwarnings("ignore", message="Values in x were outside bounds", category=RuntimeWarning)
                fitted = model.fit(disp="off", show_warning=False)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError):
            return nothing, math.nan, kernel.NOT_CONVERGED
        likelihood = float(fitted.loglikelihood) + len(returns) * math.log(PERCENT)
        if fitted.convergence_flag != 0 or likelihood < reached - EQUAL_LIKELIHOOD:
            return nothing, math.nan, kernel.NOT_CONVERGED
        found = [float(value) for value in fitted.params]
        theta = nothing.copy()
        theta[kernel.MU], theta[kernel.OMEGA] = found[0] / PERCENT, found[1] / PERCENT**2
        theta[kernel.ALPHA], theta[kernel.GAMMA] = found[2], found[3] if self.leverage else 0.0
        theta[kernel.BETA] = found[4] if self.leverage else found[3]
        theta[kernel.NU] = found[-1] if self.student else math.inf
        return theta, likelihood, kernel.CONVERGED


GARCH_MODELS: dict[str, GarchModel] = {
    model.name: model
    for model in (
        GarchModel("garch"),
        GarchModel("gjr", leverage=True),
        GarchModel("garch_t", student=True),
        GarchModel("gjr_t", leverage=True, student=True),
    )
}
"""Every model that the pool may have, by name."""


def garch_model(name: str) -> GarchModel:
    """Give a model by its name.

    Raises
    ------
    SettingsError
        There is none of that name; the nearest is named.
    """
    if name not in GARCH_MODELS:
        raise SettingsError(
            f"Unknown volatility model {name!r}.{did_you_mean(name, GARCH_MODELS)}",
            where="config/volatility.yml, models",
            hint=f"use some of: {', '.join(GARCH_MODELS)}",
        )
    return GARCH_MODELS[name]
