from __future__ import annotations

import warnings

import numpy as np
import pytest
from arch.bootstrap import MCS

from pm.statistics.bootstrap import stationary_bootstrap
from pm.statistics.confidence_set import CONFIDENCE_SET_SIZE, model_confidence_set


@pytest.mark.parametrize(("origins", "models", "block"), [(16, 2, 1), (16, 7, 2), (40, 5, 4), (8, 3, 3)])
def test_p_values_equal_those_of_arch_on_the_same_samples(origins: int, models: int, block: int) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        losses = rng.normal(size=(origins, 1)) ** 2 + rng.normal(size=(origins, models)) * 0.5
        losses += np.linspace(0, 0.8, models)[rng.permutation(models)]
        theirs = MCS(losses, size=CONFIDENCE_SET_SIZE, reps=300, block_size=block, seed=seed)
        theirs.compute()
        ours = model_confidence_set(losses, np.array(theirs._bootstrap_indices))
        # A p-value is a count of 300 samples: of statistics without ties, both packages count the same.
        np.testing.assert_allclose(ours, theirs.pvalues["Pvalue"].sort_index().to_numpy(), atol=0.5 / 300)
        assert np.flatnonzero(ours > CONFIDENCE_SET_SIZE).tolist() == theirs.included


def test_models_with_equal_losses_cause_no_warning_and_no_nan() -> None:
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


def test_the_best_model_is_in_the_set_as_often_as_its_level_promises() -> None:
    rng = np.random.default_rng(7)
    inside = []
    for _ in range(300):
        losses = rng.normal(size=(16, 1)) ** 2 + rng.normal(0, 0.5, size=(16, 5))
        resampled = stationary_bootstrap(16, block=1, reps=200, generator=rng)
        inside.append((model_confidence_set(losses, resampled) > 0.1).mean())
    # All models are equally good, so that each belongs to the set.
    assert np.mean(inside) > 0.9
    clear = rng.normal(0, 0.3, size=(16, 4)) + np.array([0.0, 2.0, 2.0, 2.0])
    resampled = stationary_bootstrap(16, block=2, reps=200, generator=rng)
    assert (model_confidence_set(clear, resampled) > 0.1).tolist() == [True, False, False, False]
