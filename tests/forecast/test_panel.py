from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.forecast.panel import PricedPanel, build_panel

if TYPE_CHECKING:
    from collections.abc import Callable

AS_OF = date(2020, 12, 31)


def priced_panel(prices: pl.DataFrame, *, as_of: date = AS_OF, window: int = 100, horizon: int = 5) -> PricedPanel:
    return build_panel(prices, as_of=as_of, window=window, horizon=horizon, max_age_days=10, min_bars=21)


def test_prices_are_adjusted_and_indexed(walk: Callable[..., pl.DataFrame]) -> None:
    prices = walk("X", 150, seed=1).with_columns(
        adj_factor=pl.when(pl.int_range(pl.len()) < 120).then(0.5).otherwise(1.0)
    )
    priced = priced_panel(prices)
    adjusted = (prices["close"] * prices["adj_factor"]).to_numpy()[-100:]
    bars = priced.panel.bars
    # A quotient, a product and a logarithm of about 4.6, each rounded once: below 4·ε = 1e-15 in all.
    np.testing.assert_allclose(bars["log_price"], np.log(100 * adjusted / adjusted[0]), rtol=1e-14)
    assert bars["bar"].to_list() == list(range(100))
    assert bars["date"].to_list() == prices["date"].to_list()[-100:]


def test_the_last_bar_has_the_close_as_traded(walk: Callable[..., pl.DataFrame]) -> None:
    prices = walk("X", 60, seed=1).with_columns(adj_factor=pl.lit(0.25))
    row = priced_panel(prices).last.row(0, named=True)
    assert row["origin_date"] == AS_OF
    assert row["origin_close"] == prices["close"][-1]


def test_max_range_is_the_largest_range_of_a_horizon(walk: Callable[..., pl.DataFrame]) -> None:
    prices = walk("X", 80, seed=4)
    logs = np.log(prices["close"].to_numpy())
    widest = max(np.ptp(logs[start : start + 6]) for start in range(75))
    assert priced_panel(prices, horizon=5).last["max_range"][0] == pytest.approx(widest)


def test_neither_a_unit_nor_a_dividend_changes_the_panel(walk: Callable[..., pl.DataFrame]) -> None:
    # Factors are powers of two, which change no digit.
    prices = walk("X", 60, seed=1)
    pence = prices.with_columns(pl.col("close") * 128)
    later_dividend = prices.with_columns(pl.col("adj_factor") * 0.5)
    expected = priced_panel(prices).panel.bars
    assert_frame_equal(priced_panel(pence).panel.bars, expected, check_exact=True)
    assert_frame_equal(priced_panel(later_dividend).panel.bars, expected, check_exact=True)


def test_bars_after_the_cutoff_are_ignored(walk: Callable[..., pl.DataFrame]) -> None:
    prices = walk("X", 60, seed=1)
    cutoff = AS_OF - timedelta(days=5)
    spoilt = prices.with_columns(close=pl.when(pl.col("date") > cutoff).then(float("nan")).otherwise("close"))
    priced = priced_panel(spoilt, as_of=cutoff)
    assert priced.refused == {}
    assert priced.panel.bars["date"].max() == cutoff


def spoil_close(value: float | None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda prices: prices.with_columns(
        close=pl.when(pl.int_range(pl.len()) == 40).then(pl.lit(value, dtype=pl.Float64)).otherwise("close")
    )


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_close(0.0), "bad_price"),
        (spoil_close(-3.0), "bad_price"),
        (spoil_close(float("nan")), "bad_price"),
        (spoil_close(float("inf")), "bad_price"),
        (spoil_close(None), "bad_price"),
        (lambda prices: prices.with_columns(adj_factor=pl.lit(0.0)), "bad_price"),
        (lambda prices: prices.with_columns(adj_factor=pl.lit(None, dtype=pl.Float64)), "bad_price"),
        (lambda prices: prices.with_columns(close=pl.lit(7.0)), "constant"),
        (lambda prices: pl.concat([prices, prices.tail(1)]), "duplicate_dates"),
        (lambda prices: prices.head(-11), "stale"),
        (lambda prices: prices.tail(20), "too_few_bars"),
        (lambda prices: prices.with_columns(close=pl.Series([1e300, 1e-300] * 40)), "out_of_range"),
        (lambda prices: prices.with_columns(pl.col("date") + pl.duration(days=1000)), "no_prices"),
    ],
    ids=[
        "zero",
        "negative",
        "NaN",
        "infinite",
        "null",
        "zero factor",
        "null factor",
        "constant",
        "twice",
        "stale",
        "20 bars",
        "no ratio",
        "all later",
    ],
)
def test_a_ticker_with_unusable_prices_is_excluded_and_others_are_not_affected(
    spoil: Callable[[pl.DataFrame], pl.DataFrame], reason: str, walk: Callable[..., pl.DataFrame]
) -> None:
    good = walk("GOOD", 80, seed=2)
    bad = spoil(walk("BAD", 80, seed=3))
    priced = priced_panel(pl.concat([bad, good]))
    assert {ticker: refusal.reason for ticker, refusal in priced.refused.items()} == {"BAD": reason}
    assert_frame_equal(priced.panel.bars, priced_panel(good).panel.bars, check_exact=True)
    assert_frame_equal(priced.last, priced_panel(good).last, check_exact=True)


def test_a_bad_price_before_the_window_is_ignored(walk: Callable[..., pl.DataFrame]) -> None:
    prices = spoil_close(0.0)(walk("X", 150, seed=3))
    assert priced_panel(prices, window=100).refused == {}


def test_the_maximum_age_is_exact_to_the_day(walk: Callable[..., pl.DataFrame]) -> None:
    prices = walk("X", 60, seed=3)
    assert priced_panel(prices, as_of=AS_OF + timedelta(days=10)).refused == {}
    assert priced_panel(prices, as_of=AS_OF + timedelta(days=11)).refused["X"].reason == "stale"


@pytest.mark.parametrize("factor", [1e-12, 7 / 1923, 0.01, 0.25, 0.4, 2.5, 4.0, 100.0, 1e12])
@pytest.mark.parametrize("place", [1, 30, 250, 489, 498])
def test_a_quote_that_is_undone_moves_no_price_by_more_than_its_two_sessions_did(
    factor: float, place: int, walk: Callable[..., pl.DataFrame]
) -> None:
    prices = walk("X", 500, seed=9, sigma=0.01)
    wrong = prices.with_columns(pl.col("close") * pl.when(pl.int_range(pl.len()) == place).then(factor).otherwise(1.0))
    expected = priced_panel(prices, window=500).panel.bars["log_price"].to_numpy()
    found = priced_panel(wrong, window=500).panel.bars["log_price"].to_numpy()
    moved = np.abs(np.diff(expected)[place - 1 : place + 1]).sum()
    assert np.abs(found - expected).max() <= moved + 1e-9
    assert_frame_equal(
        priced_panel(wrong, window=500).last.select("max_range"),
        priced_panel(prices, window=500).last.select("max_range"),
        abs_tol=moved + 1e-9,
    )


def test_later_bars_do_not_decide_what_a_past_forecast_leaves_out(walk: Callable[..., pl.DataFrame]) -> None:
    prices = walk("X", 120, seed=9, sigma=0.01)
    place = 100
    cutoff = prices["date"][place]
    wrong = prices.with_columns(pl.col("close") * pl.when(pl.int_range(pl.len()) == place).then(0.25).otherwise(1.0))
    seen = priced_panel(wrong, as_of=cutoff).panel.bars
    assert_frame_equal(seen, priced_panel(wrong.filter(pl.col("date") <= cutoff), as_of=cutoff).panel.bars)
    # Not known yet to be undone, it is a fall like any other; the day after, it is left out.
    assert np.diff(seen["log_price"].to_numpy())[-1] < -1.0
    later = priced_panel(wrong, as_of=prices["date"][place + 1]).panel.bars
    assert np.abs(np.diff(later["log_price"].to_numpy())).max() < 0.1
