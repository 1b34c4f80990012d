"""Hierarchical risk parity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pm.portfolio.allocators.equal import Equal
from pm.portfolio.allocators.from_skfolio import fitted_weights, given_prior

if TYPE_CHECKING:
    from pm.portfolio.problem import Problem
    from pm.typing import FloatArray

__all__ = ["HierarchicalRiskParity"]


class HierarchicalRiskParity:
    """Split the money along a tree of similar tickers, in inverse proportion to the variance of each branch.

    By skfolio, with its default linkage (Ward) and its optimal order of the leaves. Other implementations take single
    linkage, and give other weights.

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
        from skfolio.distance import CovarianceDistance
        from skfolio.optimization import HierarchicalRiskParity as Model

        covariance = problem.covariance
        count = len(covariance)
        model = Model(
            prior_estimator=given_prior(covariance, np.zeros(count), np.zeros((2, count))),
            distance_estimator=CovarianceDistance(covariance_estimator=_given_covariance(covariance)),
        )
        return problem.constraints.invested * fitted_weights(model, problem)


def _given_covariance(covariance: FloatArray) -> Any:  # noqa: ANN401 - an object of skfolio, which has no types
    """Return an estimator of skfolio that has estimated this covariance, whatever it is fitted to."""
    from skfolio.moments import BaseCovariance

    class GivenCovariance(BaseCovariance):  # type: ignore[misc] # skfolio has no types
        """An estimator that has estimated what it was given."""

        def __init__(self, given: FloatArray | None = None) -> None:
            super().__init__()
            self.given = given

        def fit(self, X: Any, y: Any = None, **_: Any) -> GivenCovariance:  # noqa: ANN401, N803 - scikit-learn's names
            """Estimate nothing."""
            del X, y
            self.covariance_ = self.given
            return self

    return GivenCovariance(covariance)
