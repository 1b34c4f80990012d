"""The weights of the smallest expected shortfall."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pm.portfolio.allocators.from_skfolio import fitted_weights, given_prior, group_inequalities
from pm.portfolio.projection import cleaned

if TYPE_CHECKING:
    from pm.portfolio.problem import Problem
    from pm.typing import FloatArray

__all__ = ["MinimumExpectedShortfall"]


class MinimumExpectedShortfall:
    """Minimise the expected shortfall over the joint scenarios, by skfolio, as a linear programme.

    Parameters
    ----------
    level
        Level of the expected shortfall: the mean loss in the worst 1 − level of the scenarios.
    max_scenarios
        Largest number of scenarios. Of more, the first are used: the time grows with them. Scenarios that are drawn at
        random are in no order, so the first are a sample.

    References
    ----------
    Rockafellar, R. T. and Uryasev, S. (2000), Optimization of Conditional Value-at-Risk, Journal of Risk 2(3), 21-41.
    """

    name: ClassVar[str] = "minimum_es"
    keeps_long_only: ClassVar[bool] = False

    def __init__(self, level: float = 0.975, max_scenarios: int = 1000) -> None:
        self.level = level
        self.max_scenarios = max_scenarios

    def allocate(self, problem: Problem) -> FloatArray:
        """Return weights that sum to the amount to invest."""
        from skfolio import RiskMeasure
        from skfolio.optimization import MeanRisk

        limits = problem.constraints
        returns = problem.scenarios.returns[: self.max_scenarios]
        weights = problem.scenarios.probabilities[: self.max_scenarios]
        scale = float(1 / np.sqrt(np.mean(returns**2)))
        model = MeanRisk(
            risk_measure=RiskMeasure.CVAR,
            cvar_beta=self.level,
            prior_estimator=given_prior(
                problem.covariance * scale**2, np.zeros(returns.shape[1]), returns * scale, weights / weights.sum()
            ),
            min_weights=limits.lower,
            max_weights=limits.upper,
            budget=limits.invested,
            max_short=limits.max_short if limits.max_short > 0 else None,
            **group_inequalities(limits),
        )
        return cleaned(fitted_weights(model, problem), limits)
