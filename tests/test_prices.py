from __future__ import annotations

import math
from datetime import date

import polars as pl
import pytest

from pm.prices import adjusted_close, log_return, log_returns


@pytest.fixture
def prices() -> pl.DataFrame:
    days = [date(2020, 1, day) for day in (2, 3, 6)]
    return pl.DataFrame(
        {
            "ticker": ["A"] * 3 + ["B"] * 3,
            "date": days * 2,
            "close": [100.0, 50.0, 55.0, 7.0, 7.0, 6.0],
            "adj_factor": [0.5, 1.0, 1.0, 1.0, 1.0, 1.0],
        }
    )


def test_the_adjusted_close_is_the_close_times_the_factor(prices: pl.DataFrame) -> None:
    assert prices.select(adjusted_close()).to_series().to_list() == [50.0, 50.0, 55.0, 7.0, 7.0, 6.0]


def test_a_log_return_is_of_adjusted_closes_and_within_a_ticker(prices: pl.DataFrame) -> None:
    returns = log_returns(prices)

    assert returns.columns == ["ticker", "date", "log_return"]
    assert returns["ticker"].to_list() == ["A", "A", "B", "B"]
    assert returns["date"].to_list() == [date(2020, 1, 3), date(2020, 1, 6)] * 2
    assert returns["log_return"].to_list() == pytest.approx([0.0, math.log(1.1), 0.0, math.log(6 / 7)])


def test_the_first_bar_of_each_ticker_has_no_return(prices: pl.DataFrame) -> None:
    found = prices.select(log_return(pl.col("close"))).to_series()
    assert found.is_null().to_list() == [True, False, False, True, False, False]
