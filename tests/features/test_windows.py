from __future__ import annotations

from statistics import fmean, stdev

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.features.windows import window_mean

VALUES = st.lists(st.none() | st.floats(-1e9, 1e9), max_size=60)


@given(VALUES, st.integers(1, 25))
@settings(max_examples=150, deadline=None)
def test_the_mean_of_an_incomplete_window_is_null(values: list[float | None], window: int) -> None:
    result = pl.select(window_mean(pl.lit(pl.Series(values, dtype=pl.Float64)), window)).to_series().to_list()
    for end, mean in enumerate(result, start=1):
        last = [value for value in values[max(end - window, 0) : end] if value is not None]
        if len(last) < window:
            assert mean is None
        else:
            assert mean == pytest.approx(fmean(last), rel=1e-12, abs=1e-6)


def test_an_outlier_that_left_the_window_changes_no_bit_of_the_mean() -> None:
    calm = np.random.default_rng(1).normal(0, 0.01, 80)
    struck = np.concatenate(([1e9, -3e17], calm))
    alone, after = (pl.select(window_mean(pl.lit(pl.Series(each)), 20)).to_series() for each in (calm, struck))
    assert alone[19:].equals(after[21:])


@pytest.mark.parametrize("window", [5, 20, 60])
@pytest.mark.parametrize("outlier", [1e9, -1e15])
def test_an_outlier_that_left_the_window_does_not_change_the_rolling_deviation_of_polars(
    window: int, outlier: float
) -> None:
    values = np.random.default_rng(window).normal(0, 0.01, 400)
    values[100] = outlier
    result = pl.Series(values).rolling_std(window)
    for end in range(100 + window + 1, 401):
        assert result[end - 1] == pytest.approx(stdev(values[end - window : end].tolist()), rel=1e-12)


@given(st.floats(1e-6, 1e6), st.lists(st.floats(1e-6, 1e12), max_size=30), st.sampled_from([5, 20]))
@settings(max_examples=150, deadline=None)
def test_rolling_deviation_of_polars_is_exactly_zero_for_a_constant(
    constant: float, before: list[float], window: int
) -> None:
    values = pl.Series([*before, *[constant] * (window * 2)])
    assert values.rolling_std(window)[len(before) + window - 1 :].to_list() == [0.0] * (window + 1)
