"""A refresh from vendors: what is asked, what lands, when, and what becomes of failures."""

from __future__ import annotations

import shutil
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.pipeline import (
    Request,
    add_to_universe,
    failed_tickers,
    move_in_universe,
    open_lake,
    refresh_bars,
    remove_from_universe,
    watch_folder,
)
from pm.pipeline.due import due_after_failure
from pm.pipeline.events import Event, Notice, StageEnded
from pm.sources import OPENERS
from pm.sources.listings import Listing
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pm.pipeline.runner import RunResult
    from pm.workspace import Workspace

    Read = Callable[..., pl.DataFrame]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Market, Share, evening

MONDAY = date(2024, 1, 8)
FRIDAY = date(2024, 1, 12)


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """Return a time in UTC, without a zone as the lake has them."""
    return datetime.combine(date(year, month, day), time(hour, minute, second))


class House:
    """A workspace with vendors, and a clock that stands still."""

    def __init__(self, folder: Path, workspace: Workspace, settings_with: Callable[..., Any]) -> None:
        self.folder = folder
        self.yahoo = Market("yahoo")
        self.tiingo = Market("tiingo")
        self._workspace = workspace
        self._settings_with = settings_with
        self.refresh_settings: dict[str, Any] = {"vendors": ["yahoo", "tiingo"]}
        self.heard: list[Event] = []
        market.install(self.yahoo, self.tiingo)
        market.stop_clock(at(2024, 1, 1))

    def _settings(self) -> Any:  # noqa: ANN401 - Settings
        return self._settings_with(refresh=self.refresh_settings)

    def add(self, *tickers: str | Listing, source: str | None = None) -> None:
        settings = self._settings()
        with open_lake(self._workspace, settings) as lake:
            add_to_universe(lake, self._workspace, settings, self.heard.append, tickers=tickers, source=source)

    def move(self, ticker: str, source: str) -> None:
        settings = self._settings()
        with open_lake(self._workspace, settings) as lake:
            move_in_universe(lake, self._workspace, settings, self.heard.append, tickers=[ticker], source=source)

    def remove(self, ticker: str) -> int:
        """Remove a ticker, and return how many are left."""
        settings = self._settings()
        with open_lake(self._workspace, settings) as lake:
            remove_from_universe(lake, self._workspace, settings, self.heard.append, tickers=[ticker])
            return len(lake.rows("FROM universe"))

    def watch(self, folder: Path, *, watch: bool = True) -> None:
        settings = self._settings()
        with open_lake(self._workspace, settings) as lake:
            watch_folder(lake, self._workspace, settings, self.heard.append, folder=folder, watch=watch)

    def refresh(self, moment: datetime, **asked: Any) -> RunResult:  # noqa: ANN401 - parts of a request
        market.stop_clock(moment)
        self.yahoo.asked.clear()
        self.tiingo.asked.clear()
        self.heard.clear()
        settings = self._settings()
        with open_lake(self._workspace, settings) as lake:
            result = refresh_bars(lake, self._workspace, settings, self.heard.append, request=Request(**asked))
            self.failed = [each.ticker for each in failed_tickers(lake, result.run_id)]
        return result

    @property
    def summary(self) -> str:
        return next(e.summary for e in reversed(self.heard) if isinstance(e, StageEnded) and e.stage == "land")

    @property
    def notices(self) -> str:
        return "\n".join(event.line for event in self.heard if isinstance(event, Notice))


@pytest.fixture
def house(
    tmp_path: Path, workspace_in: Callable[[Path], Workspace], settings_with: Callable[..., Any]
) -> Iterator[House]:
    openers, clock = dict(OPENERS), market.running_clock()
    yield House(tmp_path, workspace_in(tmp_path), settings_with)
    OPENERS.clear()
    OPENERS.update(openers)
    market.start_clock(clock)


def last_dates(house: House, ask: Read) -> dict[str, date]:
    return dict(ask(house.folder, "SELECT ticker, max(date) FROM bars GROUP BY ticker ORDER BY ticker").rows())


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
    house.add("IBM")
    house.refresh(evening(MONDAY))
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
    house.add("IBM")
    house.refresh(evening(MONDAY))
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


@pytest.mark.parametrize(("unit", "currency"), [(100.0, "USD"), (0.01, "USD"), (1.0, "GBp")])
def test_a_change_of_unit_is_refused_and_shown(house: House, ask: Read, unit: float, currency: str) -> None:
    house.add("VOD.L")
    house.refresh_settings = {"vendors": ["yahoo"]}
    house.refresh(evening(MONDAY))
    house.yahoo.shares["VOD.L"] = Share("VOD.L", unit=unit)
    house.yahoo.currency = currency
    house.refresh(evening(date(2024, 1, 9)))
    assert house.failed == ["VOD.L"]
    (detail,) = ask(house.folder, "SELECT detail FROM fetches WHERE reason = 'other_unit'")["detail"]
    assert currency in detail
    assert last_dates(house, ask) == {"VOD.L": MONDAY}


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
    for day in range(12, 27):
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


def test_a_dividend_that_a_vendor_takes_back_counts_no_more(house: House, ask: Read) -> None:
    def factors() -> set[float]:
        return set(ask(house.folder, "SELECT DISTINCT adj_factor FROM bars")["adj_factor"])

    house.add("IBM")
    house.yahoo.shares["IBM"] = Share("IBM")
    house.refresh(evening(MONDAY))
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


def test_what_is_new_or_changed_in_a_watched_folder_lands_and_other_files_are_told(
    house: House, ask: Read, tmp_path: Path
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    Share("X").bars(date(2023, 12, 29)).write_csv(folder / "X.csv")
    (folder / "broken.csv").write_text("date,close\nno date,1\n", encoding="utf-8")
    house.watch(folder)
    house.refresh(evening(MONDAY))
    assert last_dates(house, ask) == {"X": date(2023, 12, 29)}
    assert "broken.csv" in ask(house.folder, "SELECT problem FROM folders").item()
    assert house.refresh(evening(MONDAY)).worked is False
    Share("X").bars(MONDAY).write_csv(folder / "X.csv")
    Share("Y").bars(MONDAY).write_csv(folder / "Y.csv")
    house.refresh(evening(MONDAY))
    assert last_dates(house, ask) == {"X": MONDAY, "Y": MONDAY}
    assert ask(house.folder, "SELECT count(*) FROM raw.batches").item() == 3
    house.add("AAPL")  # beside vendors
    house.refresh(evening(MONDAY))
    assert house.refresh(evening(MONDAY)).worked is False
    Share("Z").bars(MONDAY).write_csv(folder / "Z.csv")
    house.refresh(evening(MONDAY))
    assert set(last_dates(house, ask)) == {"AAPL", "X", "Y", "Z"}
    shutil.rmtree(folder)
    house.refresh(evening(MONDAY))
    assert "is not there" in ask(house.folder, "SELECT problem FROM folders").item()
    house.watch(folder, watch=False)
    assert ask(house.folder, "FROM folders").is_empty()


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


def test_a_failure_of_another_vendor_does_not_hold_up_the_own_one(house: House, ask: Read) -> None:
    house.add("AAPL")
    house.refresh(evening(MONDAY))
    house.yahoo.failures["AAPL"] = FailureReason.UNREACHABLE
    house.tiingo.failures["AAPL"] = FailureReason.NOT_PERMITTED
    house.refresh(evening(date(2024, 1, 9)))
    house.yahoo.failures.clear()
    later = evening(date(2024, 1, 9)) + timedelta(minutes=1)
    assert ask(house.folder, "SELECT due_at FROM data_health").item() <= later
    house.refresh(later)
    assert last_dates(house, ask) == {"AAPL": date(2024, 1, 9)}


def test_a_clock_that_was_wrong_is_forgotten(house: House) -> None:
    house.add("AAPL")
    house.refresh(evening(MONDAY))
    house.refresh(at(2031, 1, 9, 2))  # the machine woke up in the wrong year
    assert house.yahoo.asked
    house.refresh(evening(FRIDAY))
    assert house.yahoo.asked
    house.refresh(evening(FRIDAY) + timedelta(minutes=1))
    assert not house.yahoo.asked


@pytest.mark.parametrize("way", ["back", "own", "removed"])
def test_a_ticker_that_comes_back_to_a_vendor_gets_its_whole_history_again(house: House, ask: Read, way: str) -> None:
    house.add("AAPL")
    house.refresh(evening(MONDAY))
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


@pytest.mark.parametrize("ratio", [2.0, 0.25, 1.05, 0.1])
def test_a_history_that_is_rewritten_without_a_split_is_refused(house: House, ask: Read, ratio: float) -> None:
    house.refresh_settings = {"vendors": ["yahoo"]}
    house.add("AAPL")
    house.refresh(evening(MONDAY))
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
    house.add("AAPL")
    house.refresh(evening(MONDAY))
    late = date(2024, 1, 5)
    starts = []
    for night in range(9, 70, 3):
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


def test_a_folder_is_watched_once_however_its_path_is_written(house: House, tmp_path: Path, ask: Read) -> None:
    folder, beside = tmp_path / "bars", tmp_path / "beside"
    folder.mkdir()
    beside.mkdir()
    house.watch(folder)
    house.watch(beside / ".." / "bars")
    assert ask(house.folder, "SELECT path FROM folders")["path"].to_list() == [str(folder)]
    house.watch(beside / ".." / "bars", watch=False)
    assert ask(house.folder, "SELECT path FROM folders").is_empty()


@pytest.mark.parametrize("reason", [FailureReason.UNREACHABLE, FailureReason.LIMITED])
def test_the_bars_stay_until_the_vendor_they_are_to_come_from_has_sent_all(
    house: House, ask: Read, reason: FailureReason
) -> None:
    house.add("IBM")
    house.refresh(evening(MONDAY))
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


def with_rows(share: Share, *rows: tuple[date, float]) -> Share:
    """Return a share whose vendor also sends other bars: the day and the close of each."""
    bars = share.bars

    def more(end: date) -> pl.DataFrame:
        sent = bars(end)
        extra = pl.DataFrame(rows, schema={"date": pl.Date, "close": pl.Float64}, orient="row")
        return pl.concat([sent, extra], how="diagonal_relaxed").select(sent.columns)

    object.__setattr__(share, "bars", more)
    return share


def with_dividends(share: Share, told: dict[date, float]) -> Share:
    """Return a share whose vendor tells dividends, though the closes do not move by them."""
    object.__setattr__(share, "actions", Share("", dividends=told).actions)
    return share


def test_what_another_vendor_continued_counts_until_the_own_one_has_sent_it(house: House, ask: Read) -> None:
    house.add("IBM")
    house.refresh(evening(MONDAY))
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
    house.add("IBM")
    house.refresh(evening(MONDAY))
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


@pytest.mark.parametrize("ratio", [4.0, 0.1, 1.5, 1.05])
@pytest.mark.parametrize("told", [True, False])
def test_a_split_that_is_half_recorded_does_not_land(house: House, ask: Read, ratio: float, told: bool) -> None:
    day = date(2024, 1, 10)
    whole = Share("IBM", splits={day: ratio})
    house.refresh_settings = {"vendors": ["yahoo"]}
    house.yahoo.shares["IBM"] = whole
    house.add("IBM")
    house.refresh(evening(date(2024, 1, 9)))
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
