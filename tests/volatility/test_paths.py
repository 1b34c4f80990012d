from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.volatility.paths import fill_paths, track_levels, trailing_ranks
from pm.volatility.simulate import latin_hypercube

GJR = np.array([[2e-6, 0.03, 0.08, 0.9], [5e-6, 0.1, 0.0, 0.85]])


def test_paths_equal_the_recursion_written_out() -> None:
    rng = np.random.default_rng(1)
    horizon, simulations = 4, 21
    shocks = np.sort(rng.standard_t(5, 50))
    positions = latin_hypercube(horizon, simulations, rng)
    paths = np.full((horizon, simulations), np.nan)
    fill_paths(paths, 1, 2, positions, shocks, 1.1e-4, GJR[0])
    assert np.isnan(paths[:, ::2]).all()
    omega, alpha, gamma, beta = GJR[0]
    for path in range(1, simulations, 2):
        h, total = 1.1e-4, 0.0
        for step in range(horizon):
            e = shocks[int(positions[step, path] * len(shocks))] * h**0.5
            total += e
            assert paths[step, path] == pytest.approx(total)
            h = omega + alpha * e**2 + (gamma * e**2 if e < 0 else 0) + beta * h


@hypothesis_settings(deadline=None)
@given(
    values=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.7]), min_size=1, max_size=40),
    window=st.integers(1, 20),
    min_values=st.integers(1, 10),
)
def test_trailing_ranks_equal_their_definition(values: list[float], window: int, min_values: int) -> None:
    ranks = trailing_ranks(np.array(values), np.arange(len(values)), window, min_values)
    for place, value in enumerate(values):
        before = values[max(0, place - window) : place]
        expected = sum(other < value for other in before) / len(before) if len(before) >= min_values else 0.5
        assert ranks[place] == pytest.approx(expected)


@hypothesis_settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 40), other_weight=st.floats(0, 1), rate=st.floats(0, 0.3))
def test_levels_learn_by_the_rule_written_out(seed: int, count: int, other_weight: float, rate: float) -> None:
    rng = np.random.default_rng(seed)
    outcomes = rng.random((count, 3))
    outcomes[rng.random((count, 3)) < 0.2] = np.nan
    regimes = rng.integers(0, 3, count)
    targets = np.array([0.1, 0.5, 0.9])
    rates = rate / np.array([1.0, 2.0, 3.0])
    theta = track_levels(outcomes, regimes, 3, targets, rates, other_weight, 0.002)
    for regime in range(3):
        for step in range(3):
            for place, target in enumerate(targets):
                level = target
                for own, outcome in zip(regimes, outcomes[:, step], strict=True):
                    if np.isnan(outcome):
                        continue
                    weight = 1.0 if own == regime else other_weight
                    level += weight * rates[step] * (target - (outcome <= level))
                    level = min(max(level, 0.002), 0.998)
                # Each outcome adds a rounding of a number below 1.
                assert theta[regime, step, place] == pytest.approx(level, abs=4 * count * np.finfo(float).eps)
