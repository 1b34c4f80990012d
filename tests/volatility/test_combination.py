from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import norm

from pm.volatility.combination import (
    averaged_quantiles,
    levels_of,
    member_scores,
    quantiles_at,
    realised_returns,
)
from pm.volatility.shipped_panel import SHAPE_LEVELS

LEVELS = np.array(SHAPE_LEVELS)
NORMAL = norm.ppf(LEVELS)


def normal_quantiles(sigma: float, origins: int, horizon: int) -> np.ndarray:
    return np.broadcast_to(sigma * NORMAL, (origins + 1, horizon, len(LEVELS))).copy()


def test_realised_returns_are_sums_and_unknown_ones_are_missing() -> None:
    returns = np.array([1.0, 2.0, 4.0, 8.0])
    found = realised_returns(returns, np.array([0, 2, 3, 4]), 3)
    expected = [[1, 3, 7], [4, 12, np.nan], [8, np.nan, np.nan], [np.nan] * 3]
    np.testing.assert_array_equal(found, expected)


def test_levels_of_normal_outcomes_are_those_of_the_normal_distribution() -> None:
    outcomes = np.linspace(-2.5, 2.5, 41)[:, np.newaxis]
    levels = levels_of(normal_quantiles(1.0, 41, 1)[:-1], outcomes)
    np.testing.assert_allclose(levels[:, 0], norm.cdf(outcomes[:, 0]), atol=0.004)
    beyond = levels_of(normal_quantiles(1.0, 3, 1)[:-1], np.array([[-9.0], [9.0], [np.nan]]))
    np.testing.assert_array_equal(beyond, [[0.001], [0.999], [np.nan]])


@hypothesis_settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), weight=st.floats(0, 1))
def test_an_average_lies_between_its_members_and_ascends(seed: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    members = [np.sort(rng.standard_t(3, (4, 3, len(LEVELS))), axis=2) for _ in range(2)]
    weights = np.array([[weight] * 3, [1 - weight] * 3])
    average = averaged_quantiles(members, weights)
    low, high = np.minimum(*members), np.maximum(*members)
    assert ((average >= low - 1e-12) & (average <= high + 1e-12)).all()
    assert (np.diff(average, axis=2) >= -1e-12).all()


def test_reading_quantiles_at_their_own_levels_gives_them_back() -> None:
    quantiles = normal_quantiles(1.0, 0, 2)[0]
    np.testing.assert_allclose(quantiles_at(quantiles, np.tile(LEVELS, (2, 1))), quantiles)


def test_the_better_member_gains_weight_with_outcomes_and_none_without() -> None:
    rng = np.random.default_rng(1)
    outcomes = rng.normal(size=(250, 2))
    right, wide = normal_quantiles(1.0, 250, 2), normal_quantiles(2.0, 250, 2)
    scores = member_scores([wide, right], outcomes, [0.5, 0.5], stride=2)
    assert (scores.losses[1] < scores.losses[0]).all()
    # Windows of two sessions that begin two sessions apart do not overlap, and neither do those of one.
    assert (scores.weights[1] > 0.8).all()
    np.testing.assert_allclose(scores.weights.sum(axis=0), 1.0)
    unknown = member_scores([wide, right], np.full((250, 2), np.nan), [0.4, 0.6], stride=2)
    np.testing.assert_allclose(unknown.weights, [[0.4, 0.4], [0.6, 0.6]])
    assert np.isnan(unknown.losses).all()
    assert unknown.outcomes.tolist() == [0, 0]


def test_equal_members_keep_their_weights() -> None:
    outcomes = np.random.default_rng(2).normal(size=(100, 3))
    same = normal_quantiles(1.0, 100, 3)
    scores = member_scores([same, same], outcomes, [0.4, 0.6], stride=2)
    np.testing.assert_allclose(scores.weights, [[0.4] * 3, [0.6] * 3])


def test_overlapping_windows_count_less() -> None:
    rng = np.random.default_rng(3)
    outcomes = np.tile(rng.normal(size=(200, 1)), (1, 20))
    right, wide = normal_quantiles(1.0, 200, 20), normal_quantiles(1.5, 200, 20)
    weights = member_scores([wide, right], outcomes, [0.5, 0.5], stride=2).weights[1]
    odds = np.log(weights / (1 - weights))
    assert odds[19] == pytest.approx(odds[1] / 10)
    assert odds[0] == pytest.approx(odds[1])
