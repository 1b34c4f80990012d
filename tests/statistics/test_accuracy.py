from __future__ import annotations

import math

import numpy as np
import pytest

from pm.statistics.accuracy import directional_accuracy, mae, mase, naive_scale, rmse, smape
from pm.statistics.proportions import wilson


def test_point_losses_equal_values_computed_by_hand() -> None:
    forecast, actual = np.array([110.0, 90.0, 100.0]), np.array([100.0, 100.0, 100.0])
    assert rmse(forecast - actual) == pytest.approx(math.sqrt(200 / 3))
    assert mae(forecast - actual) == pytest.approx(20 / 3)
    assert smape(forecast, actual) == pytest.approx((2 * 10 / 210 + 2 * 10 / 190 + 0) / 3)
    assert smape(forecast * 7, actual * 7) == pytest.approx(smape(forecast, actual))
    assert smape(np.array([1e-9]), np.array([1e9])) == pytest.approx(2.0)


def test_mase_of_the_naive_forecast_in_sample_is_one() -> None:
    series = np.random.default_rng(0).normal(size=500).cumsum()
    assert naive_scale(np.array([1.0, 3.0, 2.0])) == 1.5
    assert mase(np.diff(series), naive_scale(series)) == pytest.approx(1.0)
    # A scale for each of two origins, with two steps from each.
    errors, scales = np.array([[1.0, 3.0], [8.0, -8.0]]), np.array([[2.0], [4.0]])
    assert mase(errors, scales) == pytest.approx((0.5 + 1.5 + 2 + 2) / 4)
    assert math.isnan(mase(errors, np.array([[2.0], [0.0]])))


def test_directions_of_zero_changes_are_left_out() -> None:
    predicted = np.array([0.1, 0.2, -0.1, -0.3, 0.0, 0.1])
    actual = np.array([0.3, -0.1, -0.2, -0.1, 0.5, 0.0])
    found = directional_accuracy(predicted, actual)
    assert (found.share, found.trials, found.left_out) == (0.75, 4, 2)
    assert (found.lower, found.upper) == wilson(3, 4)
    overlapping = directional_accuracy(predicted, actual, overlap=2)
    assert overlapping.share == 0.75
    assert (overlapping.lower, overlapping.upper) == wilson(1.5, 2)
    naive = directional_accuracy(np.zeros(6), actual)
    assert (naive.trials, naive.left_out) == (0, 6)
    assert math.isnan(naive.share)
    assert math.isnan(naive.lower)
