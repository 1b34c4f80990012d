"""Weights in inverse proportion to volatility."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pm.portfolio.projection import UnsolvedError

if TYPE_CHECKING:
    from pm.portfolio.problem import Problem
    from pm.typing import FloatArray

__all__ = ["InverseVolatility"]


class InverseVolatility:
    """The weight of a ticker is proportional to 1/σ: the risk budget if all correlations were equal."""

    name: ClassVar[str] = "inverse_volatility"
    keeps_long_only: ClassVar[bool] = True

    def allocate(self, problem: Problem) -> FloatArray:
        """Return weights that sum to the amount to invest."""
        variances = np.diag(problem.covariance)
        if not (variances > 0).all():
            raise UnsolvedError("a variance is not a positive number")
        inverse = 1 / np.sqrt(variances)
        return np.asarray(problem.constraints.invested * inverse / inverse.sum())
