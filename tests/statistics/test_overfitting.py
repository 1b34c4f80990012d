from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from pm.statistics.overfitting import overfitting, overfitting_by_blocks

if TYPE_CHECKING:
    from pm.typing import FloatArray


def known_trials() -> FloatArray:
    t, n = np.arange(1, 241)[:, np.newaxis], np.arange(1, 7)
    return np.asarray(np.sin(0.7 * t * n) + 0.02 * n * np.cos(t / 9))


def twin(returns: FloatArray, blocks: int) -> tuple[float, list[float]]:
    """Compute the estimate split by split, as the paper describes it."""
    length = len(returns) // blocks
    parts = np.split(returns[len(returns) - length * blocks :], blocks)
    logits = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[place] for place in chosen])
        outside = np.concatenate([parts[place] for place in range(blocks) if place not in chosen])
        best = int((inside.mean(axis=0) / inside.std(axis=0, ddof=1)).argmax())
        rank = rankdata(outside.mean(axis=0) / outside.std(axis=0, ddof=1))[best]
        relative = rank / (returns.shape[1] + 1)
        logits.append(math.log(relative / (1 - relative)))
    return float(np.mean(np.array(logits) <= 0)), logits


@pytest.mark.parametrize(("blocks", "probability"), [(4, 1), (6, 1), (8, 68 / 70)])
def test_known_trials(blocks: int, probability: float) -> None:
    assert overfitting(known_trials(), blocks).probability == pytest.approx(probability)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([2, 4, 6, 8]), st.integers(2, 7), st.integers(16, 70))
def test_equals_the_splits_one_by_one(seed: int, blocks: int, trials: int, observations: int) -> None:
    returns = np.random.default_rng(seed).normal(0.01, 1, (observations, trials))
    found, (probability, logits) = overfitting(returns, blocks), twin(returns, blocks)
    assert found.probability == pytest.approx(probability)
    assert found.logits.tolist() == pytest.approx(logits)


def test_one_trial_that_is_always_best_is_not_overfitting() -> None:
    returns = np.random.default_rng(1).normal(size=(400, 8))
    returns[:, 3] += 2.0
    found = overfitting(returns, 10)
    assert (found.probability, found.loss) == (0, 0)


def test_trials_whose_mean_is_the_same_over_all_time_are_overfitting() -> None:
    """What one half is above the mean, the other is below it."""
    returns = np.random.default_rng(2).normal(size=(400, 8))
    found = overfitting(returns - returns.mean(axis=0), 16)
    assert len(found.logits) == 12_870
    assert found.probability > 0.95
    assert found.degradation < -0.9


def test_of_noise_the_estimate_varies() -> None:
    generator = np.random.default_rng(3)
    found = [overfitting(generator.normal(size=(1000, 100)), 10).probability for _ in range(60)]
    assert np.mean(found) == pytest.approx(0.45, abs=0.08)
    assert np.std(found) == pytest.approx(0.19, abs=0.06)


def test_a_trial_without_variance_is_never_the_best() -> None:
    returns = np.random.default_rng(4).normal(-0.1, 1, (200, 3))
    returns[:, 1] = 0.001
    assert overfitting(returns, 8).probability == overfitting(returns[:, [0, 2, 1]], 8).probability


def test_too_little_has_no_estimate() -> None:
    assert math.isnan(overfitting(np.zeros((100, 1)), 8).probability)
    assert math.isnan(overfitting(np.random.default_rng(0).normal(size=(10, 4)), 8).probability)
    assert [one.blocks for one in overfitting_by_blocks(np.random.default_rng(0).normal(size=(20, 4)))] == [4, 6, 8, 10]
    with pytest.raises(ValueError, match="even"):
        overfitting(np.zeros((100, 3)), 5)
