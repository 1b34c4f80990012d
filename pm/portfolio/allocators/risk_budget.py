"""Weights with equal shares of the risk."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pm.portfolio.allocators.from_skfolio import fitted_weights, given_prior, variance_scale
from pm.portfolio.optimality import largest_share_error
from pm.portfolio.projection import UnsolvedError

if TYPE_CHECKING:
    from pm.portfolio.problem import Problem
    from pm.typing import FloatArray

__all__ = ["RiskBudget"]

_TOLERANCE = 0.01
"""Largest error of a ticker's share of the variance, relative to an equal share."""


class RiskBudget:
    """Every ticker has the same share of the portfolio's variance, by skfolio.

    Without other limits these weights exist, are unique, and are all positive. Weights that other limits forbid are
    moved to the nearest that they allow, after which the shares are no longer equal.

    References
    ----------
    Maillard, S., Roncalli, T. and Teïletche, J. (2010), The Properties of Equally Weighted Risk Contribution
    Portfolios, Journal of Portfolio Management 36(4), 60-70.
    """

    name: ClassVar[str] = "risk_budget"
    keeps_long_only: ClassVar[bool] = True

    def allocate(self, problem: Problem) -> FloatArray:
        """Return weights that sum to the amount to invest; their shares of the variance are checked."""
        from skfolio.optimization import RiskBudgeting

        covariance = problem.covariance * variance_scale(problem)
        count = len(covariance)
        model = RiskBudgeting(prior_estimator=given_prior(covariance, np.zeros(count), np.zeros((2, count))))
        weights = fitted_weights(model, problem)
        weights = problem.constraints.invested * weights / weights.sum()
        error = largest_share_error(weights, covariance) * count
        if not error <= _TOLERANCE:
            raise UnsolvedError(f"a share of the risk misses its budget by {error:.2%} of it")
        return np.asarray(weights)
