from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pm.features import compute_features
from pm.tables.features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable

PRICES = ("open", "high", "low", "close")
FROM_CLOSES = (
    *("log_return", "volatility_5", "volatility_20", "volatility_60", "ewm_volatility"),
    *("momentum_5", "momentum_20", "momentum_60", "momentum_120", "momentum_250"),
    *("rsi_14", "macd", "macd_signal", "macd_histogram", "bollinger_position", "drawdown", "drawdown_250"),
)
FROM_RANGES = ("parkinson_20", "garman_klass_20", "yang_zhang_20", "atr_14")
BAD = (None, float("nan"), float("inf"), 0.0, -5.0, 1e9, 1e-9, 1e300)


@st.composite
def hostile_bars(draw: st.DrawFn) -> pl.DataFrame:
    """A few tickers of up to 300 bars, random walks with some values replaced by what data ought not to hold."""
    frames = []
    for ticker in ("A", "AA", "B")[: draw(st.integers(1, 3))]:
        size = draw(st.integers(1, 300))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, size)))
        spread = np.exp(np.abs(rng.normal(0, 0.01, size)))
        columns: dict[str, list[float | None]] = {
            "open": (close * np.exp(rng.normal(0, 0.005, size))).tolist(),
            "high": (close * spread).tolist(),
            "low": (close / spread).tolist(),
            "close": close.tolist(),
            "volume": rng.lognormal(10, 1, size).tolist(),
            "adj_factor": [1.0] * size,
        }
        for name in draw(st.lists(st.sampled_from(sorted(columns)), max_size=6)):
            columns[name][draw(st.integers(0, size - 1))] = draw(st.sampled_from(BAD))
        days = pl.int_range(size, dtype=pl.Int32, eager=True).cast(pl.Date)
        frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64))
        frames.append(frame.select(pl.lit(ticker).alias("ticker"), days.alias("date"), pl.all()))
    return pl.concat(frames)


@given(hostile_bars(), st.integers(0, 300))
@settings(max_examples=80, deadline=None)
def test_later_bars_change_nothing(bars: pl.DataFrame, last_day: int) -> None:
    cutoff = pl.lit(last_day, dtype=pl.Int32).cast(pl.Date)
    early = bars.filter(pl.col("date") <= cutoff)
    whole = compute_features(bars).filter(pl.col("date") <= cutoff)
    assert_frame_equal(compute_features(early), whole, check_exact=True)


@given(hostile_bars())
@settings(max_examples=40, deadline=None)
def test_other_tickers_change_nothing(bars: pl.DataFrame) -> None:
    together = compute_features(bars)
    for (ticker,), alone in bars.group_by("ticker"):
        assert_frame_equal(compute_features(alone), together.filter(ticker=ticker), check_exact=True)


@given(hostile_bars(), st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_order_of_rows_changes_nothing(bars: pl.DataFrame, seed: int) -> None:
    shuffled = bars.sample(fraction=1, shuffle=True, seed=seed)
    assert_frame_equal(compute_features(shuffled), compute_features(bars), check_exact=True)


@given(hostile_bars())
@settings(max_examples=60, deadline=None)
def test_any_bars_give_one_finite_row_each(bars: pl.DataFrame) -> None:
    features = compute_features(bars)
    assert_frame_equal(features.select("ticker", "date"), bars.select("ticker", "date").sort("ticker", "date"))
    real = features.select(pl.selectors.float())
    assert real.select(pl.all().is_finite().all()).row(0) == (True,) * real.width
    spreads = features.select(pl.selectors.contains("volatility"), *FROM_RANGES).fill_null(0)
    assert spreads.select((pl.all() >= 0).all()).row(0) == (True,) * spreads.width


def test_columns_are_those_of_the_table_except_those_of_the_run(sample_bars: pl.DataFrame) -> None:
    features = compute_features(sample_bars)
    stored = FEATURES
    assert features.columns == [name for name in stored.polars_schema if name not in {"run_id", "snapshot_id"}]
    stamped = features.with_columns(run_id=pl.lit("r"), snapshot_id=pl.lit(1, dtype=pl.Int64))
    assert_frame_equal(stored.conform(stamped), stamped, check_column_order=False)
    assert features["cutoff"].equals(features["date"])


def test_other_columns_are_ignored_even_under_names_used_here(sample_bars: pl.DataFrame) -> None:
    others = sample_bars.with_columns(source=pl.lit("x"), log_return=pl.lit(5.0), macd_line=pl.lit("y"))
    assert_frame_equal(compute_features(others), compute_features(sample_bars), check_exact=True)


def test_scale_of_prices_changes_nothing(sample_bars: pl.DataFrame) -> None:
    scaled = sample_bars.with_columns(pl.col(PRICES) * 7)
    assert_frame_equal(compute_features(scaled), compute_features(sample_bars), rel_tol=1e-12, abs_tol=1e-12)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Null])
def test_close_only_data_have_all_features_of_closes(
    simulated_bars: Callable[..., pl.DataFrame], dtype: type[pl.DataType]
) -> None:
    bars = simulated_bars(300)
    whole = compute_features(bars)
    absent = [pl.lit(None, dtype=dtype).alias(name) for name in ("open", "high", "low", "volume")]
    features = compute_features(bars.with_columns(absent))
    assert_frame_equal(features.select(FROM_CLOSES), whole.select(FROM_CLOSES), check_exact=True)
    assert features.select(*FROM_RANGES, "volume_zscore_20").null_count().row(0) == (300,) * 5
    assert whole.tail(1).null_count().sum_horizontal().item() == 0


def test_a_missing_close_makes_only_the_windows_with_it_null(
    simulated_bars: Callable[..., pl.DataFrame],
) -> None:
    bars = simulated_bars(200)
    whole = compute_features(bars)
    day = pl.int_range(pl.len())
    features = compute_features(bars.with_columns(close=pl.when(day != 100).then("close")))
    holes = {
        name: (features[name].is_null() & whole[name].is_not_null()).arg_true().to_list() for name in whole.columns
    }
    assert holes["log_return"] == [100, 101]
    assert holes["volatility_20"] == list(range(100, 121))
    assert holes["momentum_5"] == [100, 105]
    assert holes["yang_zhang_20"] == list(range(100, 121))
    assert holes["bollinger_position"] == list(range(100, 120))
    assert holes["rsi_14"] == [100, 101]
    assert holes["macd"] == holes["macd_signal"] == [100]
    assert holes["parkinson_20"] == holes["volume_zscore_20"] == []


def test_a_single_bar_has_only_calendar_features(make_bars: Callable[..., pl.DataFrame]) -> None:
    row = compute_features(make_bars([10.0])).row(0, named=True)
    known = {name: value for name, value in row.items() if value is not None}
    assert known.keys() == {"ticker", "date", "cutoff", "day_of_week", "day_of_month", "month", "drawdown"}
    assert known["drawdown"] == 0.0


def test_no_bars_give_no_features(sample_bars: pl.DataFrame) -> None:
    nothing = compute_features(sample_bars.clear())
    assert nothing.height == 0
    assert nothing.schema == compute_features(sample_bars).schema


def test_volatility_after_an_extreme_bar_and_a_constant_price_is_exactly_zero(
    make_bars: Callable[..., pl.DataFrame],
) -> None:
    last = compute_features(make_bars([0.1, 0.3, 1e9, *[0.1] * 100])).row(-1, named=True)
    for name in ("volatility_5", "volatility_20", "volatility_60", *FROM_RANGES[:3]):
        assert last[name] == 0.0
    assert last["bollinger_position"] is None


@pytest.mark.parametrize("absurd", [1e9, 1e-9, 1e300])
def test_an_extreme_bar_has_no_effect_once_it_has_left_the_windows(
    simulated_bars: Callable[..., pl.DataFrame], absurd: float
) -> None:
    bars = simulated_bars(400)
    struck = bars.with_columns(
        pl.when(pl.int_range(pl.len()) == 100).then(absurd).otherwise(pl.col(name)).alias(name) for name in PRICES
    )
    recursive = ("ewm_volatility", "rsi_14", "atr_14", "macd", "macd_signal", "macd_histogram", "drawdown")
    after, clean = (compute_features(each)[351:].drop(recursive) for each in (struck, bars))
    assert_frame_equal(after, clean, rel_tol=1e-12, abs_tol=1e-14)
