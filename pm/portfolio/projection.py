"""Move weights as little as possible so that they keep all limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.portfolio.problem import Constraints
    from pm.typing import FloatArray

__all__ = ["TOLERANCE", "UnsolvedError", "cleaned", "nearest"]

TOLERANCE = 1e-8
"""By how much weights may exceed a limit: what is left by the rounding of solvers."""

_DUST = 1e-7
"""Weights smaller than this, in absolute terms, are rounding errors of a solver and not positions."""


class UnsolvedError(Exception):
    """A solver did not find weights, or found some that are not optimal. The message says which, and why."""


def cleaned(weights: FloatArray, constraints: Constraints) -> FloatArray:
    """Return weights without the rounding errors of a solver, with the sum that they should have.

    Weights of less than a ten-millionth are set to 0, so that none becomes an order (−1e-9 would be a short one), and
    weights beyond a bound by as little are set to it. The others are scaled to the amount to invest.

    Raises
    ------
    UnsolvedError
        A weight is missing or infinite.
    """
    if not bool(np.isfinite(weights).all()):
        raise UnsolvedError("a weight is not a number")
    bounded = np.clip(weights, constraints.lower, constraints.upper)
    kept = np.where(np.abs(bounded) < _DUST, 0.0, np.where(np.abs(bounded - weights) < 10 * _DUST, bounded, weights))
    total = float(kept.sum())
    is_near = abs(total - constraints.invested) < 1e-4 and abs(total) > _DUST
    return np.asarray(kept * (constraints.invested / total) if is_near else kept)


def nearest(weights: FloatArray, constraints: Constraints, *, with_turnover: bool = False) -> FloatArray:
    """Return the weights nearest to those given, in squared distance, that keep all limits.

    Parameters
    ----------
    weights
        Weights, shape (tickers,). If they keep all limits, they are returned unchanged.
    constraints
        Limits, which some weights keep; see `feasibility.relaxed`.
    with_turnover
        Whether the limit of the turnover counts too.

    Raises
    ------
    UnsolvedError
        A weight is missing or infinite, or the solver failed.
    """
    if not bool(np.isfinite(weights).all()):
        raise UnsolvedError("a weight is not a number")
    limit = constraints.max_turnover if with_turnover and constraints.previous is not None else None
    moves_too_much = limit is not None and constraints.turnover(weights) > limit + TOLERANCE
    if constraints.largest_violation(weights) <= TOLERANCE and not moves_too_much:
        return weights
    import cvxpy as cp

    w = cp.Variable(len(weights))
    kept = [cp.sum(w) == constraints.invested, w <= constraints.upper, w >= constraints.lower]
    if constraints.max_short > 0:
        kept.append(cp.sum(cp.neg(w)) <= constraints.max_short)
    kept += [cp.norm1(w[np.flatnonzero(group.members)]) <= group.upper for group in constraints.groups]
    if limit is not None:
        kept.append(cp.norm1(w - constraints.previous) <= limit)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(w - weights)), kept)
    try:
        problem.solve(solver=cp.CLARABEL)
    except cp.SolverError as error:
        raise UnsolvedError(f"weights within the limits were not found: {error}") from error
    if w.value is None:
        raise UnsolvedError(f"weights within the limits were not found: the problem is {problem.status}")
    return cleaned(np.asarray(w.value), constraints)
