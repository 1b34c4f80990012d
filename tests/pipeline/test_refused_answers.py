"""Answers of vendors that do not land, or whose rows are refused, taken back or late."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.sources.listings import Listing

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[..., pl.DataFrame]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Share, evening

from tests.pipeline.house import MONDAY, House, last_dates, with_rows


@pytest.mark.parametrize(("unit", "currency"), [(100.0, "USD"), (0.01, "USD"), (1.0, "GBp")])
def test_a_change_of_unit_is_refused_and_shown(house: House, ask: Read, unit: float, currency: str) -> None:
    house.begin("VOD.L")
    house.refresh_settings = {"vendors": ["yahoo"]}
    house.yahoo.shares["VOD.L"] = Share("VOD.L", unit=unit)
    house.yahoo.currency = currency
    house.refresh(evening(date(2024, 1, 9)))
    assert house.failed == ["VOD.L"]
    (detail,) = ask(house.folder, "SELECT detail FROM fetches WHERE reason = 'other_unit'")["detail"]
    assert currency in detail
    assert last_dates(house, ask) == {"VOD.L": MONDAY}


def test_a_dividend_that_a_vendor_takes_back_counts_no_more(house: House, ask: Read) -> None:
    def factors() -> set[float]:
        return set(ask(house.folder, "SELECT DISTINCT adj_factor FROM bars")["adj_factor"])

    house.begin("IBM")
    house.yahoo.shares["IBM"] = Share("IBM")
    assert factors() == {1.0}
    object.__setattr__(house.yahoo.shares["IBM"], "dividends", {})
    told = Share("IBM")
    object.__setattr__(told, "actions", Share("", dividends={date(2024, 1, 9): 2.0}).actions)
    house.yahoo.shares["IBM"] = told
    house.refresh(evening(date(2024, 1, 9)))
    before = told.bars(MONDAY)["close"][-1]
    assert factors() == {1.0, 1 - 2.0 / before}
    house.refresh(evening(date(2024, 1, 10)))
    assert ask(house.folder, "SELECT count(*) FROM raw.actions").item() == 1  # what is known is not stored again
    house.yahoo.shares["IBM"] = Share("IBM")
    house.refresh(evening(date(2024, 1, 11)))
    assert factors() == {1.0}
    assert ask(house.folder, "SELECT value FROM raw.actions")["value"].to_list() == [2.0, None]


@pytest.mark.parametrize("ratio", [1.05, 0.1])
def test_a_history_that_is_rewritten_without_a_split_is_refused(house: House, ask: Read, ratio: float) -> None:
    house.begin("AAPL")
    house.refresh_settings = {"vendors": ["yahoo"]}
    before = ask(house.folder, "SELECT date, close FROM bars ORDER BY date").rows()
    house.yahoo.shares["AAPL"] = Share("AAPL", unit=ratio)
    house.refresh(evening(date(2024, 1, 9)))
    assert house.failed == ["AAPL"]
    reason, detail = ask(house.folder, "SELECT reason, detail FROM fetches ORDER BY fetched_at").row(-1)
    assert (reason, "pm universe move AAPL --to yahoo" in detail) == ("disagrees", True)
    assert ask(house.folder, "SELECT date, close FROM bars ORDER BY date").rows() == before
    del house.yahoo.shares["AAPL"]  # the split is told, and undone
    house.refresh(evening(date(2024, 1, 10)))
    assert last_dates(house, ask) == {"AAPL": date(2024, 1, 10)}
    house.yahoo.shares["AAPL"] = Share("AAPL", unit=ratio)  # and now it is meant
    market.stop_clock(evening(date(2024, 1, 10)) + timedelta(hours=1))
    house.move("AAPL", "yahoo")
    house.refresh(evening(date(2024, 1, 11)))
    closes = ask(house.folder, "SELECT date, close FROM bars ORDER BY date").rows()
    assert closes == [
        (day, close) for day, close in Share("AAPL", unit=ratio).bars(date(2024, 1, 11))["date", "close"].rows()
    ]


def test_a_dividend_and_a_correction_that_come_weeks_late_are_seen_within_a_month(house: House, ask: Read) -> None:
    house.begin("AAPL")
    late = date(2024, 1, 5)
    starts = []
    for night in (9, 24, 30, 39, 54, 60, 69):
        if night == 24:
            house.yahoo.shares["AAPL"] = Share("AAPL", dividends={late: 1.0})
        house.refresh(evening(date(2024, 1, 1) + timedelta(days=night - 1)))
        starts += [one.start for one in house.yahoo.asked]
    long_ago = [day for day in starts if day is not None and (date(2024, 3, 9) - day).days > 100]
    assert len(long_ago) == 2  # the others are asked from five sessions back
    bars = ask(house.folder, "SELECT date, adj_factor, close FROM bars ORDER BY date")
    expected = Share("AAPL", dividends={late: 1.0}).bars(bars["date"].max())  # type: ignore[arg-type]
    ex, before = (bars.filter(date=day) for day in (late, date(2024, 1, 4)))
    assert before["adj_factor"].item() / ex["adj_factor"].item() == pytest.approx(
        1 - 1 / before["close"].item(), rel=1e-9
    )
    since = bars.filter(bars["date"] >= late)
    assert since["close"].to_list() == expected.filter(expected["date"] >= late)["close"].to_list()


@pytest.mark.parametrize(("ratio", "told"), [(4.0, True), (0.1, False), (1.5, False), (1.05, True)])
def test_a_split_that_is_half_recorded_does_not_land(house: House, ask: Read, ratio: float, told: bool) -> None:
    day = date(2024, 1, 10)
    whole = Share("IBM", splits={day: ratio})
    house.begin("IBM")  # before the day, its bars are those of `whole`
    house.refresh_settings = {"vendors": ["yahoo"]}
    before = ask(house.folder, "SELECT date, close FROM bars ORDER BY date")
    factor = ratio if told else 1 / ratio  # what undoing the split makes of prices that are not adjusted; or no undoing
    half = Share("IBM", splits={day: ratio})
    prices = ("open", "high", "low", "close")
    is_early = pl.col("date") < day
    object.__setattr__(
        half,
        "bars",
        lambda end: whole.bars(end).with_columns(
            pl.when(is_early).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name) for name in prices
        ),
    )
    if not told:
        object.__setattr__(half, "actions", Share("").actions)
    house.yahoo.shares["IBM"] = half
    house.refresh(evening(day))
    assert house.failed == ["IBM"]
    assert ask(house.folder, "SELECT reason FROM fetches ORDER BY fetched_at")["reason"][-1] == "disagrees"
    assert ask(house.folder, "SELECT date, close FROM bars ORDER BY date").equals(before)
    house.yahoo.shares["IBM"] = whole
    house.refresh(evening(date(2024, 1, 11)))
    bars = ask(house.folder, "SELECT date, close FROM bars ORDER BY date")
    assert bars.equals(whole.bars(date(2024, 1, 11)).select("date", "close"))


def test_a_bar_of_a_day_to_come_lands_and_is_refused_and_that_of_an_open_session_does_not_land(
    house: House, ask: Read
) -> None:
    far, today = date(2099, 1, 1), date(2024, 1, 9)
    house.yahoo.shares["IBM"] = with_rows(Share("IBM"), (today, 1.0), (far, 2.0))
    house.add("IBM")
    house.refresh(evening(MONDAY))
    assert last_dates(house, ask) == {"IBM": MONDAY}
    assert ask(house.folder, "SELECT date FROM raw.bars WHERE date > '2024-01-08'")["date"].to_list() == [far]
    assert ask(house.folder, "SELECT date, rule FROM quarantine").rows() == [(far, "future_date")]
    fetched = ask(house.folder, "SELECT last_date, due_at::DATE FROM fetches")
    assert fetched.row(0) == (MONDAY, date(2024, 1, 10))


def test_an_answer_of_which_nothing_can_be_used_is_a_failure(house: House, ask: Read) -> None:
    house.yahoo.shares["IBM"] = empty = Share("IBM")
    bars = empty.bars
    object.__setattr__(empty, "bars", lambda end: bars(end).with_columns(close=pl.lit(None, pl.Float64)))
    house.add("IBM")
    house.refresh(evening(MONDAY))
    assert ask(house.folder, "SELECT reason FROM fetches WHERE vendor = 'yahoo'").item() == "invalid_reply"
    assert ask(house.folder, "SELECT source FROM universe").item() == "tiingo"
    assert last_dates(house, ask) == {"IBM": MONDAY}


def test_a_currency_that_the_user_told_is_the_one_of_the_bars(house: House, ask: Read) -> None:
    house.refresh_settings = {"vendors": ["yahoo"]}
    house.add(Listing("VOD.L", currency="GBP"))
    house.yahoo.currency = "GBp"
    house.refresh(evening(MONDAY))
    assert house.failed == ["VOD.L"]
    assert ask(house.folder, "SELECT reason FROM fetches").item() == "other_unit"
    house.yahoo.currency = "GBP"
    house.refresh(evening(date(2024, 1, 9)))
    assert ask(house.folder, "SELECT currency FROM universe").item() == "GBP"
    assert last_dates(house, ask) == {"VOD.L": date(2024, 1, 9)}
