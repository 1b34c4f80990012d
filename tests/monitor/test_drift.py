"""The tests of drift, held to those of scipy.stats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pm.monitor.drift import differs, exceeds_rate, mean_differs


@given(st.integers(2, 200), st.integers(2, 200), st.integers(0, 2**32 - 1), st.floats(0.01, 3))
def test_student_and_welch_are_those_of_scipy(size: int, other_size: int, seed: int, spread: float) -> None:
    generator = np.random.default_rng(seed)
    one, other = generator.normal(0.9, 1, size), generator.normal(1, spread, other_size)

    assert mean_differs(one, 0.9) == pytest.approx(stats.ttest_1samp(one, 0.9).pvalue, rel=1e-9)
    assert differs(one, other) == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue, rel=1e-9)


def test_equal_values_differ_from_another_mean_for_certain() -> None:
    same = np.full(40, 0.8)
    assert mean_differs(same, 0.8) == 1
    assert mean_differs(same, 0.9) == 0
    assert differs(same, np.full(30, 0.8)) == 1
    assert differs(same, np.full(30, 0.7)) == 0


@given(st.integers(0, 50), st.integers(1, 500), st.integers(0, 50), st.integers(1, 500))
def test_a_rate_is_compared_by_the_binomial_test(count: int, extra: int, before: int, extra_before: int) -> None:
    total, total_before = count + extra, before + extra_before
    rate = (before + 1) / (total_before + 1)
    p_value = stats.binomtest(count, total, rate, alternative="greater").pvalue
    if abs(p_value - 0.01) > 1e-9:
        assert exceeds_rate(count, total, before, total_before, level=0.01) == (p_value < 0.01)
