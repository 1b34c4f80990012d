"""Equal weights, the benchmark of all other allocators."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from pm.portfolio.problem import Problem
    from pm.typing import FloatArray

__all__ = ["Equal"]


class Equal:
    """Every ticker has the same weight, 1/N.

    References
    ----------
    DeMiguel, V., Garlappi, L. and Uppal, R. (2009), Optimal Versus Naive Diversification, Review of Financial Studies
    22(5), 1915-1953.
    """

    name: ClassVar[str] = "equal"
    keeps_long_only: ClassVar[bool] = True

    def allocate(self, problem: Problem) -> FloatArray:
        """Return equal weights that sum to the amount to invest."""
        count = len(problem.tickers)
        return np.full(count, problem.constraints.invested / count)
