"""Equal shares of the risk: their definition, skfolio's optimiser, and covariances that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.portfolio.allocators.from_skfolio import given_prior
from pm.portfolio.allocators.risk_budget import risk_parity
from pm.portfolio.projection import UnsolvedError

if TYPE_CHECKING:
    from pm.typing import FloatArray


def covariance(count: int, factors: int, seed: int) -> FloatArray:
    """Return a covariance of volatilities from 1 to 1,000 and of correlations up to nearly 1 and −1."""
    generator = np.random.default_rng(seed)
    loadings = generator.normal(size=(count, factors))
    scale = 10 ** generator.uniform(0, 3, count)
    own = np.diag(10 ** generator.uniform(-6, 0, count))
    return np.asarray((loadings @ loadings.T + own) * np.outer(scale, scale))


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 10_000))
def test_every_ticker_has_the_same_share_of_the_variance(count: int, factors: int, seed: int) -> None:
    matrix = covariance(count, factors, seed)
    weights = risk_parity(matrix)
    shares = weights * (matrix @ weights)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1)
    assert (count * shares / shares.sum()).tolist() == pytest.approx([1.0] * count, rel=1e-6)


def test_the_weights_are_those_of_skfolio() -> None:
    from skfolio.optimization import RiskBudgeting

    matrix = covariance(8, 2, 3) / 1e6
    prior = given_prior(matrix / np.mean(np.diag(matrix)), np.zeros(8), np.zeros((2, 8)))
    theirs = RiskBudgeting(prior_estimator=prior).fit(np.zeros((2, 8))).weights_
    assert risk_parity(matrix).tolist() == pytest.approx(theirs.tolist(), abs=1e-4)


@pytest.mark.parametrize("wrong", [0.0, np.nan])
def test_a_ticker_that_does_not_move_has_no_share(wrong: float) -> None:
    matrix = np.diag([1.0, wrong, 2.0])
    with pytest.raises(UnsolvedError, match="not positive"):
        risk_parity(matrix)
