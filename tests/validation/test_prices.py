"""Prices of a backtest: adjusted, in one currency, cut off at a date; and the returns of benchmarks."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pm.errors import InputError
from pm.portfolio.holdable import holdable_of
from pm.validation.benchmarks import equal_returns, ticker_returns
from pm.validation.past_bars import PastBars
from pm.validation.prices import SessionPrices, session_prices
from pm.validation.walk import daily_returns

DAYS = [date(2020, 1, 1) + timedelta(days=place) for place in range(4)]


def bars(**closes: list[float | None]) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame(
            {"ticker": ticker, "date": DAYS, "open": [None if c is None else c - 1 for c in values], "close": values,
             "adj_factor": 1.0},
            schema_overrides={"open": pl.Float64, "close": pl.Float64},
        )
        for ticker, values in sorted(closes.items())
    ).drop_nulls("close")  # fmt: skip


def prices(frame: pl.DataFrame, told: dict[str, str] | None = None) -> SessionPrices:
    holdable = holdable_of(told or {}, frame["ticker"].unique().to_list(), "USD")
    return session_prices(frame, DAYS, holdable.tickers, rates=holdable.rates, units=holdable.units)


def test_a_price_in_pence_is_converted_at_rates_that_were_known() -> None:
    frame = bars(GBPUSD=[1.25, 1.5, None, 2.0], SHARE=[1000, 1100, 1200, None])
    found = prices(frame, {"SHARE": "GBp"})
    assert found.tickers == ("SHARE",)  # a rate is not held
    assert found.closes[:3, 0].tolist() == pytest.approx([12.5, 16.5, 18.0])
    assert np.isnan(found.closes[3, 0])
    # An open is converted at the rate of the session before.
    assert found.fills[1:3, 0].tolist() == pytest.approx([10.99 * 1.25, 11.99 * 1.5])


def test_an_adjusted_share_stays_one_through_a_split() -> None:
    frame = bars(A=[100, 100, 50, 50]).with_columns(
        adj_factor=pl.when(pl.col("date") < DAYS[2]).then(0.5).otherwise(1.0)
    )
    found = prices(frame)
    assert found.closes[:, 0].tolist() == [50, 50, 50, 50]
    assert (20 * found.factors[:, 0]).tolist() == [10, 10, 20, 20]  # 10 shares become 20


def test_a_bar_without_an_open_is_filled_at_its_close() -> None:
    frame = bars(A=[10, 11, 12, 13]).with_columns(open=pl.when(pl.col("date") != DAYS[1]).then("open"))
    found = prices(frame)
    assert found.at_close[:, 0].tolist() == [False, True, False, False]
    assert found.fills[:2, 0].tolist() == [9, 11]


@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(1, 12))
def test_bars_that_are_cut_off_are_those_of_a_filter(seed: int, day: int, newest: int) -> None:
    generator = np.random.default_rng(seed)
    start = date(2020, 1, 1)
    rows = [
        (ticker, start + timedelta(days=place)) for ticker in "ABC" for place in range(35) if generator.random() < 0.7
    ]
    frame = (
        pl.DataFrame(rows, schema={"ticker": pl.String, "date": pl.Date}, orient="row")
        .with_row_index("row")
        .with_columns(close=pl.lit(2.0), adj_factor=pl.lit(1.0))
    )
    last = start + timedelta(days=day - 2)
    known = frame.filter(pl.col("date") <= last)
    cut = known.group_by("ticker", maintain_order=True).tail(newest).select(frame.columns)
    assert_frame_equal(PastBars(frame).up_to(last, newest), cut)


def test_equal_weights_by_hand() -> None:
    frame = bars(A=[10, 11, 22, 22], B=[20, 21, 21, 42]).with_columns(open=pl.col("close"))
    found = equal_returns(prices(frame), [DAYS[0]], cost=0.0, max_age_days=10)
    # Bought at 11 and 21; A doubles on the third day, B on the fourth.
    assert found.tolist() == pytest.approx([0.0, 0.5, 1 / 3])
    # B was not on the watch list on the first day, and A not on the third any more.
    members = {DAYS[0]: {"A"}, DAYS[2]: {"B"}}
    found = equal_returns(prices(frame), list(members), cost=0.0, max_age_days=10, members=members)
    assert found.tolist() == pytest.approx([0.0, 1.0, 0.0])


def test_a_ticker_as_a_benchmark_needs_a_price_when_the_decisions_begin() -> None:
    found = prices(bars(A=[10, 11, None, 22], B=[None, None, 5, 5]))
    assert ticker_returns(found, "A", DAYS[0]).tolist() == pytest.approx([0.1, 0.0, 1.0])
    for ticker in ("B", "NOBODY"):
        with pytest.raises(InputError, match="no price on or before 2020-01-01"):
            ticker_returns(found, ticker, DAYS[0])


def test_cash_that_is_paid_in_is_no_return() -> None:
    net, cost = daily_returns(
        np.array([110.0, 220.0, 110.0]), np.array([0.0, 2.1, 0.0]), np.array([0.0, 100.0, -110.0]), start=100.0
    )
    assert net.tolist() == pytest.approx([0.1, 220 / 210 - 1, 0.0])
    assert cost.tolist() == pytest.approx([0, 0.01, 0])
