"""Kelly weights against bets whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.portfolio.allocators import Kelly, growth, growth_weights
from pm.portfolio.problem import Constraints, Problem, Views
from pm.risk.scenarios import Scenarios

if TYPE_CHECKING:
    from pm.typing import FloatArray


def best(returns: list[float], probabilities: list[float], *, limit: float = 50.0, cost: float = 0.0) -> FloatArray:
    return growth_weights(
        np.array(returns)[:, None], np.array(probabilities), lower=np.zeros(1), upper=np.array([limit]), cost=cost
    )


@pytest.mark.parametrize(
    ("returns", "probabilities", "weight", "rate"),
    [
        ([1.0, -1.0], [0.6, 0.4], 0.2, 0.020136),
        ([1.5, -1.0], [0.55, 0.45], 0.25, 0.0456926),
        ([-0.1, 0.05, 0.2], [0.3, 0.4, 0.3], 4.0, 0.0960169),
    ],
)
def test_bets_whose_answer_is_known(
    returns: list[float], probabilities: list[float], weight: float, rate: float
) -> None:
    found = best(returns, probabilities)
    assert found == pytest.approx([weight], abs=1e-5)
    grown, _ = growth(found, np.array(returns)[:, None], np.array(probabilities))
    assert grown == pytest.approx(rate, abs=1e-6)


def test_a_bet_without_an_edge_or_with_one_smaller_than_its_cost_is_not_made() -> None:
    assert best([1.0, -1.0], [0.5, 0.5]) == pytest.approx([0.0], abs=1e-7)
    assert best([1.0, -1.0], [0.52, 0.48], cost=0.05) == pytest.approx([0.0], abs=1e-7)


def test_the_gradient_is_that_of_differences_and_ruin_has_a_value() -> None:
    random = np.random.default_rng(2)
    returns, probabilities = random.normal(0, 0.3, (50, 3)), np.full(50, 0.02)
    for weights in (np.array([0.2, -0.1, 0.4]), np.array([4.0, 3.0, -5.0])):  # the second loses more than everything
        value, gradient = growth(weights, returns, probabilities)
        assert np.isfinite(value)
        for place in range(3):
            step = np.eye(3)[place] * 1e-6
            numeric = (growth(weights + step, returns, probabilities)[0] - value) / 1e-6
            assert gradient[place] == pytest.approx(numeric, rel=1e-3, abs=1e-5)


@pytest.fixture
def problem() -> Problem:
    random = np.random.default_rng(1)
    returns = random.multivariate_normal([0, 0, 0], 0.05**2 * (0.5 * np.eye(3) + 0.5), 4000)
    return Problem(Scenarios(("A", "B", "C"), 20, returns, np.full(4000, 1 / 4000)), Constraints(np.ones(3)))


def test_only_views_get_a_weight_and_less_the_more_uncertain_they_are(problem: Problem) -> None:
    assert Kelly().allocate(problem) == pytest.approx(np.zeros(3))
    sizes = []
    for error in (0.0, 0.05, 0.2):
        viewed = replace(problem, views=Views((1,), np.array([0.002]), np.array([error**2])))
        weights = Kelly(0.5).allocate(viewed)
        assert (weights[0], weights[2]) == (0.0, 0.0)
        sizes.append(weights[1])
    # With a normal return and a normal error: half of the mean divided by the variance of both.
    expected = [0.5 * 0.002 / (0.05**2 + error**2) for error in (0.0, 0.05, 0.2)]
    assert sizes == pytest.approx(expected, rel=0.08)


def test_the_weights_keep_the_bounds_and_the_amount_to_invest(problem: Problem) -> None:
    limits = Constraints(np.array([0.2, 0.3, 0.5]), invested=0.6)
    viewed = replace(problem, constraints=limits, views=Views((0, 1, 2), np.full(3, 0.05), np.full(3, 0.01**2)))
    weights = Kelly(0.5).allocate(viewed)
    assert weights.sum() == pytest.approx(0.6, abs=1e-6)
    assert (weights <= limits.upper + 1e-9).all()
    assert (weights >= 0).all()


def test_a_negative_view_is_sold_short_only_where_that_is_allowed(problem: Problem) -> None:
    viewed = replace(problem, views=Views((0,), np.array([-0.01]), np.array([0.001])))
    assert Kelly().allocate(viewed)[0] == pytest.approx(0.0, abs=1e-9)
    allowed = replace(viewed, constraints=Constraints(np.ones(3), max_short=0.5))
    assert Kelly().allocate(allowed)[0] < -0.05


@pytest.mark.parametrize("fraction", [0.0, 0.51, 1.0, float("nan")])
def test_more_than_half_of_kelly_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"at most 0\.5"):
        Kelly(fraction)
