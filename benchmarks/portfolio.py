"""Time the allocators at many tickers, check that their weights are optimal, and compare them with PyPortfolioOpt.

python benchmarks/portfolio.py [--tickers 431] [--scenarios 1000]
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

from pm.portfolio.allocators import (
    Allocator,
    BlackLitterman,
    Equal,
    HierarchicalRiskParity,
    InverseVolatility,
    Kelly,
    MinimumExpectedShortfall,
    MinimumVariance,
    RiskBudget,
)
from pm.portfolio.optimality import largest_share_error, minimum_variance_violation
from pm.portfolio.problem import Constraints, Problem, Views
from pm.risk.scenarios import Scenarios


def simulated(tickers: int, scenarios: int) -> Problem:
    """Return a problem of returns with five factors and fat tails, with as many views as a night may have."""
    random = np.random.default_rng(1)
    loadings = random.normal(0.5, 0.4, (tickers, 5)) * [0.01, 0.005, 0.004, 0.003, 0.002]
    own = random.uniform(0.006, 0.02, tickers)
    returns = random.standard_t(5, (scenarios, 5)) @ loadings.T + random.standard_t(5, (scenarios, tickers)) * own
    names = tuple(f"T{place:03}" for place in range(tickers))
    viewed = tuple(range(0, tickers, 40))
    views = Views(viewed, np.full(len(viewed), 0.006), np.full(len(viewed), 0.0004))
    return Problem(
        Scenarios(names, 1, np.expm1(returns), np.full(scenarios, 1 / scenarios)),
        Constraints(np.full(tickers, 0.25)),
        views,
        0.001,
    )


def main() -> None:
    """Print a line for each allocator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=431)
    parser.add_argument("--scenarios", type=int, default=1000)
    arguments = parser.parse_args()
    problem = simulated(arguments.tickers, arguments.scenarios)
    covariance = problem.covariance
    models: list[Allocator] = [
        *(Equal(), InverseVolatility(), MinimumVariance(), RiskBudget(), HierarchicalRiskParity()),
        *(MinimumExpectedShortfall(), BlackLitterman(RiskBudget()), Kelly()),
    ]
    MinimumVariance().allocate(simulated(5, 100))  # importing the libraries is not counted
    print(f"{arguments.tickers} tickers, {arguments.scenarios:,} scenarios")
    print(f"{'allocator':20}{'processor s':>12}{'elapsed s':>11}{'volatility':>12}  conditions of optimality")
    found = {}
    for model in models:
        processor, elapsed = time.process_time(), time.perf_counter()
        weights = model.allocate(problem)
        processor, elapsed = time.process_time() - processor, time.perf_counter() - elapsed
        found[model.name] = weights
        checked = ""
        if isinstance(model, MinimumVariance):
            violation = minimum_variance_violation(weights, covariance, problem.constraints)
            checked = f"Karush-Kuhn-Tucker violated by {violation:.1e} of the multiplier"
        elif isinstance(model, RiskBudget):
            error = largest_share_error(weights, covariance) * arguments.tickers
            checked = f"largest error of a share of the risk {error:.1e} of it"
        volatility = np.sqrt(weights @ covariance @ weights * 252)
        print(f"{model.name:20}{processor:12.2f}{elapsed:11.2f}{volatility:12.2%}  {checked}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pypfopt import EfficientFrontier

        frontier = EfficientFrontier(None, covariance * 252, weight_bounds=(0, 0.25))
        frontier.min_volatility()
    difference = np.abs(found["minimum_variance"] - frontier.weights).max()
    print(f"minimum variance: largest difference of a weight from PyPortfolioOpt's {difference:.1e}")


if __name__ == "__main__":
    main()
