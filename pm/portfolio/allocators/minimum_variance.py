"""The weights of the smallest variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pm.portfolio.allocators.from_skfolio import fitted_weights, given_prior, group_inequalities, variance_scale
from pm.portfolio.optimality import minimum_variance_violation
from pm.portfolio.projection import UnsolvedError, cleaned

if TYPE_CHECKING:
    from pm.portfolio.problem import Problem
    from pm.typing import FloatArray

__all__ = ["MinimumVariance"]

_TOLERANCE = 1e-3
"""Largest relative violation of the conditions of optimality."""


class MinimumVariance:
    """Minimise w'Σw within the limits, by skfolio.

    References
    ----------
    Markowitz, H. (1952), Portfolio Selection, Journal of Finance 7(1), 77-91.
    """

    name: ClassVar[str] = "minimum_variance"
    keeps_long_only: ClassVar[bool] = False

    def allocate(self, problem: Problem) -> FloatArray:
        """Return weights that sum to the amount to invest; the conditions of optimality are checked."""
        from skfolio.optimization import MeanRisk

        limits = problem.constraints
        covariance = problem.covariance * variance_scale(problem)
        model = MeanRisk(
            prior_estimator=given_prior(covariance, np.zeros(len(covariance)), np.zeros((2, len(covariance)))),
            min_weights=limits.lower,
            max_weights=limits.upper,
            budget=limits.invested,
            max_short=limits.max_short if limits.max_short > 0 else None,
            **group_inequalities(limits),
        )
        weights = cleaned(fitted_weights(model, problem), limits)
        if not limits.groups and limits.max_short == 0:
            violation = minimum_variance_violation(weights, covariance, limits)
            if violation > _TOLERANCE:
                raise UnsolvedError(f"the weights miss the conditions of optimality by {violation:.2g}")
        return weights
