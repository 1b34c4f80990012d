"""Black-Litterman against the example of He and Litterman (1999)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.portfolio.allocators import BlackLitterman, Equal, RiskBudget, posterior, unconstrained_weights
from pm.portfolio.problem import Constraints, Problem, Views
from pm.risk.scenarios import Scenarios
from pm.settings import load_settings

if TYPE_CHECKING:
    from pm.typing import FloatArray

# Australia, Canada, France, Germany, Japan, the United Kingdom, the United States: tables 1 and 2 of the paper.
CORRELATIONS = np.array(
    [
        [1, 0.488, 0.478, 0.515, 0.439, 0.512, 0.491],
        [0.488, 1, 0.664, 0.655, 0.310, 0.608, 0.779],
        [0.478, 0.664, 1, 0.861, 0.355, 0.783, 0.668],
        [0.515, 0.655, 0.861, 1, 0.354, 0.777, 0.653],
        [0.439, 0.310, 0.355, 0.354, 1, 0.405, 0.306],
        [0.512, 0.608, 0.783, 0.777, 0.405, 1, 0.652],
        [0.491, 0.779, 0.668, 0.653, 0.306, 0.652, 1],
    ]
)
VOLATILITY = np.array([0.160, 0.203, 0.248, 0.271, 0.210, 0.200, 0.187])
MARKET = np.array([0.016, 0.022, 0.052, 0.055, 0.116, 0.124, 0.615])
COVARIANCE = CORRELATIONS * np.outer(VOLATILITY, VOLATILITY)
RISK_AVERSION, TAU = 2.5, 0.05
EQUILIBRIUM = RISK_AVERSION * COVARIANCE @ MARKET

# Germany will outperform the other European countries, weighted by their size, by 5% per year.
GERMANY = np.array([0, 0, -0.052 / 0.176, 1, 0, -0.124 / 0.176, 0])
CANADA = np.array([0, 1, 0, 0, 0, 0, -1.0])


def after(*views: FloatArray, expected: list[float]) -> tuple[FloatArray, FloatArray]:
    portfolios = np.array(views)
    errors = np.diag(np.diag(portfolios @ (TAU * COVARIANCE) @ portfolios.T))
    found = posterior(COVARIANCE, EQUILIBRIUM, (portfolios, np.array(expected), errors), tau=TAU)
    return found.mean, unconstrained_weights(found, risk_aversion=RISK_AVERSION)


def test_the_equilibrium_of_the_paper() -> None:
    assert (100 * EQUILIBRIUM).round(1).tolist() == [3.9, 6.9, 8.4, 9.0, 4.3, 6.8, 7.6]


def test_the_first_view_of_the_paper() -> None:
    mean, weights = after(GERMANY, expected=[0.05])
    assert 100 * mean == pytest.approx([4.3, 7.6, 9.3, 11.0, 4.5, 7.0, 8.1], abs=0.06)
    assert 100 * weights == pytest.approx(
        [1.5, 2.1, -3.9, 35.4, 11.0, -9.5, 58.6], abs=0.07
    )  # France: −3.968, printed as −3.9


def test_both_views_of_the_paper() -> None:
    mean, weights = after(GERMANY, CANADA, expected=[0.05, 0.03])
    assert 100 * mean == pytest.approx([4.4, 8.7, 9.5, 11.2, 4.6, 7.0, 7.5], abs=0.06)
    assert 100 * weights == pytest.approx([1.5, 41.9, -3.4, 33.6, 11.0, -8.2, 18.8], abs=0.06)
    assert weights.sum() == pytest.approx(1 / (1 + TAU), abs=1e-9)  # the views' portfolios sum to 0


def with_view(problem: Problem, ticker: str, expected: float, error: float, *, cost: float = 0.0) -> Problem:
    view = Views((problem.tickers.index(ticker),), np.array([expected]), np.array([error**2]))
    return replace(problem, views=view, cost=cost)


def test_without_views_the_result_is_the_core_exactly(sample_problem: Problem) -> None:
    core = RiskBudget()
    assert (BlackLitterman(core).allocate(sample_problem) == core.allocate(sample_problem)).all()


def test_a_view_that_is_as_uncertain_as_the_return_is_not_worth_its_costs() -> None:
    """The documents say so, since an expectation of 8% in 20 sessions seems much."""
    scale, tickers = 0.08, tuple(f"T{place}" for place in range(20))
    covariance = scale**2 * (0.3 + 0.7 * np.eye(20))
    returns = np.random.default_rng(1).multivariate_normal(np.zeros(20), covariance, 2000)
    scenarios = Scenarios(tickers, 20, returns, np.full(2000, 1 / 2000))
    problem = Problem(scenarios, Constraints(np.full(20, 0.25), invested=0.98), given_covariance=covariance)
    model, core = BlackLitterman(Equal()), Equal().allocate(problem)
    cost = load_settings().signals.round_trip_cost / 2
    assert model.allocate(with_view(problem, "T0", 0.08, scale, cost=cost)) == pytest.approx(core, abs=1e-9)
    assert model.allocate(with_view(problem, "T0", 0.08, scale / 10, cost=cost))[0] > core[0] + 0.05


def test_a_tilt_has_the_sign_of_the_view_less_the_equilibrium(sample_problem: Problem) -> None:
    model = BlackLitterman(Equal())
    core = Equal().allocate(sample_problem)
    place = sample_problem.tickers.index("KO")
    implied = (2.5 * sample_problem.covariance @ core)[place]
    for excess in (0.0003, -0.0003):
        tilt = model.allocate(with_view(sample_problem, "KO", implied + excess, 0.05)) - core
        assert np.sign(tilt[place]) == np.sign(excess)
        assert abs(tilt[place]) == pytest.approx(np.abs(tilt).max())
        assert tilt.sum() == pytest.approx(0, abs=1e-7)


def test_where_no_limit_binds_the_tilt_is_the_closed_form(sample_problem: Problem) -> None:
    """With the sum fixed, the optimum is core + Σ⁻¹(μ − π − λ1)/δ, λ such that the tilt sums to 0."""
    free = replace(sample_problem, constraints=Constraints(np.ones(20), max_short=1.0))
    viewed = with_view(free, "KO", 0.002, 0.05)
    core, covariance = np.full(20, 0.05), free.covariance
    equilibrium = 2.5 * covariance @ core
    portfolios = np.eye(20)[[free.tickers.index("KO")]]
    mean = posterior(covariance, equilibrium, (portfolios, np.array([0.002]), np.array([[0.0025]])), tau=0.05).mean
    inverse = np.linalg.inv(covariance)
    tilt, ones = inverse @ (mean - equilibrium), inverse.sum(axis=1)
    expected = core + (tilt - ones * tilt.sum() / ones.sum()) / 2.5
    assert np.abs(expected - core).max() > 1e-3
    assert BlackLitterman(Equal()).allocate(viewed) == pytest.approx(expected, abs=1e-5)


def test_an_uncertain_view_tilts_less_and_one_that_is_not_worth_its_costs_not_at_all(sample_problem: Problem) -> None:
    model, core = BlackLitterman(Equal()), Equal().allocate(sample_problem)
    sizes = [
        np.abs(model.allocate(with_view(sample_problem, "KO", 0.005, error)) - core).sum() for error in (0.01, 0.1, 1.0)
    ]
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2] > 0
    costly = model.allocate(with_view(sample_problem, "KO", 0.005, 0.1, cost=0.001))
    assert (costly == core).all()
