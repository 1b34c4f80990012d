from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from arch.bootstrap import MCS
from dieboldmariano import dm_test
from hypothesis import given
from hypothesis import strategies as st

from pm.statistics.bootstrap import stationary_bootstrap
from pm.statistics.confidence_set import model_confidence_set
from pm.statistics.diebold_mariano import diebold_mariano
from pm.statistics.losses import loss_differential


@given(seed=st.integers(0, 10_000), n=st.integers(8, 60), overlap=st.integers(1, 5), one_sided=st.booleans())
def test_diebold_mariano_is_the_packages(seed: int, n: int, overlap: int, one_sided: bool) -> None:
    rng = np.random.default_rng(seed)
    # Windows that overlap: moving averages, whose autocovariances are positive.
    base, other = (np.convolve(rng.normal(size=n + overlap), np.ones(overlap), "valid")[:n] for _ in range(2))
    zeros = [0.0] * n
    differential = base**2 - other**2
    centred = differential - differential.mean()
    variance = centred @ centred + 2 * sum(centred[k:] @ centred[: n - k] for k in range(1, overlap))
    if variance <= 0:  # theirs raises; ours has a test of its own
        return
    theirs = dm_test(zeros, list(other), list(base), h=overlap, one_sided=one_sided)
    ours = diebold_mariano(differential, overlap=overlap, alternative="greater" if one_sided else "two-sided")
    assert ours.statistic == pytest.approx(-theirs[0], rel=1e-9)
    assert ours.p_value == pytest.approx(theirs[1], rel=1e-6, abs=1e-12)


def test_a_negative_long_run_variance_is_taken_with_bartletts_weights() -> None:
    differential = np.array([1.0, -0.9] * 6)
    n, mean = 12, 0.05
    gamma = [0.95**2, -(0.95**2) * 11 / 12]
    assert gamma[0] + 2 * gamma[1] < 0
    variance = gamma[0] + 2 * 0.5 * gamma[1]
    expected = mean / math.sqrt(variance / n) * math.sqrt((n + 1 - 4 + 2 / n) / n)
    assert diebold_mariano(differential, overlap=2).statistic == pytest.approx(expected)


def test_what_cannot_be_tested_and_what_need_not() -> None:
    for differential, overlap in ((np.ones(2), 1), (np.array([]), 1), (np.arange(4.0), 4)):
        test = diebold_mariano(differential, overlap=overlap)
        assert math.isnan(test.statistic)
        assert math.isnan(test.p_value)
    same = diebold_mariano(np.zeros(10), alternative="greater")
    assert (same.statistic, same.p_value) == (0.0, 0.5)
    assert diebold_mariano(np.zeros(10)).p_value == 1.0
    always = diebold_mariano(np.full(10, 0.1), alternative="greater")
    assert (always.statistic, always.p_value) == (np.inf, 0.0)
    never = diebold_mariano(np.full(10, -0.1), alternative="greater")
    assert (never.statistic, never.p_value) == (-np.inf, 1.0)


def test_rounding_is_no_difference() -> None:
    benchmark = np.array([1.0, 2.0, 0.0, 1.0])
    found = loss_differential(benchmark, np.array([1.0 + 1e-15, 2.0 - 1e-13, 0.0, 0.5]))
    assert found.tolist() == [0.0, 0.0, 0.0, 0.5]


@pytest.mark.parametrize("overlap", [1, 3])
def test_size_of_the_test(overlap: int) -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(2000):
        shocks = rng.normal(size=16 + overlap - 1) ** 2 - rng.normal(size=16 + overlap - 1) ** 2
        series = np.convolve(shocks, np.ones(overlap), "valid")
        rejected += diebold_mariano(series, overlap=overlap, alternative="greater").p_value < 0.05
    # Harvey, Leybourne and Newbold's own tables have the corrected test above its level with overlap and few origins.
    assert rejected / 2000 < (0.06 if overlap == 1 else 0.12)


@pytest.mark.parametrize(("origins", "models", "block"), [(16, 2, 1), (16, 7, 2), (40, 5, 4), (8, 3, 3)])
def test_the_confidence_set_is_archs_on_the_same_samples(origins: int, models: int, block: int) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        losses = rng.normal(size=(origins, 1)) ** 2 + rng.normal(size=(origins, models)) * 0.5
        losses += np.linspace(0, 0.8, models)[rng.permutation(models)]
        theirs = MCS(losses, size=0.1, reps=300, block_size=block, seed=seed)
        theirs.compute()
        ours = model_confidence_set(losses, np.array(theirs._bootstrap_indices))
        np.testing.assert_allclose(ours, theirs.pvalues["Pvalue"].sort_index().to_numpy(), atol=1e-12)
        assert np.flatnonzero(ours > 0.1).tolist() == theirs.included


def test_the_bootstrap_is_stationary_in_blocks_of_their_mean_length() -> None:
    drawn = stationary_bootstrap(50, block=5, reps=4000, generator=np.random.default_rng(0))
    assert drawn.shape == (4000, 50)
    np.testing.assert_allclose(np.bincount(drawn.ravel(), minlength=50) / drawn.size, 1 / 50, rtol=0.06)
    # A block goes on with probability 1 − 1/5, or a new one begins at the next bar by chance.
    follows = (np.diff(drawn, axis=1) % 50 == 1).mean()
    assert follows == pytest.approx(0.8 + 0.2 / 50, abs=0.005)
    alone = stationary_bootstrap(50, block=1, reps=2000, generator=np.random.default_rng(1))
    assert (np.diff(alone, axis=1) % 50 == 1).mean() == pytest.approx(1 / 50, abs=0.003)


def test_equal_losses_do_no_harm() -> None:
    rng = np.random.default_rng(5)
    losses = rng.normal(1, 0.2, size=(16, 3)) ** 2
    resampled = stationary_bootstrap(16, block=2, reps=500, generator=rng)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twice = model_confidence_set(np.column_stack([losses, losses[:, 0]]), resampled)
        assert model_confidence_set(np.repeat(losses[:, :1], 3, axis=1), resampled).tolist() == [1.0, 1.0, 1.0]
        worse = model_confidence_set(np.column_stack([losses[:, 0], losses[:, 0] + 0.1]), resampled)
        zeros = model_confidence_set(np.zeros((16, 2)), resampled)
    assert np.isfinite(twice).all()
    assert worse.tolist() == [1.0, 0.0]
    assert zeros.tolist() == [1.0, 1.0]


def test_the_best_model_is_in_the_set_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(7)
    inside = []
    for _ in range(300):
        losses = rng.normal(size=(16, 1)) ** 2 + rng.normal(0, 0.5, size=(16, 5))
        resampled = stationary_bootstrap(16, block=1, reps=200, generator=rng)
        inside.append((model_confidence_set(losses, resampled) > 0.1).mean())
    # All are equally good, and each belongs to the 10% set.
    assert np.mean(inside) > 0.9
    clear = rng.normal(0, 0.3, size=(16, 4)) + np.array([0.0, 2.0, 2.0, 2.0])
    resampled = stationary_bootstrap(16, block=2, reps=200, generator=rng)
    assert (model_confidence_set(clear, resampled) > 0.1).tolist() == [True, False, False, False]
