from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from pm.statistics.robust import median, robust_sigma


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_median_is_that_of_numpy(values: list[float]) -> None:
    assert median(np.array(values)) == np.median(values)


def test_robust_sigma_is_the_normal_median_absolute_deviation_of_scipy() -> None:
    values = np.random.default_rng(1).standard_t(3, 501)
    # Scipy has the factor to full precision, and we to five digits.
    expected = median_abs_deviation(values, scale="normal")
    assert robust_sigma(values - np.median(values)) == pytest.approx(expected, rel=1e-5)


def test_one_outlier_hardly_changes_robust_sigma() -> None:
    values = np.random.default_rng(2).normal(0, 2, 1001)
    wild = np.append(values, 1e9)
    assert robust_sigma(wild - np.median(wild)) == pytest.approx(2, rel=0.1)
