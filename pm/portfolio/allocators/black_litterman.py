"""A core portfolio, tilted towards views by Black and Litterman."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pm.portfolio.allocators.from_skfolio import fitted_weights, given_prior, group_inequalities, variance_scale
from pm.portfolio.projection import cleaned, nearest

if TYPE_CHECKING:
    from pm.portfolio.allocators.base import Allocator
    from pm.portfolio.problem import Problem, Views
    from pm.typing import FloatArray

__all__ = ["BlackLitterman", "Posterior", "posterior", "unconstrained_weights"]


@dataclass(frozen=True)
class Posterior:
    """Returns after the views.

    Attributes
    ----------
    mean
        Expected returns, shape (tickers,).
    covariance
        Covariance of the returns, with the uncertainty of the mean added, shape (tickers, tickers).
    """

    mean: FloatArray
    covariance: FloatArray


def posterior(
    covariance: FloatArray, equilibrium: FloatArray, views: tuple[FloatArray, FloatArray, FloatArray], *, tau: float
) -> Posterior:
    """Return the posterior of the returns, given an equilibrium and views.

    μ = π + τΣP' (PτΣP' + Ω)⁻¹ (q − Pπ), and its covariance M = τΣ − τΣP' (PτΣP' + Ω)⁻¹ PτΣ, which is added to Σ.

    Parameters
    ----------
    covariance
        Covariance Σ of the returns, shape (tickers, tickers).
    equilibrium
        Expected returns π without any view, shape (tickers,).
    views
        The portfolios P that the views are about, shape (views, tickers); their expected returns q, shape (views,); and
        the covariance Ω of the errors of these, shape (views, views).
    tau
        Variance of the equilibrium's mean relative to Σ.

    References
    ----------
    He, G. and Litterman, R. (1999), The Intuition Behind Black-Litterman Model Portfolios, Goldman Sachs.
    """
    portfolios, expected, errors = views
    prior = tau * covariance
    crossed = prior @ portfolios.T
    gain = np.linalg.solve(portfolios @ crossed + errors, crossed.T).T
    mean = equilibrium + gain @ (expected - portfolios @ equilibrium)
    return Posterior(np.asarray(mean), np.asarray(covariance + prior - gain @ crossed.T))


def unconstrained_weights(found: Posterior, *, risk_aversion: float) -> FloatArray:
    """Return the weights that maximise μ'w − δ/2 w'Σw without any limit; they need not sum to 1."""
    return np.asarray(np.linalg.solve(risk_aversion * found.covariance, found.mean), dtype=np.float64)


class BlackLitterman:
    """Tilt the weights of a core towards views, as far as these are worth their costs and their risk.

    The equilibrium is what makes the core optimal: π = δΣw. The posterior mean of the returns then maximises
    μ'w − δ/2 w'Σw − c Σ|w_i − core_i| within the limits, by skfolio, where c is the cost of opening and closing a tilt.
    Without views, the result is the core, exactly.

    Parameters
    ----------
    core
        Allocator of the core.
    risk_aversion
        δ, the price of variance.
    tau
        Variance of the equilibrium's mean relative to the covariance of the returns.
    """

    name: ClassVar[str] = "black_litterman"
    keeps_long_only: ClassVar[bool] = False

    def __init__(self, core: Allocator, *, risk_aversion: float = 2.5, tau: float = 0.05) -> None:
        self.core = core
        self.risk_aversion = risk_aversion
        self.tau = tau

    def allocate(self, problem: Problem) -> FloatArray:
        """Return the tilted weights, which sum to the amount to invest."""
        return self.tilt(problem, self.core_weights(problem))

    def core_weights(self, problem: Problem) -> FloatArray:
        """Return the weights of the core within the limits."""
        return nearest(self.core.allocate(problem), problem.constraints)

    def tilt(self, problem: Problem, core: FloatArray) -> FloatArray:
        """Return a core's weights, tilted.

        Parameters
        ----------
        problem
            The problem, with the views.
        core
            Weights of the core, shape (tickers,); they keep the limits.
        """
        if not problem.views.places:
            return core
        from skfolio.optimization import MeanRisk, ObjectiveFunction

        limits, covariance = problem.constraints, problem.covariance
        equilibrium = self.risk_aversion * covariance @ core
        found = posterior(covariance, equilibrium, _matrices(problem.views, len(core)), tau=self.tau)
        scale = variance_scale(problem)
        model = MeanRisk(
            objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
            risk_aversion=self.risk_aversion / 2,
            prior_estimator=given_prior(covariance * scale, found.mean * scale, np.zeros((2, len(core)))),
            transaction_costs=2 * problem.cost * scale,
            previous_weights=core,
            min_weights=limits.lower,
            max_weights=limits.upper,
            budget=limits.invested,
            max_short=limits.max_short if limits.max_short > 0 else None,
            **group_inequalities(limits),
        )
        tilted = fitted_weights(model, problem)
        # What a solver's rounding leaves of a tilt that is not worth its costs is none.
        settled = np.where(np.abs(tilted - core) < 1e-6, core, tilted)
        return core if bool((settled == core).all()) else cleaned(settled, limits)


def _matrices(views: Views, count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the portfolios of views about single tickers, their expected returns, and the covariance of the errors."""
    portfolios = np.zeros((len(views.places), count))
    portfolios[np.arange(len(views.places)), list(views.places)] = 1.0
    return portfolios, views.expected, np.diag(views.variance)
