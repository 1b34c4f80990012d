"""The twenty shares of the reference values, as scenarios."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pm.portfolio.problem import Constraints, Problem
from pm.risk.scenarios import Scenarios


def shares_of_skfolio() -> Scenarios:
    """Return the last 500 simple returns of the twenty shares that skfolio contains, all equally probable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skfolio.datasets import load_sp500_dataset

        prices = load_sp500_dataset()
    closes = prices.to_numpy()
    returns = (closes[1:] / closes[:-1] - 1)[-500:]
    return Scenarios(tuple(prices.columns), 1, returns, np.full(500, 1 / 500))


@pytest.fixture(scope="session")
def shares() -> Scenarios:
    return shares_of_skfolio()


@pytest.fixture(scope="session")
def sample_problem(shares: Scenarios) -> Problem:
    """Return the problem whose covariance is that of the sample, as the reference values have it."""
    return Problem(
        shares, Constraints(np.ones(len(shares.tickers))), given_covariance=np.cov(shares.returns, rowvar=False)
    )
