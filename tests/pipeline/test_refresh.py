"""A refresh from vendors: what is asked, what lands, when, and what becomes of failures."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pm.broker.positions_file import HeldPosition
from pm.pipeline import open_lake, trade
from pm.pipeline.due import due_after_failure
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages.account import NewAccount, closing, importing_positions, opening
from pm.pipeline.stages.send import cancelling
from pm.pipeline.trading import new_rows, read_ledger
from pm.pipeline.writes import Result
from pm.sources.listings import Listing
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.vocabulary import BrokerName, FailureReason

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    Read = Callable[..., pl.DataFrame]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Share, evening

from tests.pipeline.house import FRIDAY, MONDAY, House, at, last_dates


def test_a_new_ticker_gets_its_whole_history_and_the_next_nights_only_what_is_new(house: House, ask: Read) -> None:
    house.add("AAPL", "BRK.B")
    house.refresh(evening(MONDAY))
    assert {(one.ticker, one.symbol, one.start) for one in house.yahoo.asked} == {
        ("AAPL", "AAPL", None),
        ("BRK.B", "BRK-B", None),
    }
    assert last_dates(house, ask) == {"AAPL": MONDAY, "BRK.B": MONDAY}
    house.refresh(evening(MONDAY + timedelta(days=1)))
    assert [(one.start, one.end) for one in house.yahoo.asked] == [(date(2024, 1, 1), date(2024, 1, 9))] * 2
    assert last_dates(house, ask) == dict.fromkeys(("AAPL", "BRK.B"), date(2024, 1, 9))
    bars = ask(house.folder, "SELECT date, close FROM bars WHERE ticker = 'AAPL' ORDER BY date")
    assert bars.equals(Share("AAPL").bars(date(2024, 1, 9)).select("date", "close"))
    listed = ask(house.folder, "SELECT ticker, source, name, currency FROM universe ORDER BY ticker").rows()
    assert listed[1] == ("BRK.B", "yahoo", "BRK-B Inc.", "USD")


def test_nothing_is_asked_before_the_next_close_and_the_delay(house: House, ask: Read) -> None:
    house.yahoo.exchange = "NYQ"
    house.add("AAPL")
    house.refresh(at(2024, 1, 12, 21, 59))  # Friday, a minute before an hour after New York's close
    assert last_dates(house, ask) == {"AAPL": date(2024, 1, 11)}
    assert ask(house.folder, "SELECT exchange FROM universe").item() == "XNYS"
    assert house.refresh(at(2024, 1, 12, 21, 59, 30)).worked is False
    house.refresh(at(2024, 1, 12, 22, 0))
    assert last_dates(house, ask) == {"AAPL": FRIDAY}
    opened = house.yahoo.opened
    # The weekend, and Monday, which is Martin Luther King's day, up to Tuesday's close.
    for moment in (at(2024, 1, 13, 12), at(2024, 1, 15, 23), at(2024, 1, 16, 21, 59)):
        assert house.refresh(moment).worked is False
        assert "nothing is due before 2024-01-16 22:00" in house.summary
        assert "hit rate 100.0%" in house.summary
    assert house.yahoo.opened == opened
    house.refresh(at(2024, 1, 16, 22, 1))
    assert last_dates(house, ask) == {"AAPL": date(2024, 1, 16)}


def test_a_late_vendor_is_asked_again_in_an_hour(house: House, ask: Read) -> None:
    house.yahoo.exchange = "NYQ"
    house.add("AAPL")
    house.yahoo.shares["AAPL"] = late = Share("AAPL", begin=MONDAY)
    object.__setattr__(late, "bars", lambda _: Share("AAPL", begin=MONDAY).bars(date(2024, 1, 11)))
    house.refresh(at(2024, 1, 12, 22, 5))
    del house.yahoo.shares["AAPL"]
    assert house.refresh(at(2024, 1, 12, 23, 0)).worked is False
    house.refresh(at(2024, 1, 12, 23, 6))
    assert last_dates(house, ask) == {"AAPL": FRIDAY}


def test_a_failure_is_recorded_and_asked_again_and_the_others_are_in(house: House, ask: Read) -> None:
    house.add("AAPL", "IBM", "MSFT")
    house.refresh_settings = {"vendors": ["yahoo"]}
    house.yahoo.failures["IBM"] = FailureReason.UNREACHABLE
    house.refresh(evening(MONDAY))
    assert house.failed == ["IBM"]
    assert "1 failed" in house.summary
    assert last_dates(house, ask) == dict.fromkeys(("AAPL", "MSFT"), MONDAY)
    rows = ask(house.folder, "SELECT ticker, vendor, bars > 0, reason FROM fetches ORDER BY ticker").rows()
    assert rows == [
        ("AAPL", "yahoo", True, None),
        ("IBM", "yahoo", False, "unreachable"),
        ("MSFT", "yahoo", True, None),
    ]
    house.yahoo.failures.clear()
    house.refresh(evening(MONDAY) + timedelta(minutes=1))
    assert [one.ticker for one in house.yahoo.asked] == ["IBM"]
    assert "2 of 3 tickers up to date (hit rate 66.7%)" in house.summary
    assert house.failed == []
    assert last_dates(house, ask)["IBM"] == MONDAY


def test_what_no_second_try_would_change_waits_for_the_next_close(house: House) -> None:
    house.add("IBM")
    house.refresh_settings = {"vendors": ["yahoo"]}
    house.yahoo.failures["IBM"] = FailureReason.NOT_PERMITTED
    house.refresh(evening(MONDAY))
    assert house.failed == ["IBM"]
    house.refresh(evening(MONDAY) + timedelta(hours=3))
    assert house.yahoo.asked == []
    house.refresh(evening(MONDAY + timedelta(days=1)))
    assert [one.ticker for one in house.yahoo.asked] == ["IBM"]


def test_a_ticker_gone_for_three_nights_is_delisted_and_asked_for_once_a_week(house: House, ask: Read) -> None:
    house.add("OLD", "IBM")
    house.refresh(evening(MONDAY))
    for vendor in (house.yahoo, house.tiingo):
        vendor.failures["OLD"] = FailureReason.GONE
    nights = [date(2024, 1, 9), date(2024, 1, 10), date(2024, 1, 11)]
    for night in nights:
        assert house.notices == ""
        house.refresh(evening(night))
    assert "OLD: recorded as delisted" in house.notices
    assert house.failed == []  # it is expected now
    assert ask(house.folder, "SELECT ticker FROM universe WHERE status = 'delisted'")["ticker"].to_list() == ["OLD"]
    asked = []
    for day in (12, 17, 18, 24, 25):
        house.refresh(evening(date(2024, 1, day)))
        asked += [day] * any(one.ticker == "OLD" for one in house.yahoo.asked)
    assert asked == [18, 25]
    for vendor in (house.yahoo, house.tiingo):
        vendor.failures.clear()
    house.refresh(evening(date(2024, 2, 2)))
    assert ask(house.folder, "SELECT status FROM universe WHERE ticker = 'OLD'").item() == "active"
    assert last_dates(house, ask)["OLD"] == date(2024, 2, 2)


def test_pieces_are_commits_and_the_next_refresh_asks_for_the_rest(house: House, ask: Read) -> None:
    tickers = [f"T{number:02d}" for number in range(10)]
    house.add(*tickers)
    house.refresh_settings = {"vendors": ["yahoo"], "tickers_per_commit": 3}

    def fail_at_last(asked: Any) -> None:  # noqa: ANN401 - an Ask
        if asked.ticker == "T07":
            raise KeyboardInterrupt

    house.yahoo.before_answer = fail_at_last
    with pytest.raises(KeyboardInterrupt):
        house.refresh(evening(MONDAY))
    landed = ask(house.folder, "SELECT DISTINCT ticker FROM raw.bars ORDER BY ticker")["ticker"].to_list()
    assert landed == tickers[:6]
    house.yahoo.before_answer = lambda _: None
    house.refresh(evening(MONDAY))
    assert [one.ticker for one in house.yahoo.asked] == tickers[6:]
    assert set(last_dates(house, ask)) == set(tickers)
    assert ask(house.folder, "SELECT ticker, date FROM bars GROUP BY ALL HAVING count(*) > 1").is_empty()
    runs = ask(house.folder, "SELECT status FROM runs WHERE kind = 'refresh' ORDER BY started_at")
    statuses = runs["status"].to_list()
    assert statuses == ["abandoned", "done"]


def test_a_refresh_that_takes_too_long_ends_and_says_what_was_not_asked(house: House, ask: Read) -> None:
    house.add("A", "B", "C")
    house.refresh_settings = {"vendors": ["yahoo"], "total_minutes": 1e-9}
    house.refresh(evening(MONDAY))
    assert set(last_dates(house, ask)) == {"A"}
    assert house.failed == ["B", "C"]
    assert set(ask(house.folder, "SELECT reason FROM fetches WHERE bars = 0")["reason"]) == {"not_asked"}


def test_a_refresh_can_be_restricted(house: House) -> None:
    house.add("A", "B")
    house.add("C", source="tiingo")
    house.refresh(evening(MONDAY), source="tiingo")
    assert (house.yahoo.asked, [one.ticker for one in house.tiingo.asked]) == ([], ["C"])
    house.refresh(evening(MONDAY), tickers=("B",))
    assert [one.ticker for one in house.yahoo.asked] == ["B"]


def test_a_ticker_that_failed_does_not_count_as_up_to_date(house: House) -> None:
    house.add("AAPL", "IBM")
    house.refresh_settings = {"vendors": ["yahoo"]}
    house.yahoo.failures["IBM"] = FailureReason.GONE
    house.refresh(evening(MONDAY))
    again = "1 of 2 tickers up to date (hit rate 50.0%), 1 failed before and not due yet"
    house.refresh(evening(MONDAY) + timedelta(minutes=1))
    assert again in house.summary
    house.add("MSFT")
    house.refresh(evening(MONDAY) + timedelta(minutes=2))
    assert "1 of 3 tickers up to date (hit rate 33.3%), 1 failed before" in house.summary


def test_a_clock_that_was_wrong_is_forgotten(house: House) -> None:
    house.begin("AAPL")
    house.refresh(at(2031, 1, 9, 2))  # the machine woke up in the wrong year
    assert house.yahoo.asked
    house.refresh(evening(FRIDAY))
    assert house.yahoo.asked
    house.refresh(evening(FRIDAY) + timedelta(minutes=1))
    assert not house.yahoo.asked


def test_a_source_of_no_ticker_is_said_to_be_one(house: House) -> None:
    house.add("AAPL")
    house.refresh(evening(MONDAY), source="tiingo")
    assert house.summary == "no ticker to fetch from 'tiingo'"
    assert not house.yahoo.asked


def test_a_vendor_cannot_hold_up_a_ticker_for_longer_than_a_week() -> None:
    now = evening(MONDAY)
    for asked, waits in ((timedelta(days=1), 1), (timedelta(days=8), 7), (timedelta(days=27_000), 7)):
        due = due_after_failure(
            "XNYS",
            FailureReason.LIMITED,
            now,
            asked_to=MONDAY,
            retry_after=now + asked,
            delay_minutes=60,
            is_delisted=False,
        )
        assert due == now + timedelta(days=waits)


def test_a_ticker_is_delisted_by_its_own_vendor_and_asked_at_once_by_name_or_with_another_symbol(
    house: House, ask: Read
) -> None:
    status = "SELECT status FROM universe"
    house.add("OLD")
    house.refresh(evening(MONDAY))
    house.yahoo.failures["OLD"] = FailureReason.GONE
    house.tiingo.failures["OLD"] = FailureReason.NOT_PERMITTED  # there is no key
    for day in (9, 10, 11):
        house.refresh(evening(date(2024, 1, day)))
    assert (ask(house.folder, status).item(), house.failed) == ("delisted", [])
    house.refresh(evening(FRIDAY))
    assert house.yahoo.asked == []
    house.refresh(evening(FRIDAY), tickers=("OLD",))
    assert len(house.yahoo.asked) == 1
    market.stop_clock(evening(FRIDAY) + timedelta(minutes=1))
    house.add(Listing("OLD", symbols={"yahoo": "NEW"}))
    assert ask(house.folder, status).item() == "active"
    house.yahoo.failures["NEW"] = FailureReason.GONE
    house.refresh(evening(FRIDAY) + timedelta(minutes=2))
    assert [one.symbol for one in house.yahoo.asked] == ["NEW"]
    assert ask(house.folder, status).item() == "active"  # its nights are counted from the start


def _with_account(house: House, *stages: Any) -> None:  # noqa: ANN401 - a Stage
    settings = house._settings()
    with open_lake(house._workspace, settings) as lake:
        for stage in stages:
            trade(lake, house._workspace, settings, lambda _: None, stage=stage)


def _ordering(ticker: str) -> Stage:
    """Return a stage that plans an order."""

    def plan(context: Context) -> Result:
        ledger = read_ledger(context)
        ledger.plan(
            {
                "order_id": f"pm{ticker}", "account": "main", "ticker": ticker, "side": "buy", "quantity": Decimal(1),
                "order_type": "market", "time_in_force": "day", "currency": "USD", "purpose": "rebalance", "number": 1,
                "held": Decimal(0), "cutoff": MONDAY, "snapshot_id": 1,
            }
        )  # fmt: skip
        return Result(new_rows(ledger), "planned")

    return Stage("orders", plan, writes=CHAINED_TABLES, depends=lambda _: None)


def test_what_an_account_holds_or_has_ordered_is_asked_for_until_it_is_closed(house: House, ask: Read) -> None:
    house.begin("HELD", "SOLD", "WANTED", "OTHER")
    new = NewAccount("main", BrokerName.PAPER, None, "USD", Decimal(0), "fifo", fractional=True, live=False, day=MONDAY)
    held = [HeldPosition(ticker, Decimal(10), None, None, None) for ticker in ("HELD", "SOLD")]
    position = importing_positions("main", held, day=MONDAY, where="test")
    _with_account(house, opening(new), position, _ordering("WANTED"))
    for ticker in ("HELD", "SOLD", "WANTED", "OTHER"):
        house.remove(ticker)
    tuesday, wednesday = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
    house.refresh(evening(tuesday))
    assert {(one.ticker, one.start) for one in house.yahoo.asked} == {
        (ticker, date(2024, 1, 1)) for ticker in ("HELD", "SOLD", "WANTED")
    }
    told = "HELD, SOLD, WANTED: asked for though not on the watch list, since an account holds or has ordered it"
    assert told in house.notices
    assert last_dates(house, ask) == {"HELD": tuesday, "SOLD": tuesday, "WANTED": tuesday, "OTHER": MONDAY}
    assert ask(house.folder, "FROM universe").is_empty()
    _with_account(house, closing("main", "SOLD", None), cancelling("main", ["pmWANTED"]))
    house.yahoo.failures = house.tiingo.failures = {"HELD": FailureReason.UNREACHABLE}
    house.refresh(evening(wednesday))
    assert {one.ticker for one in house.yahoo.asked} == {"HELD"}
    assert house.failed == ["HELD"]


def test_rates_that_value_what_an_account_holds_or_has_ordered_are_asked_for(house: House, ask: Read) -> None:
    rates = ("EURUSD=X", "GBPUSD=X", "EURCHF=X")
    house.begin("HELD", *rates)
    new = NewAccount("main", BrokerName.PAPER, None, "CHF", Decimal(0), "fifo", fractional=True, live=False, day=MONDAY)
    held = [HeldPosition("HELD", Decimal(10), None, None, None)]
    _with_account(house, opening(new), importing_positions("main", held, day=MONDAY, where="test"))
    for ticker in rates:
        house.remove(ticker)
    tuesday, wednesday = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
    house.refresh(evening(tuesday))
    used = {"EURUSD=X", "EURCHF=X"}  # the rate of USD in CHF; nothing is in GBP
    assert {one.ticker for one in house.yahoo.asked} == {"HELD"} | used
    assert last_dates(house, ask) == {"HELD": tuesday, "GBPUSD=X": MONDAY} | dict.fromkeys(used, tuesday)
    _with_account(house, closing("main", "HELD", None))
    house.refresh(evening(wednesday))
    assert {one.ticker for one in house.yahoo.asked} == {"HELD"}
