"""Check that weights are optimal, by conditions that do not depend on how they were found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.portfolio.problem import Constraints
    from pm.typing import FloatArray

__all__ = ["largest_share_error", "minimum_variance_violation", "risk_shares"]

_AT_BOUND = 1e-6
"""Distance from a bound at which a weight counts as being at it."""


def risk_shares(weights: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return each ticker's share of the variance of a portfolio, w_i (Σw)_i / w'Σw; they sum to 1."""
    marginal = covariance @ weights
    return np.asarray(weights * marginal / (weights @ marginal))


def largest_share_error(weights: FloatArray, covariance: FloatArray) -> float:
    """Return the largest difference of a ticker's share of the variance from an equal share."""
    return float(np.abs(risk_shares(weights, covariance) - 1 / len(weights)).max())


def minimum_variance_violation(weights: FloatArray, covariance: FloatArray, constraints: Constraints) -> float:
    """Return by how much weights miss the conditions of Karush, Kuhn and Tucker for the minimum variance.

    With the sum of the weights given and bounds for each, the gradient 2 Σ w is equal for all tickers between their
    bounds, at least that for those at their lower bound, and at most that for those at their upper bound. Returned is
    the largest deviation relative to that value: 0 for the optimum. Groups and short limits are not considered.

    Parameters
    ----------
    weights
        Weights, shape (tickers,).
    covariance
        Covariance of the returns, shape (tickers, tickers).
    constraints
        Limits: their bounds are used.
    """
    gradient = 2.0 * covariance @ weights
    at_lower = weights <= constraints.lower + _AT_BOUND
    at_upper = weights >= constraints.upper - _AT_BOUND
    between = ~at_lower & ~at_upper
    if not between.any():
        # Any multiplier between the largest gradient at an upper bound and the smallest at a lower one will do.
        above = float(np.max(gradient[at_upper], initial=-np.inf))
        below = float(np.min(gradient[at_lower], initial=np.inf))
        return max(0.0, above - below) / max(abs(above), abs(below)) if np.isfinite(above - below) else 0.0
    multiplier = float(np.average(gradient[between]))
    misses = [
        float(np.abs(gradient[between] - multiplier).max()),
        float(np.max(multiplier - gradient[at_lower], initial=0.0)),
        float(np.max(gradient[at_upper] - multiplier, initial=0.0)),
    ]
    return max(misses) / abs(multiplier)
