from __future__ import annotations

import numpy as np

from pm.statistics.losses import loss_differential, step_scaled_errors, step_scaled_loss


def test_step_scaled_errors_are_divided_by_the_root_of_step_times_variance() -> None:
    errors = np.array([[2.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    expected = [[e / (k * v) ** 0.5 for k in (1, 2, 3)] for e, v in ((2.0, 4.0), (3.0, 9.0))]
    np.testing.assert_allclose(step_scaled_errors(errors, np.array([4.0, 9.0])), expected)
    np.testing.assert_allclose(step_scaled_loss(errors, np.array([4.0, 9.0])), [(1 + 1 / 2 + 1 / 3) / 3] * 2)


def test_the_loss_of_the_naive_forecast_of_a_random_walk_is_one_at_every_step() -> None:
    # The error at step k is a sum of k shocks of variance σ².
    shocks = np.random.default_rng(0).normal(0, 0.02, (200_000, 10))
    scaled = step_scaled_errors(np.cumsum(shocks, axis=1), 0.02**2)
    np.testing.assert_allclose(np.square(scaled).mean(axis=0), 1.0, rtol=0.02)


def test_losses_that_differ_by_rounding_are_equal() -> None:
    benchmark = np.array([1.0, 2.0, 0.0, 1.0])
    found = loss_differential(benchmark, np.array([1.0 + 1e-15, 2.0 - 1e-13, 0.0, 0.5]))
    assert found.tolist() == [0.0, 0.0, 0.0, 0.5]
