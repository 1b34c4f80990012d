from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.features import compute_features
from pm.features.prices import adjusted_prices, log_prices, session_moves

if TYPE_CHECKING:
    from collections.abc import Callable


def test_prices_are_multiplied_by_the_factor_and_volume_is_not(make_bars: Callable[..., pl.DataFrame]) -> None:
    bars = make_bars([10.0, 12.0], open=9.0, high=13.0, low=8.0, volume=500.0, adj_factor=0.5)
    assert bars.select(**adjusted_prices()).rows() == [(4.5, 6.5, 4.0, 5.0, 500.0), (4.5, 6.5, 4.0, 6.0, 500.0)]


BAD = [None, float("nan"), float("inf"), float("-inf"), 0.0, -1.0]


def test_a_value_that_is_not_a_positive_finite_number_becomes_null(make_bars: Callable[..., pl.DataFrame]) -> None:
    for column in ("open", "high", "low", "close", "volume"):
        for bad in BAD:
            bars = make_bars([10.0, 10.0], **{column: [10.0, bad]})
            prices = bars.select(**adjusted_prices())
            assert prices[column].to_list() == [10.0, None], (column, bad)
            assert prices.drop(column).null_count().row(0) == (0, 0, 0, 0), (column, bad)


def test_without_a_factor_there_are_no_prices(make_bars: Callable[..., pl.DataFrame]) -> None:
    for bad in BAD:
        prices = make_bars([10.0], adj_factor=[bad]).select(**adjusted_prices())
        assert prices.row(0) == (None, None, None, None, 1000.0), bad


def test_a_price_that_overflows_becomes_null(make_bars: Callable[..., pl.DataFrame]) -> None:
    assert make_bars([1e308], adj_factor=100.0).select(**adjusted_prices())["close"].to_list() == [None]


def test_moves_from_the_previous_session(
    make_bars: Callable[..., pl.DataFrame], assert_near: Callable[..., None]
) -> None:
    bars = make_bars([10.0, 12.0, 9.0], open=[10.0, 11.0, 8.0], high=[10.0, 12.5, 9.5], low=[10.0, 10.5, 7.0])
    moves = bars.select(**adjusted_prices()).with_columns(**log_prices()).select(**session_moves())
    assert moves["change"].to_list() == [None, 2.0, -3.0]
    assert moves["true_range"].to_list() == [None, 2.5, 5.0]
    assert_near(moves["log_return"], [None, 0.1823215567939546, -0.2876820724517809], within=1e-15)
    assert_near(moves["overnight"], [None, 0.0953101798043249, -0.4054651081081644], within=1e-15)


@pytest.mark.parametrize("column", ["high", "low"])
def test_a_session_without_high_or_low_has_no_true_range(make_bars: Callable[..., pl.DataFrame], column: str) -> None:
    bars = make_bars([10.0, 12.0, 9.0], **{column: [10.0, None, 9.0]})
    moves = bars.select(**adjusted_prices()).with_columns(**log_prices()).select(**session_moves())
    assert moves["true_range"].to_list() == [None, None, 3.0]


def test_an_adjusted_split_changes_no_feature(simulated_bars: Callable[..., pl.DataFrame]) -> None:
    whole = simulated_bars(120)
    before = pl.int_range(pl.len()) < 60
    split = whole.with_columns(
        *(pl.when(before).then(pl.col(name) * 4).otherwise(pl.col(name)) for name in ("open", "high", "low", "close")),
        adj_factor=pl.when(before).then(0.25).otherwise(1.0),
    )
    assert compute_features(split).equals(compute_features(whole))
