"""GARCH(1,1), with leverage and with fat tails: fitted in compiled code, or by `arch` where that does not converge."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.errors import SettingsError, did_you_mean
from pm.exclusions import Exclusion
from pm.tables.vocabulary import Reason
from pm.volatility.base import PARAMETERS, SMALLEST_SIGMA, VolatilityEstimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.typing import FloatArray
    from pm.volatility.base import Key

__all__ = ["GARCH_MODELS", "GarchModel", "garch_model"]

PERCENT = 100.0
"""Factor from log returns to percent, the unit of log-likelihoods here and in `arch`."""

EQUAL_LIKELIHOOD = 1e-3
"""Difference below which two log-likelihoods count as equal."""


@dataclass(frozen=True)
class GarchModel:
    """GARCH(1,1) with a constant mean, by (quasi-)maximum likelihood.

    r[t] = μ + e[t],  e[t] = √h[t]·z[t],  h[t+1] = ω + (α + γ·1[e[t] < 0])·e[t]² + β·h[t]. The Gaussian likelihood is
    consistent for the parameters whatever the distribution of z (Bollerslev and Wooldridge 1992); simulations draw
    from the residuals, and so from its true shape.

    The variance of an estimate may be not, or hardly, stationary (`VolatilityEstimate.is_stationary`): it has no
    long-run level that the data determine.

    Parameters
    ----------
    name
        Name of the model in settings and in table `volatility_fits`.
    leverage
        Whether γ is estimated, by which a fall moves the variance more than a rise: Glosten, Jagannathan and Runkle
        (1993).
    student
        Whether z is Student t of unit variance and ν is estimated, instead of normal: Bollerslev (1987), A
        conditionally heteroskedastic time series model for speculative prices and rates of return, Review of Economics
        and Statistics 69.

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
        """Maximise the likelihood of each series of log returns (oldest first), or return why it is impossible.

        A series' estimate depends on its own returns only, not on the other series. With `errors`, the estimates have
        robust standard errors.
        """
        from pm.volatility import estimation  # numba takes 0.5 s to import

        if not returns:
            return {}
        series = [np.ascontiguousarray(values, dtype=np.float64) for values in returns.values()]
        begins = np.concatenate([[0], np.cumsum([len(values) for values in series])])
        parameters, statuses, likelihoods = estimation.fit_batch(
            np.concatenate(series), begins, self.leverage, self.student
        )
        fitted: dict[Key, VolatilityEstimate | Exclusion] = {}
        for place, (key, values) in enumerate(zip(returns, series, strict=True)):
            status, theta, likelihood = int(statuses[place]), parameters[place], float(likelihoods[place])
            if status == estimation.NOT_CONVERGED:
                theta, likelihood, status = self._fit_by_arch(values, likelihood)
            if status == estimation.CONVERGED:
                fitted[key] = self._estimate(values, theta, likelihood, errors=errors)
            else:
                fitted[key] = self._refusal(status, values)
        return fitted

    def _refusal(self, status: int, returns: FloatArray) -> Exclusion:
        """Return why a series could not be fitted."""
        from pm.volatility import estimation

        length = len(returns)
        return {
            estimation.NOT_CONVERGED: Exclusion(Reason.NOT_CONVERGED, f"{self.name} did not converge"),
            estimation.TOO_SHORT: Exclusion(
                Reason.TOO_FEW_RETURNS, f"{self.name} cannot be fitted to {length} returns"
            ),
            estimation.CONSTANT: Exclusion(Reason.CONSTANT, f"all {length} returns are equal"),
            estimation.NOT_FINITE: Exclusion(
                Reason.BAD_RETURN, f"{np.sum(~np.isfinite(returns))} of {length} returns are not finite"
            ),
        }[status]

    def _estimate(
        self, returns: FloatArray, theta: FloatArray, likelihood: float, *, errors: bool
    ) -> VolatilityEstimate | Exclusion:
        """Return the estimate of a fit, or why it is refused."""
        from pm.volatility.estimation import robust_errors
        from pm.volatility.likelihood import conditional_variances

        mu, omega, alpha, gamma, beta, nu = theta.tolist()
        variance = conditional_variances(returns, theta)
        least, most = float(variance.min()), float(variance.max())
        if not (least > 0.0 and math.isfinite(most) and math.isfinite(mu)):
            values = f"mu={mu:g}, omega={omega:g}, alpha={alpha:g}, gamma={gamma:g}, beta={beta:g}"
            return Exclusion(Reason.BAD_ESTIMATE, f"{self.name} gave {values}")
        smallest = math.sqrt(least)
        if smallest < SMALLEST_SIGMA:
            return Exclusion(Reason.CONSTANT, f"volatility falls to {smallest:.1e} per day: the price hardly moves")
        standard_errors = robust_errors(returns, theta, self.leverage) if errors else np.empty(0)
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
                for name, error in zip(PARAMETERS, standard_errors, strict=False)
                if math.isfinite(error)
            },
        )

    def _fit_by_arch(self, returns: FloatArray, reached: float) -> tuple[FloatArray, float, int]:
        """Fit one series by `arch`, and return parameters, log-likelihood and status as `fit_batch` does.

        A result below the log-likelihood `reached` by `fit_batch` does not count as a maximum: where the likelihood is
        unbounded, as for a price that seldom moves, `arch` can stop anywhere.
        """
        from arch.univariate import GARCH, ConstantMean, Normal, StudentsT  # takes a second to import

        from pm.volatility import estimation
        from pm.volatility.likelihood import ALPHA, BETA, GAMMA, MU, NU, OMEGA

        nothing = np.full(len(PARAMETERS), math.nan)
        model = ConstantMean(
            returns * PERCENT,
            volatility=GARCH(p=1, o=int(self.leverage), q=1),
            distribution=StudentsT() if self.student else Normal(),
            rescale=False,
        )
        try:
            # The optimiser may overflow or leave its bounds on the way; its flag says whether the result is good.
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.filterwarnings("ignore", message="Values in x were outside bounds", category=RuntimeWarning)
                fitted = model.fit(disp="off", show_warning=False)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError):
            return nothing, math.nan, estimation.NOT_CONVERGED
        likelihood = float(fitted.loglikelihood) + len(returns) * math.log(PERCENT)
        if fitted.convergence_flag != 0 or likelihood < reached - EQUAL_LIKELIHOOD:
            return nothing, math.nan, estimation.NOT_CONVERGED
        found = [float(value) for value in fitted.params]
        theta = nothing.copy()
        theta[MU], theta[OMEGA] = found[0] / PERCENT, found[1] / PERCENT**2
        theta[ALPHA], theta[GAMMA] = found[2], found[3] if self.leverage else 0.0
        theta[BETA] = found[4] if self.leverage else found[3]
        theta[NU] = found[-1] if self.student else math.inf
        return theta, likelihood, estimation.CONVERGED


GARCH_MODELS: dict[str, GarchModel] = {
    model.name: model
    for model in (
        GarchModel("garch"),
        GarchModel("gjr", leverage=True),
        GarchModel("garch_t", student=True),
        GarchModel("gjr_t", leverage=True, student=True),
    )
}
"""The models that the pool can have, by name."""


def garch_model(name: str) -> GarchModel:
    """Return a model by its name.

    Raises
    ------
    SettingsError
        There is no model of that name; the message has the nearest name.
    """
    if name not in GARCH_MODELS:
        raise SettingsError(
            f"Unknown volatility model {name!r}.{did_you_mean(name, GARCH_MODELS)}",
            where="config/volatility.yml, models",
            hint=f"use some of: {', '.join(GARCH_MODELS)}",
        )
    return GARCH_MODELS[name]
