"""A fraction of the weights that maximise growth."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pm.portfolio.projection import UnsolvedError

if TYPE_CHECKING:
    from pm.portfolio.problem import Problem
    from pm.typing import FloatArray

__all__ = ["Kelly", "growth", "growth_weights"]

_RUIN = 0.01
"""Wealth, relative to today's, below which the logarithm is continued by a parabola, so that it has a value and a
slope for weights that lose everything too."""


def growth(weights: FloatArray, returns: FloatArray, probabilities: FloatArray) -> tuple[float, FloatArray]:
    """Return the mean log growth of wealth over scenarios, and its gradient.

    Parameters
    ----------
    weights
        Weights, shape (tickers,); the rest is cash, which earns nothing.
    returns
        Simple returns, shape (scenarios, tickers).
    probabilities
        Probability of each scenario, shape (scenarios,).

    Returns
    -------
    Growth per horizon, and its gradient, shape (tickers,).
    """
    wealth = 1 + returns @ weights
    safe = np.maximum(wealth, _RUIN)
    below = np.minimum(wealth - _RUIN, 0.0)
    value = np.log(safe) + below / _RUIN - below**2 / (2 * _RUIN**2)
    slope = 1 / safe - below / _RUIN**2
    return float(probabilities @ value), np.asarray((probabilities * slope) @ returns)


def growth_weights(
    returns: FloatArray,
    probabilities: FloatArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
    cost: float = 0.0,
    max_gross: float | None = None,
) -> FloatArray:
    """Return the weights that maximise the mean log growth of wealth, after costs.

    Parameters
    ----------
    returns, probabilities
        Scenarios and their probabilities, shapes (scenarios, tickers) and (scenarios,).
    lower, upper
        Bounds of the weights, shape (tickers,).
    cost
        Cost of a position, opened and closed, as a share of its value.
    max_gross
        Largest sum of the absolute weights; None for no limit.

    Raises
    ------
    UnsolvedError
        The solver failed.

    References
    ----------
    Kelly, J. L. (1956), A New Interpretation of Information Rate, Bell System Technical Journal 35(4), 917-926.
    """
    from scipy.optimize import minimize

    count = returns.shape[1]

    def loss(parts: FloatArray) -> tuple[float, FloatArray]:
        # A weight is the difference of a long and a short part, so that its cost has a slope everywhere.
        value, gradient = growth(parts[:count] - parts[count:], returns, probabilities)
        return cost * float(parts.sum()) - value, np.concatenate([cost - gradient, cost + gradient])

    limits = [*zip(np.maximum(lower, 0), np.maximum(upper, 0), strict=True)]
    limits += [*zip(np.maximum(-upper, 0), np.maximum(-lower, 0), strict=True)]
    constraints = []
    if max_gross is not None:
        slope = -np.ones(2 * count)
        constraints.append({"type": "ineq", "fun": lambda p: max_gross - p.sum(), "jac": lambda _: slope})
    start = np.zeros(2 * count)
    found = minimize(
        loss, start, jac=True, bounds=limits, constraints=constraints, method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    if not found.success or not np.isfinite(found.x).all():
        raise UnsolvedError(f"no weights of the largest growth were found: {found.message}")
    return np.asarray(found.x[:count] - found.x[count:])


class Kelly:
    """A fraction of the weights of the largest growth, over the joint scenarios of the tickers with a view.

    Each view's ticker has the expected return of its view, not the mean of its scenarios; the others expect nothing, so
    growth has no use for them. The expectation itself is uncertain: each scenario adds a draw from the distribution of
    its error, so that an estimate with a large error gets a small weight. The variance of a view is that of the
    forecast's errors out of sample, which contains the variance of the return: the weights are about half of those for
    an expectation that is known for certain. The confidence of a signal plays no part.

    Parameters
    ----------
    fraction
        Fraction of the full Kelly weights, at most 0.5: they are estimates, and betting twice the right ones has no
        growth at all.
    seed
        Seed of the draws.
    max_scenarios
        Largest number of scenarios; of more, the first are used.

    References
    ----------
    Thorp, E. O. (2006), The Kelly Criterion in Blackjack, Sports Betting, and the Stock Market. Browne, S. and Whitt,
    W. (1996), Portfolio Choice and the Bayesian Kelly Criterion, Advances in Applied Probability 28(4), 1145-1176.
    """

    name: ClassVar[str] = "kelly"
    keeps_long_only: ClassVar[bool] = False

    def __init__(self, fraction: float = 0.25, *, seed: int = 0, max_scenarios: int = 5000) -> None:
        if not 0 < fraction <= 0.5:
            raise ValueError(f"the fraction of Kelly is {fraction}; it should be above 0 and at most 0.5")
        self.fraction = fraction
        self.seed = seed
        self.max_scenarios = max_scenarios

    def allocate(self, problem: Problem) -> FloatArray:
        """Return weights whose sum is at most the amount to invest; all are 0 without views."""
        views, limits = problem.views, problem.constraints
        weights = np.zeros(len(problem.tickers))
        if not views.places:
            return weights
        places = list(views.places)
        probabilities = problem.scenarios.probabilities[: self.max_scenarios]
        probabilities = probabilities / probabilities.sum()
        returns = problem.scenarios.returns[: self.max_scenarios, places]
        generator = np.random.default_rng(self.seed)
        errors = generator.standard_normal(returns.shape)
        errors -= probabilities @ errors
        predicted = returns - probabilities @ returns + views.expected + errors * np.sqrt(views.variance)
        # No share loses more than it is worth, whatever is drawn.
        predicted = np.maximum(predicted, -1.0)
        full = growth_weights(
            predicted,
            probabilities,
            lower=limits.lower[places] / self.fraction,
            upper=limits.upper[places] / self.fraction,
            cost=2 * problem.cost,
            max_gross=(limits.invested + 2 * limits.max_short) / self.fraction,
        )
        weights[places] = self.fraction * full
        return weights
