"""Bars and returns that are cut off at a date equal those of bars that end there."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from pm.prices import log_returns
from pm.validation.past_bars import PastBars
from pm.volatility.series import usable_returns

NEWEST, WINDOW = 301, 300


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    """Return bars of tickers that begin, end, stand still, are quoted wrongly and split without an adjustment."""
    generator = np.random.default_rng(7)
    days = pl.date_range(date(2010, 1, 1), date(2012, 12, 31), eager=True)
    days = days.filter(days.dt.weekday() < 6)
    frames = []
    for ticker, first, last in (
        ("CALM", 0, len(days)), ("ENDED", 0, 400), ("FLAT", 0, len(days)), ("LATE", 500, len(days)),
        ("ONE", 600, 601), ("PEG", 0, len(days)), ("SPLIT", 0, len(days)), ("WRONG", 0, len(days)),
    ):  # fmt: skip
        moves = generator.normal(0, 0.01, len(days))
        if ticker == "FLAT":
            moves[:] = 0
        if ticker == "PEG":
            moves[:450] *= 1e-3
        if ticker == "SPLIT":
            moves[460] -= np.log(2)
        if ticker == "WRONG":
            moves[470], moves[471] = 1.5, -1.5
        own = pl.DataFrame({"ticker": ticker, "date": days, "close": 100 * np.exp(np.cumsum(moves)), "adj_factor": 1.0})
        frames.append(own[first:last].with_columns(volume=pl.lit(1e6)))
    return pl.concat(frames)


@pytest.mark.parametrize(
    "day", [date(2009, 1, 1), date(2010, 1, 1), date(2011, 9, 30), date(2011, 10, 20), date(2012, 12, 31)]
)
def test_what_is_cut_off_at_a_date_equals_bars_that_end_there(bars: pl.DataFrame, day: date) -> None:
    until = bars.filter(pl.col("date") <= day)
    newest = until.group_by("ticker", maintain_order=True).tail(NEWEST)
    expected = usable_returns(log_returns(newest), WINDOW)
    past = PastBars(bars)
    assert past.up_to(day, 20).equals(until.group_by("ticker", maintain_order=True).tail(20))
    found = past.usable(day, NEWEST, WINDOW)
    assert list(found) == sorted(expected)
    for ticker, own in found.items():
        assert own.returns.tobytes() == expected[ticker].returns.tobytes()
        assert own.dates.tolist() == expected[ticker].dates.tolist()
        assert own.origin_date == expected[ticker].origin_date
    moves = past.moves(day, ["FLAT", "ONE", "NONE"])
    assert {ticker: values.tolist() for ticker, (_, values) in moves.items()} == {
        ticker: log_returns(until.filter(pl.col("ticker") == ticker))["log_return"].to_list()
        for ticker in until["ticker"].unique()
        if ticker in {"FLAT", "ONE"}
    }
