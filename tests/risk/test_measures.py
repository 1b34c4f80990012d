"""Value at risk, expected shortfall and their parts, against closed forms and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import norm, t

from pm.risk.assess import standalone_es
from pm.risk.measures import component_es, expected_shortfall, portfolio_losses, risk_measure
from pm.risk.scenarios import Scenarios

MIDDLES = (np.arange(400_000) + 0.5) / 400_000


@pytest.mark.parametrize(
    ("level", "var", "es"), [(0.975, 1.95996, 2.33780), (0.99, 2.32635, 2.66521), (0.95, 1.64485, 2.06271)]
)
def test_normal(level: float, var: float, es: float) -> None:
    found = risk_measure(norm.ppf(MIDDLES), np.full(len(MIDDLES), 1 / len(MIDDLES)), level)
    assert (found.var, found.es) == pytest.approx((var, es), abs=3e-4)


@pytest.mark.parametrize(("level", "var", "es"), [(0.975, 1.96324, 2.82387), (0.99, 2.64949, 3.69151)])
def test_student_t_of_unit_variance(level: float, var: float, es: float) -> None:
    found = risk_measure(t(4).ppf(MIDDLES) / np.sqrt(2.0), np.full(len(MIDDLES), 1 / len(MIDDLES)), level)
    assert (found.var, found.es) == pytest.approx((var, es), abs=3e-3)


def test_a_tail_that_ends_within_a_scenario_takes_a_part_of_it() -> None:
    losses = np.array([1.0, 2.0, 3.0, 4.0])
    found = risk_measure(losses, np.full(4, 0.25), 0.6)
    assert found.var == 3.0
    assert found.es == pytest.approx((0.25 * 4 + 0.15 * 3) / 0.4)


def test_equal_probabilities_reach_a_level_that_they_sum_to() -> None:
    assert risk_measure(np.arange(20.0), np.full(20, 0.05), 0.95).var == 18.0


def test_unequal_probabilities_count() -> None:
    losses, probabilities = np.array([10.0, 0.0]), np.array([0.01, 0.99])
    assert risk_measure(losses, probabilities, 0.99).var == 0.0
    assert expected_shortfall(losses, probabilities, 0.99) == pytest.approx(10.0)
    assert expected_shortfall(losses, probabilities, 0.98) == pytest.approx(5.0)


def test_a_loss_that_is_no_number_is_an_error_and_not_a_small_risk() -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        risk_measure(np.array([0.1, np.nan]), np.full(2, 0.5), 0.95)


def test_the_standard_errors_are_the_spread_over_samples() -> None:
    generator, equal = np.random.default_rng(2), np.full(4000, 1 / 4000)
    found = [risk_measure(generator.standard_t(5, 4000), equal, 0.975) for _ in range(300)]
    assert np.mean([each.se_var for each in found]) == pytest.approx(np.std([each.var for each in found]), rel=0.15)
    assert np.mean([each.se_es for each in found]) == pytest.approx(np.std([each.es for each in found]), rel=0.15)


def test_the_standard_errors_of_unequal_probabilities_are_the_spread_over_samples() -> None:
    weights = 0.99 ** np.arange(1000.0)
    weights /= weights.sum()
    generator = np.random.default_rng(2)
    found = [risk_measure(generator.standard_normal(1000), weights, 0.95) for _ in range(400)]
    assert np.mean([each.se_var for each in found]) == pytest.approx(np.std([each.var for each in found]), rel=0.2)
    assert np.mean([each.se_es for each in found]) == pytest.approx(np.std([each.es for each in found]), rel=0.2)


RETURNS = hnp.arrays(np.float64, (50, 3), elements=st.floats(-0.5, 0.5))
WEIGHTS = hnp.arrays(np.float64, 3, elements=st.floats(-1, 1))


@given(RETURNS, WEIGHTS, st.sampled_from([0.9, 0.95, 0.975, 0.99]), st.booleans())
def test_components_sum_to_the_expected_shortfall(
    returns: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    weights: np.ndarray[tuple[int], np.dtype[np.float64]],
    level: float,
    aged: bool,
) -> None:
    probabilities = 0.95 ** np.arange(50.0) if aged else np.ones(50)
    scenarios = Scenarios(("A", "B", "C"), 1, returns, probabilities / probabilities.sum())
    losses = portfolio_losses(scenarios, weights)
    found = risk_measure(losses, scenarios.probabilities, level)
    assert component_es(scenarios, weights, level).sum() == pytest.approx(found.es, abs=1e-12)
    assert expected_shortfall(losses, scenarios.probabilities, level) == pytest.approx(found.es, abs=1e-12)
    assert found.es >= found.var - 1e-12


def test_a_component_is_the_weight_times_the_derivative() -> None:
    returns = np.random.default_rng(4).standard_normal((1000, 3)) * 0.02
    scenarios, weights = Scenarios(("A", "B", "C"), 1, returns, np.full(1000, 1e-3)), np.array([0.5, 0.3, -0.2])
    parts = component_es(scenarios, weights, 0.95)
    for place in range(3):
        step = np.zeros(3)
        step[place] = 1e-7
        above, below = (
            expected_shortfall(portfolio_losses(scenarios, weights + sign * step), scenarios.probabilities, 0.95)
            for sign in (1, -1)
        )
        assert parts[place] == pytest.approx(weights[place] * (above - below) / 2e-7, rel=1e-5)


@pytest.mark.parametrize("aged", [False, True])
def test_standalone_shortfalls_are_those_of_single_positions(aged: bool) -> None:
    returns = np.random.default_rng(4).standard_normal((777, 3)) * 0.02
    probabilities = 0.995 ** np.arange(777.0) if aged else np.ones(777)
    probabilities /= probabilities.sum()
    weights, levels = np.array([0.5, 0.0, -0.2]), (0.95, 0.975, 0.99)
    found = standalone_es(returns, probabilities, weights, levels)
    for level in levels:
        for place in range(3):
            alone = expected_shortfall(-weights[place] * returns[:, place], probabilities, level)
            assert found[level][place] == pytest.approx(alone, abs=1e-14)
