"""Weights with equal shares of the risk."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pm.portfolio.optimality import largest_share_error
from pm.portfolio.projection import UnsolvedError

if TYPE_CHECKING:
    from pm.portfolio.problem import Problem
    from pm.typing import FloatArray

__all__ = ["RiskBudget"]

_TOLERANCE = 0.01
"""Largest error of a ticker's share of the variance, relative to an equal share."""
_CONVERGED = 1e-6
"""Newton decrement of the last step, whose square is the error after it; where tickers move nearly alike, rounding
keeps it from becoming much smaller."""
_STEPS = 200
"""Maximum number of steps of Newton's method: about ten are needed, and more where tickers move nearly alike."""


class RiskBudget:
    """Every ticker has the same share of the portfolio's variance.

    Without other limits these weights exist, are unique, and are all positive. Weights that other limits forbid are
    moved to the nearest that they allow, after which the shares are no longer equal.

    References
    ----------
    Spinu, F. (2013), An Algorithm for Computing Risk Parity Weights, SSRN 2297383.
    Maillard, S., Roncalli, T. and Teïletche, J. (2010), The Properties of Equally Weighted Risk Contribution
    Portfolios, Journal of Portfolio Management 36(4), 60-70.
    """

    name: ClassVar[str] = "risk_budget"
    keeps_long_only: ClassVar[bool] = True

    def allocate(self, problem: Problem) -> FloatArray:
        """Return weights that sum to the amount to invest; their shares of the variance are checked."""
        covariance = problem.covariance
        count = len(covariance)
        weights = problem.constraints.invested * risk_parity(covariance)
        error = largest_share_error(weights, covariance) * count
        if not error <= _TOLERANCE:
            raise UnsolvedError(f"a share of the risk misses its budget by {error:.2%} of it")
        return weights


def risk_parity(covariance: FloatArray) -> FloatArray:
    """Return the positive weights, with sum 1, of which each has the same share of the variance.

    They minimise ½·xᵀCx − (1/n)·Σ ln x up to their scale, which is a convex problem, by Newton's method with damped
    steps on the correlations. An optimiser of skfolio finds the same weights in 40 ms, most of which is the description
    of the problem; a backtest solves hundreds of them.

    Parameters
    ----------
    covariance
        Covariance of the returns, shape (tickers, tickers).

    Raises
    ------
    UnsolvedError
        A variance is not positive, or the method does not converge.
    """
    deviations = np.sqrt(np.diag(covariance))
    count = len(covariance)
    if not bool((deviations > 0).all()):
        raise UnsolvedError("a variance is not positive, so that no share of the risk can be equal")
    correlation = covariance / np.outer(deviations, deviations)
    x = np.full(count, 1 / np.sqrt(max(float(correlation.sum()), 1e-12)))
    for _ in range(_STEPS):
        gradient = correlation @ x - 1 / (count * x)
        hessian = correlation + np.diag(1 / (count * x**2))
        step = np.linalg.solve(hessian, gradient)
        decrement = float(np.sqrt(max(count * float(gradient @ step), 0.0)))
        # The function times n is self-concordant: this step stays positive, and the last ones converge quadratically.
        x = x - step / (1 + decrement if decrement > 0.25 else 1)
        if decrement < _CONVERGED:
            weights = x / deviations
            return np.asarray(weights / weights.sum())
    raise UnsolvedError(f"equal shares of the risk were not found in {_STEPS} steps")
