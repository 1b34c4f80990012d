from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.forecast.spectral.page import Scaling, page_matrix, stacked_pages, trailing_windows, unpage, window_length


def test_a_page_matrix_equals_one_written_by_hand() -> None:
    # Seven values in columns of three: the oldest is dropped.
    expected = [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    np.testing.assert_array_equal(page_matrix(np.arange(7.0), 3), expected)


@given(length=st.integers(0, 60), rows=st.integers(1, 12))
def test_a_page_matrix_has_the_newest_values_in_order(length: int, rows: int) -> None:
    series = np.arange(float(length))
    page = page_matrix(series, rows)
    assert page.shape == (rows, length // rows)
    assert unpage(page).tolist() == series[length % rows :].tolist()


def test_series_of_different_lengths_are_stacked_by_their_ends() -> None:
    stacked = stacked_pages([np.arange(5.0), np.array([9.0]), np.arange(10.0, 14.0)], 2)
    np.testing.assert_array_equal(stacked, [[1, 3, 10, 12], [2, 4, 11, 13]])


def test_trailing_windows_end_at_the_given_positions() -> None:
    windows = trailing_windows(np.arange(10.0), np.array([2, 9]), 3)
    np.testing.assert_array_equal(windows, [[0, 7], [1, 8], [2, 9]])


def test_a_window_that_would_begin_before_the_series_is_refused() -> None:
    with pytest.raises(IndexError, match="window of 3 values cannot end at position 1"):
        trailing_windows(np.arange(10.0), np.array([1, 9]), 3)


def test_scaled_values_have_mean_0_and_variance_1() -> None:
    series = np.random.default_rng(1).normal(40, 7, 500)
    scaled = Scaling.fit(series).apply(series)
    # The mean is rounded to 500·ε·40 at worst, and divided by the unit of 7: 6e-13.
    assert abs(scaled.mean()) < 1e-12
    assert abs(scaled.std() - 1) < 1e-12


@pytest.mark.parametrize("level", [0.0, 4.6, 1e9])
def test_a_constant_series_becomes_zeros(level: float) -> None:
    series = np.full(100, level)
    assert np.abs(Scaling.fit(series).apply(series)).max() < 1e-6


@pytest.mark.parametrize(("observations", "lags"), [(400, 10), (1000, 16), (5, 2), (20 * 1000, 71)])
def test_window_length_is_the_square_root_of_a_quarter_of_the_observations(observations: int, lags: int) -> None:
    assert window_length(observations) == lags
