"""Allocators against reference values from other packages and papers, closed forms, and one another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import linprog

from pm.portfolio.allocators import (
    Equal,
    HierarchicalRiskParity,
    InverseVolatility,
    MinimumExpectedShortfall,
    MinimumVariance,
    RiskBudget,
)
from pm.portfolio.optimality import largest_share_error, minimum_variance_violation, risk_shares
from pm.portfolio.problem import Constraints, Group, Problem
from pm.risk.scenarios import Scenarios

if TYPE_CHECKING:
    from pm.portfolio.allocators import Allocator
    from pm.typing import FloatArray

ALL: list[Allocator] = [
    *(Equal(), InverseVolatility(), MinimumVariance(), RiskBudget(), HierarchicalRiskParity()),
    MinimumExpectedShortfall(),
]


def named(problem: Problem, weights: FloatArray) -> dict[str, float]:
    return dict(zip(problem.tickers, weights.tolist(), strict=True))


def test_minimum_variance_has_the_weights_of_two_other_packages(sample_problem: Problem) -> None:
    weights = MinimumVariance().allocate(sample_problem)
    reference = {
        "JNJ": 0.2950,
        "KO": 0.1259,
        "MRK": 0.1251,
        "WMT": 0.1104,
        "PEP": 0.1091,
        "CVX": 0.0675,
        "PG": 0.0414,
        "PFE": 0.0404,
        "JPM": 0.0318,
        "XOM": 0.0277,
        "HD": 0.0109,
        "GE": 0.0078,
        "UNH": 0.0045,
        "MSFT": 0.0024,
    }
    found = {ticker: weight for ticker, weight in named(sample_problem, weights).items() if weight > 0}
    assert found == pytest.approx(reference, abs=1e-4)
    assert np.sqrt(weights @ sample_problem.covariance @ weights * 252) == pytest.approx(0.13124, abs=1e-5)


def test_minimum_variance_equals_pyportfolioopt(sample_problem: Problem) -> None:
    pypfopt = pytest.importorskip("pypfopt")
    frontier = pypfopt.EfficientFrontier(None, sample_problem.covariance * 252)
    frontier.min_volatility()
    assert MinimumVariance().allocate(sample_problem) == pytest.approx(frontier.weights, abs=1e-4)


def test_where_only_the_sum_binds_minimum_variance_has_its_closed_form(sample_problem: Problem) -> None:
    free = replace(sample_problem, constraints=Constraints(np.ones(20), max_short=1.0))
    weights = MinimumVariance().allocate(free)
    closed = np.linalg.solve(free.covariance, np.ones(20))
    assert weights == pytest.approx(closed / closed.sum(), abs=1e-5)
    assert named(free, weights)["JNJ"] == pytest.approx(0.30381, abs=1e-4)
    assert named(free, weights)["BAC"] == pytest.approx(-0.07101, abs=1e-4)


def test_minimum_variance_keeps_caps_and_groups(sample_problem: Problem) -> None:
    staples = np.isin(sample_problem.tickers, ["KO", "PEP", "PG", "WMT"])
    limits = Constraints(np.full(20, 0.12), invested=0.95, groups=(Group("staples", staples, 0.2),))
    weights = MinimumVariance().allocate(replace(sample_problem, constraints=limits))
    assert limits.largest_violation(weights) < 1e-7
    assert weights[staples].sum() == pytest.approx(0.2, abs=1e-6)  # it binds: without it they have 39%


def test_the_check_of_optimality_notices_weights_that_are_a_little_wrong(sample_problem: Problem) -> None:
    weights, limits = MinimumVariance().allocate(sample_problem), sample_problem.constraints
    assert minimum_variance_violation(weights, sample_problem.covariance, limits) < 1e-4
    moved = weights.copy()
    moved[np.argsort(weights)[-2:]] += [0.002, -0.002]
    assert minimum_variance_violation(moved, sample_problem.covariance, limits) > 1e-3
    assert minimum_variance_violation(Equal().allocate(sample_problem), sample_problem.covariance, limits) > 0.1


def test_the_risk_budget_has_the_weights_of_two_other_packages_and_equal_shares(sample_problem: Problem) -> None:
    weights = RiskBudget().allocate(sample_problem)
    found = named(sample_problem, weights)
    assert [found[t] for t in ("AAPL", "JNJ", "RRC")] == pytest.approx([0.03685, 0.07863, 0.02769], abs=1e-5)
    assert risk_shares(weights, sample_problem.covariance) == pytest.approx(np.full(20, 0.05), abs=1e-5)
    assert largest_share_error(Equal().allocate(sample_problem), sample_problem.covariance) > 0.01


def test_of_two_tickers_the_risk_budget_is_the_inverse_volatility_whatever_their_correlation() -> None:
    for correlation in (-0.5, 0.0, 0.9):
        sigma = np.array([0.1, 0.3])
        covariance = np.outer(sigma, sigma) * [[1, correlation], [correlation, 1]]
        problem = Problem(
            Scenarios(("A", "B"), 1, np.zeros((2, 2)), np.full(2, 0.5)), Constraints(np.ones(2)),
            given_covariance=covariance,
        )  # fmt: skip
        assert RiskBudget().allocate(problem) == pytest.approx([0.75, 0.25], abs=1e-5)
        assert InverseVolatility().allocate(problem) == pytest.approx([0.75, 0.25], abs=1e-12)


def test_hierarchical_risk_parity_has_the_weights_of_the_default_of_skfolio(sample_problem: Problem) -> None:
    found = named(sample_problem, HierarchicalRiskParity().allocate(sample_problem))
    reference = [0.02461, 0.13524, 0.00993, 0.08164]
    assert [found[t] for t in ("AAPL", "JNJ", "RRC", "WMT")] == pytest.approx(reference, abs=1e-5)
    from skfolio.optimization import HierarchicalRiskParity as Twin

    twin = Twin().fit(sample_problem.scenarios.returns).weights_
    assert list(found.values()) == pytest.approx(twin.tolist(), abs=1e-12)


def test_the_minimum_expected_shortfall_has_the_weights_of_two_other_packages(sample_problem: Problem) -> None:
    weights = MinimumExpectedShortfall(0.95).allocate(sample_problem)
    reference = {
        "JNJ": 0.3020,
        "MRK": 0.2535,
        "KO": 0.1471,
        "PFE": 0.1108,
        "CVX": 0.0610,
        "XOM": 0.0465,
        "RRC": 0.0256,
        "WMT": 0.0201,
        "MSFT": 0.0194,
    }
    found = named(sample_problem, weights)
    assert {ticker: found[ticker] for ticker in reference} == pytest.approx(reference, abs=1e-4)
    losses = np.sort(-sample_problem.scenarios.returns @ weights)[-25:]  # the worst 5% of 500
    assert losses.mean() == pytest.approx(0.0175272, abs=1e-6)


def test_the_minimum_expected_shortfall_of_weighted_scenarios_is_that_of_a_linear_programme(shares: Scenarios) -> None:
    probabilities = np.asarray(0.99 ** np.arange(500.0)[::-1])
    probabilities /= probabilities.sum()
    level, cap, count = 0.975, 0.25, len(shares.tickers)
    weighted = replace(shares, probabilities=probabilities)
    weights = MinimumExpectedShortfall(level).allocate(Problem(weighted, Constraints(np.full(count, cap))))

    # Rockafellar and Uryasev: the weights, the quantile, and the excess of each scenario's loss over it.
    cost = np.concatenate([np.zeros(count), [1.0], probabilities / (1 - level)])
    excess = np.hstack([-shares.returns, -np.ones((500, 1)), -np.eye(500)])
    total = np.concatenate([np.ones(count), np.zeros(501)])[None, :]
    bounds = [(0, cap)] * count + [(None, None)] + [(0, None)] * 500
    twin = linprog(cost, excess, np.zeros(500), total, [1.0], bounds=bounds, method="highs")
    assert twin.fun == pytest.approx(0.0200883, abs=1e-7)
    losses = -shares.returns @ weights
    quantile = losses[np.argsort(losses)][np.searchsorted(np.cumsum(probabilities[np.argsort(losses)]), level)]
    found = quantile + probabilities @ np.maximum(losses - quantile, 0) / (1 - level)
    assert found == pytest.approx(twin.fun, abs=1e-6)


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_weights_sum_to_the_amount_to_invest_and_are_not_negative(each: Allocator, sample_problem: Problem) -> None:
    limits = replace(sample_problem.constraints, invested=0.9)
    weights = each.allocate(replace(sample_problem, constraints=limits))
    assert weights.sum() == pytest.approx(0.9, abs=1e-9)
    assert (weights >= 0).all()


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_a_single_ticker_gets_everything(each: Allocator, shares: Scenarios) -> None:
    alone = Problem(replace(shares, tickers=("AAPL",), returns=shares.returns[:, :1]), Constraints(np.ones(1)))
    assert each.allocate(alone) == pytest.approx([1.0], abs=1e-9)


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_two_shares_that_always_move_alike_and_fewer_scenarios_than_tickers(each: Allocator, shares: Scenarios) -> None:
    twice = np.hstack([shares.returns, shares.returns[:, :1]])[:15]
    problem = Problem(Scenarios((*shares.tickers, "AAPL2"), 1, twice, np.full(15, 1 / 15)), Constraints(np.ones(21)))
    weights = each.allocate(problem)
    assert weights.sum() == pytest.approx(1.0, abs=1e-9)
    assert (weights >= 0).all()
