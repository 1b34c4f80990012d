"""A refresh that fails over to another vendor, and tickers that move from one to another."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pm.sources.listings import Listing
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    Read = Callable[..., pl.DataFrame]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Share, evening

from tests.pipeline.house import FRIDAY, MONDAY, House, last_dates, with_dividends, with_rows


def test_a_new_ticker_goes_to_the_first_vendor_that_has_it(house: House, ask: Read) -> None:
    house.add("IBM")
    house.yahoo.failures["IBM"] = FailureReason.UNREACHABLE
    house.refresh(evening(MONDAY))
    assert house.failed == []
    assert ask(house.folder, "SELECT source FROM universe").item() == "tiingo"
    assert [one.start for one in house.tiingo.asked] == [None]
    house.refresh(evening(MONDAY + timedelta(days=1)))
    assert (house.yahoo.asked, len(house.tiingo.asked)) == ([], 1)


def test_another_vendor_continues_a_ticker_whose_closes_agree(house: House, ask: Read) -> None:
    house.begin("IBM")
    house.yahoo.failures["IBM"] = FailureReason.UNREACHABLE
    for day in range(1, 4):
        house.refresh(evening(MONDAY + timedelta(days=day)))
        assert house.failed == []
    assert last_dates(house, ask) == {"IBM": date(2024, 1, 11)}
    assert ask(house.folder, "SELECT source FROM universe").item() == "yahoo"
    splices = ask(house.folder, "SELECT vendor, date, continued, dates FROM splices ORDER BY date").rows()
    assert splices[0] == ("tiingo", MONDAY, "yahoo", 6)
    bars = ask(house.folder, "SELECT date, close FROM bars ORDER BY date")
    assert bars.equals(Share("IBM").bars(date(2024, 1, 11)).select("date", "close"))
    used = ask(
        house.folder,
        "SELECT origin, min(date), max(date) FROM bars JOIN raw.batches USING (batch_id) GROUP BY ALL ORDER BY ALL",
    )
    assert used.rows() == [("tiingo", date(2024, 1, 9), date(2024, 1, 11)), ("yahoo", date(2020, 1, 1), MONDAY)]
    house.yahoo.failures.clear()
    house.refresh(evening(FRIDAY))
    assert house.tiingo.asked == []
    bars = ask(house.folder, "SELECT date, close FROM bars ORDER BY date")
    assert bars.equals(Share("IBM").bars(FRIDAY).select("date", "close"))


def test_a_vendor_whose_closes_differ_does_not_continue_a_ticker(house: House, ask: Read) -> None:
    house.begin("IBM")
    house.yahoo.failures["IBM"] = FailureReason.UNREACHABLE
    house.tiingo.shares["IBM"] = Share("another one")
    house.refresh(evening(date(2024, 1, 9)))
    assert house.failed == ["IBM"]
    assert last_dates(house, ask) == {"IBM": MONDAY}
    assert ask(house.folder, "FROM splices").is_empty()
    details = ask(house.folder, "SELECT detail FROM fetches WHERE reason = 'disagrees'")["detail"].to_list()
    assert len(details) == 1
    assert "pm universe move IBM --to tiingo" in details[0]

    house.move("IBM", "tiingo")
    house.refresh(evening(date(2024, 1, 10)))
    assert [one.start for one in house.tiingo.asked] == [None]
    bars = ask(house.folder, "SELECT date, close FROM bars ORDER BY date")
    assert bars.equals(Share("another one").bars(date(2024, 1, 10)).select("date", "close"))


def test_a_ticker_that_moves_leaves_the_bars_of_all_others_alone(house: House, ask: Read) -> None:
    house.add("AAPL", "IBM", "MSFT")
    house.tiingo.shares["IBM"] = Share("another one")
    house.refresh(evening(MONDAY))
    house.refresh(evening(date(2024, 1, 9)))
    others = "SELECT * FROM bars WHERE ticker <> 'IBM' AND date < '2024-01-09' ORDER BY ticker, date"
    before = ask(house.folder, others)
    house.move("IBM", "tiingo")
    house.refresh(evening(date(2024, 1, 10)))
    assert "IBM: its bars now come from 'tiingo'" in house.notices
    assert ask(house.folder, others).equals(before)
    bars = ask(house.folder, "SELECT date, close FROM bars WHERE ticker = 'IBM' ORDER BY date")
    assert bars.equals(Share("another one").bars(date(2024, 1, 10)).select("date", "close"))
    refused = ask(house.folder, "SELECT DISTINCT rule FROM quarantine WHERE ticker = 'IBM'")["rule"].to_list()
    assert refused == ["other_source"]
    house.move("IBM", "yahoo")  # its bars are here still
    house.refresh(evening(date(2024, 1, 11)))
    bars = ask(house.folder, "SELECT date, close FROM bars WHERE ticker = 'IBM' ORDER BY date")
    assert bars.equals(Share("IBM").bars(date(2024, 1, 11)).select("date", "close"))
    assert ask(house.folder, "FROM batch_accounts WHERE NOT coalesce(balanced, false)").is_empty()


def test_a_failure_of_another_vendor_does_not_hold_up_the_own_one(house: House, ask: Read) -> None:
    house.begin("AAPL")
    house.yahoo.failures["AAPL"] = FailureReason.UNREACHABLE
    house.tiingo.failures["AAPL"] = FailureReason.NOT_PERMITTED
    house.refresh(evening(date(2024, 1, 9)))
    house.yahoo.failures.clear()
    later = evening(date(2024, 1, 9)) + timedelta(minutes=1)
    assert ask(house.folder, "SELECT due_at FROM data_health").item() <= later
    house.refresh(later)
    assert last_dates(house, ask) == {"AAPL": date(2024, 1, 9)}


@pytest.mark.parametrize("way", ["back", "own", "removed"])
def test_a_ticker_that_comes_back_to_a_vendor_gets_its_whole_history_again(house: House, ask: Read, way: str) -> None:
    house.begin("AAPL")
    market.stop_clock(evening(MONDAY) + timedelta(hours=1))
    if way == "back":
        house.move("AAPL", "tiingo")
        house.refresh(evening(FRIDAY))
        assert [one.start for one in house.tiingo.asked] == [None]
        market.stop_clock(evening(FRIDAY) + timedelta(hours=1))
    if way == "removed":
        assert house.remove("AAPL") == 0
        house.add("AAPL")
    else:
        house.move("AAPL", "yahoo")
    house.refresh(evening(date(2024, 3, 1)))
    assert [one.start for one in house.yahoo.asked] == [None]
    days = ask(
        house.folder, "SELECT count(*), any_value(source) FROM bars WHERE date BETWEEN '2024-01-08' AND '2024-03-01'"
    )
    assert days.row(0) == (40, "yahoo")


def test_another_symbol_is_asked_for_its_whole_history(house: House) -> None:
    house.add("BRK.B")
    house.refresh(evening(MONDAY))
    market.stop_clock(evening(MONDAY) + timedelta(hours=1))
    house.add(Listing("BRK.B", symbols={"yahoo": "BRK-A"}))
    house.refresh(evening(MONDAY) + timedelta(hours=2))
    assert [(one.symbol, one.start) for one in house.yahoo.asked] == [("BRK-A", None)]
    house.add(Listing("BRK.B", symbols={"tiingo": "BRK.A"}))  # not where its bars come from
    house.refresh(evening(MONDAY) + timedelta(hours=3))
    assert not house.yahoo.asked


@pytest.mark.parametrize("reason", [FailureReason.UNREACHABLE, FailureReason.LIMITED])
def test_the_bars_stay_until_the_vendor_they_are_to_come_from_has_sent_all(
    house: House, ask: Read, reason: FailureReason
) -> None:
    house.begin("IBM")
    house.yahoo.failures["IBM"] = FailureReason.UNREACHABLE
    house.refresh(evening(date(2024, 1, 9)))  # tiingo continues the bars
    house.move("IBM", "tiingo")
    house.tiingo.failures["IBM"] = reason
    house.refresh(evening(date(2024, 1, 10)))
    assert house.failed == ["IBM"]
    bars = ask(house.folder, "SELECT date, close FROM bars ORDER BY date")
    assert bars.equals(Share("IBM").bars(date(2024, 1, 9)).select("date", "close"))
    house.yahoo.failures.clear()  # it can continue its own bars still
    house.refresh(evening(date(2024, 1, 11)))
    bars = ask(house.folder, "SELECT date, close FROM bars ORDER BY date")
    assert bars.equals(Share("IBM").bars(date(2024, 1, 11)).select("date", "close"))
    house.tiingo.failures.clear()
    house.refresh(evening(FRIDAY))
    assert [one.start for one in house.tiingo.asked] == [None]
    sources = ask(house.folder, "SELECT DISTINCT source FROM bars")["source"].to_list()
    assert sources == ["tiingo"]


def test_what_another_vendor_continued_counts_until_the_own_one_has_sent_it(house: House, ask: Read) -> None:
    house.begin("IBM")
    house.yahoo.failures["IBM"] = FailureReason.UNREACHABLE
    told = with_dividends(Share("IBM"), {date(2024, 1, 9): 2.0})
    house.tiingo.shares["IBM"] = with_rows(told, (date(2024, 1, 13), 500.0))  # a Saturday
    for day in (9, 15, 25):
        house.refresh(evening(date(2024, 1, day)))
        assert house.failed == []
    assert ask(house.folder, "SELECT close FROM bars WHERE date = '2024-01-13'").item() == 500.0
    house.yahoo.failures.clear()
    own = house.yahoo.shares["IBM"] = with_dividends(Share("IBM"), {date(2024, 1, 10): 2.0})
    house.refresh(evening(date(2024, 1, 26)))
    assert [one.start for one in house.yahoo.asked] == [date(2024, 1, 1)]
    bars = ask(house.folder, "SELECT date, close, source, adj_factor FROM bars ORDER BY date")
    assert bars.select("date", "close").equals(own.bars(date(2024, 1, 26)).select("date", "close"))
    assert set(bars["source"]) == {"yahoo"}
    before = bars.filter(date=date(2024, 1, 9))["close"].item()
    assert set(bars["adj_factor"]) == {1.0, 1 - 2.0 / before}
    open_ones = "SELECT count(*) FROM splices WHERE ended_by IS NULL"
    assert ask(house.folder, open_ones).item() == 0
    house.move("IBM", "tiingo")
    house.refresh(evening(date(2024, 1, 29)))
    house.move("IBM", "yahoo")
    house.refresh(evening(date(2024, 1, 30)))
    bars = ask(house.folder, "SELECT date, close FROM bars ORDER BY date")
    assert bars.equals(own.bars(date(2024, 1, 30)).select("date", "close"))
    assert ask(house.folder, "FROM batch_accounts WHERE NOT coalesce(balanced, false)").is_empty()


def test_a_vendor_that_is_behind_does_not_end_what_another_continues(house: House, ask: Read) -> None:
    house.begin("IBM")
    house.yahoo.failures["IBM"] = FailureReason.UNREACHABLE
    house.refresh(evening(date(2024, 1, 10)))
    house.yahoo.failures.clear()
    behind = house.yahoo.shares["IBM"] = Share("IBM")
    object.__setattr__(behind, "bars", lambda _: Share("IBM").bars(date(2024, 1, 9)))
    house.refresh(evening(date(2024, 1, 11)))
    assert last_dates(house, ask) == {"IBM": date(2024, 1, 10)}
    del house.yahoo.shares["IBM"]
    house.refresh(evening(FRIDAY))
    assert last_dates(house, ask) == {"IBM": FRIDAY}
    assert set(ask(house.folder, "SELECT source FROM bars")["source"]) == {"yahoo"}
