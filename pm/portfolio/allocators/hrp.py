"""Hierarchical risk parity."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pm.portfolio.allocators.equal import Equal
from pm.portfolio.projection import UnsolvedError

if TYPE_CHECKING:
    from pm.portfolio.problem import Problem
    from pm.typing import FloatArray, IntArray

__all__ = ["HierarchicalRiskParity"]


class HierarchicalRiskParity:
    """Split the money along a tree of similar tickers, in inverse proportion to the variance of each branch.

    The tree is by Ward's linkage of the distances √((1 − ρ)/2), with the optimal order of its leaves. The order is cut
    into halves again and again; a half's variance is that of weights in proportion to 1/σ². Its weights are those of
    skfolio by default, which makes a portfolio object of each branch. Other implementations take single linkage, and
    give other weights.

    References
    ----------
    López de Prado, M. (2016), Building Diversified Portfolios that Outperform Out of Sample, Journal of Portfolio
    Management 42(4), 59-69.
    """

    name: ClassVar[str] = "hrp"
    keeps_long_only: ClassVar[bool] = True

    def allocate(self, problem: Problem) -> FloatArray:
        """Return weights that sum to the amount to invest."""
        if len(problem.tickers) < 2:
            return Equal().allocate(problem)
        covariance = problem.covariance
        variances = np.diag(covariance)
        if not np.isfinite(covariance).all() or not (variances > 0).all():
            raise UnsolvedError("a variance is not a positive number")
        weights = np.ones(len(variances))
        parts = [_ordered(covariance)]
        while parts:
            part = parts.pop()
            halves = part[: len(part) // 2], part[len(part) // 2 :]
            left, right = (_variance(covariance, variances, half) for half in halves)
            weights[halves[0]] *= right / (left + right)
            weights[halves[1]] *= left / (left + right)
            parts += [half for half in halves if len(half) > 1]
        return problem.constraints.invested * weights


def _ordered(covariance: FloatArray) -> IntArray:
    """Return the places of the tickers in the order of the leaves of the tree."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    deviations = np.sqrt(np.diag(covariance))
    correlation = np.clip(covariance / np.outer(deviations, deviations), -1.0, 1.0)
    distances = np.sqrt((1.0 - (correlation + correlation.T) / 2.0) / 2.0)
    np.fill_diagonal(distances, 0.0)
    condensed = squareform(distances, checks=False)
    return np.asarray(leaves_list(optimal_leaf_ordering(linkage(condensed, "ward"), condensed)), dtype=np.int64)


def _variance(covariance: FloatArray, variances: FloatArray, part: IntArray) -> float:
    """Return the variance of a part of the tickers with weights in proportion to 1/σ²."""
    weights = 1.0 / variances[part]
    weights /= weights.sum()
    return float(weights @ covariance[np.ix_(part, part)] @ weights)
