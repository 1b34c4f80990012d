"""Hand our scenarios and covariance to the optimisers of skfolio."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from pm.portfolio.projection import UnsolvedError

if TYPE_CHECKING:
    from pm.portfolio.problem import Constraints, Problem
    from pm.typing import FloatArray

__all__ = ["fitted_weights", "given_prior", "group_inequalities", "variance_scale"]


def given_prior(
    covariance: FloatArray, mean: FloatArray, returns: FloatArray, weights: FloatArray | None = None
) -> Any:  # noqa: ANN401 - an object of skfolio, which has no types
    """Return a prior of skfolio that has estimated what is given, whatever it is fitted to.

    Parameters
    ----------
    covariance, mean
        Covariance, shape (tickers, tickers), and mean, shape (tickers,), of the returns.
    returns, weights
        Scenarios, shape (scenarios, tickers), and their probabilities, shape (scenarios,).
    """
    from skfolio.prior import BasePrior, ReturnDistribution

    class GivenPrior(BasePrior):  # type: ignore[misc] # skfolio has no types
        """A prior that has estimated what it was given."""

        def __init__(self, distribution: ReturnDistribution | None = None) -> None:
            self.distribution = distribution

        def __sklearn_clone__(self) -> GivenPrior:
            """Return itself: scikit-learn would copy all scenarios."""
            return self

        def fit(self, X: Any, y: Any = None, **_: Any) -> GivenPrior:  # noqa: ANN401, N803 - scikit-learn's names
            """Estimate nothing."""
            del X, y
            self.return_distribution_ = self.distribution
            return self

    return GivenPrior(ReturnDistribution(mean, covariance, returns, weights))


def variance_scale(problem: Problem) -> float:
    """Return the factor that makes the mean variance of the tickers 1: solvers stop at absolute tolerances."""
    return float(1 / np.mean(np.diag(problem.covariance)))


def group_inequalities(constraints: Constraints) -> dict[str, Any]:
    """Return the limits of groups as the arguments of skfolio's optimisers; they hold for long positions."""
    if not constraints.groups:
        return {}
    return {
        "left_inequality": np.array([group.members.astype(float) for group in constraints.groups]),
        "right_inequality": np.array([group.upper for group in constraints.groups]),
    }


def fitted_weights(model: Any, problem: Problem) -> FloatArray:  # noqa: ANN401 - an object of skfolio, which has no types
    """Return the weights that an optimiser of skfolio finds.

    Raises
    ------
    UnsolvedError
        It finds none, or warns that they may not be accurate.
    """
    from cvxpy import SolverError
    from skfolio.exceptions import OptimizationError

    # The prior has everything already; what is fitted gives the number of tickers alone.
    placeholder = np.zeros((2, len(problem.tickers)))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*inaccurate", category=UserWarning)
            model.fit(placeholder)
    except (OptimizationError, SolverError, ValueError, ArithmeticError, UserWarning) as error:
        raise UnsolvedError(f"skfolio found no weights: {str(error).splitlines()[0]}") from error
    if model.weights_ is None:
        raise UnsolvedError("skfolio found no weights")
    return np.asarray(model.weights_, dtype=np.float64)
