"""Stage `texts`: which tickers are asked for news and when, what lands, and what becomes of failures."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.pipeline import Request, add_to_universe, failed_tickers, open_lake, refresh_bars, remove_from_universe
from pm.pipeline.events import Event, StageEnded, StageProgressed
from pm.sources import OPENERS
from pm.sources.listings import Listing as Listed
from pm.sources.vendors.finnhub import FinnhubSource
from tests.vendor_servers import (
    FinnhubServer,
    Listing,
    json_reply,
    only_this_computer,
    server_error,
    too_many,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pm.pipeline.runner import RunResult
    from pm.workspace import Workspace

    Read = Callable[..., pl.DataFrame]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Market, evening

MONDAY = date(2024, 1, 8)
article = FinnhubServer.article


def moment(day: date, hour: int = 12) -> datetime:
    """Return a time in UTC, without a zone as the lake has them."""
    return datetime.combine(day, time(hour))


class House:
    """A workspace with a key of Finnhub, whose tickers have their bars from elsewhere; its clock stands still.

    Few tests need bars. In the others they are to come from files, so that no refresh has any to ask for.
    """

    def __init__(self, folder: Path, workspace: Workspace, settings_with: Callable[..., Any], url: str) -> None:
        self.folder = folder
        self.changes: dict[str, Any] = {
            "vendors": ["yahoo"],
            "base_urls": {"finnhub": url},
            "requests_per_minute": {"finnhub": 600_000.0},
            "first_wait_seconds": 0.01,
            "longest_wait_seconds": 0.05,
            "attempts": 2,
            "concurrency": 1,
        }
        self.heard: list[Event] = []
        self.listen: Callable[[Event], None] = self.heard.append
        self._workspace = workspace
        self._settings_with = settings_with

    def settings(self) -> Any:  # noqa: ANN401 - Settings
        return self._settings_with(refresh=self.changes)

    def add(self, *tickers: str | Listed, source: str = "files") -> None:
        settings = self.settings()
        with open_lake(self._workspace, settings) as lake:
            add_to_universe(lake, self._workspace, settings, self.heard.append, tickers=tickers, source=source)

    def remove(self, *tickers: str) -> None:
        settings = self.settings()
        with open_lake(self._workspace, settings) as lake:
            remove_from_universe(lake, self._workspace, settings, self.heard.append, tickers=tickers)

    def refresh(self, at: datetime, **asked: Any) -> RunResult:  # noqa: ANN401 - parts of a request
        market.stop_clock(at)
        self.heard.clear()
        settings = self.settings()
        with open_lake(self._workspace, settings) as lake:
            result = refresh_bars(lake, self._workspace, settings, self.listen, request=Request(**asked))
            assert failed_tickers(lake, result.run_id) == []
        return result

    @property
    def ended(self) -> StageEnded:
        return next(event for event in self.heard if isinstance(event, StageEnded) and event.stage == "texts")


@pytest.fixture
def finnhub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FinnhubServer]:
    only_this_computer(monkeypatch)
    monkeypatch.setenv("PM_KEYS__FINNHUB", FinnhubServer.key)
    openers, running = dict(OPENERS), market.running_clock()
    market.install(Market("yahoo", begin=date(2023, 11, 1)))
    market.stop_clock(moment(date(2024, 1, 1)))
    with FinnhubServer() as server:
        yield server
    OPENERS.clear()
    OPENERS.update(openers)
    market.start_clock(running)


@pytest.fixture
def house(
    tmp_path: Path, workspace_in: Callable[[Path], Workspace], settings_with: Callable[..., Any], finnhub: FinnhubServer
) -> House:
    return House(tmp_path, workspace_in(tmp_path), settings_with, finnhub.url)


def symbols(server: FinnhubServer) -> list[str]:
    """Return the symbols that were asked for since the last call, in order."""
    found = [request.query["symbol"] for request in server.news]
    server.requests.clear()
    return found


# What is asked, and what lands -----------------------------------------------------------------------------------


def test_the_second_night_lands_only_what_is_new(house: House, finnhub: FinnhubServer, ask: Read) -> None:
    house.add("AAPL", "MSFT", source="yahoo")
    finnhub.articles["AAPL"] = [
        article(number, moment(MONDAY - timedelta(days=number), 9)) for number in (1, 3, 29, 40)
    ]
    house.refresh(evening(MONDAY))
    assert [request.query for request in finnhub.news] == [
        {"symbol": name, "from": "2023-12-10", "to": "2024-01-09"} for name in ("AAPL", "MSFT")
    ]
    landed = "SELECT source_id, published_at FROM raw.texts ORDER BY published_at"
    assert ask(house.folder, landed).rows() == [
        (str(number), moment(MONDAY - timedelta(days=number), 9)) for number in (29, 3, 1)
    ]
    assert house.ended.summary == "3 texts of 2 tickers"

    tuesday = MONDAY + timedelta(days=1)
    finnhub.articles["AAPL"] += [
        article(100, moment(tuesday, 8)),
        article(101, moment(MONDAY, 8)),  # told late
        article(1, moment(tuesday, 9), headline="Changed"),  # known by its identifier
    ]
    finnhub.requests.clear()
    second = house.refresh(evening(tuesday))
    assert [request.query["from"] for request in finnhub.news] == ["2024-01-06", "2023-12-11"]
    assert ask(
        house.folder, "SELECT source_id FROM raw.texts WHERE fetched_at > '2024-01-09 12:00'"
    ).to_series().sort().to_list() == ["100", "101"]
    assert ask(house.folder, "SELECT headline FROM raw.texts WHERE source_id = '1'").item() == "Article 1 of AAPL"
    told = f"SELECT sent, texts, refused, last_published_at FROM text_fetches WHERE run_id = '{second.run_id}'"
    assert ask(house.folder, f"{told} ORDER BY ticker").rows() == [
        (4, 2, 0, moment(tuesday, 8)),
        (0, 0, 0, None),
    ]
    keys = "SELECT ticker, source, source_id FROM raw.texts GROUP BY ALL HAVING count(*) > 1"
    assert ask(house.folder, keys).is_empty()


def test_an_article_about_two_tickers_lands_for_each(house: House, finnhub: FinnhubServer, ask: Read) -> None:
    house.add("AAPL", "MSFT")
    both = article(1, moment(MONDAY, 9), related="AAPL,MSFT")
    finnhub.articles |= {"AAPL": [both], "MSFT": [both]}
    house.refresh(evening(MONDAY))
    assert ask(house.folder, "SELECT ticker FROM raw.texts ORDER BY ticker")["ticker"].to_list() == ["AAPL", "MSFT"]


def test_a_ticker_is_asked_for_once_a_day_in_utc(house: House, finnhub: FinnhubServer) -> None:
    house.add("AAPL", source="yahoo")
    house.refresh(moment(MONDAY, 1))
    assert symbols(finnhub) == ["AAPL"]
    house.refresh(moment(MONDAY, 23))
    assert (symbols(finnhub), house.ended.status) == ([], "skipped")
    assert house.ended.summary == "no news are due before 2024-01-09 00:00 UTC"
    house.refresh(moment(MONDAY, 23), tickers=("AAPL",))
    assert symbols(finnhub) == []
    house.refresh(moment(MONDAY + timedelta(days=1), 0))
    assert symbols(finnhub) == ["AAPL"]


def test_tickers_are_asked_for_whatever_their_source_and_as_the_vendor_spells_them(
    house: House, finnhub: FinnhubServer, ask: Read
) -> None:
    house.add("BRK-B", Listed("ODD", symbols={"finnhub": "ODD.X"}), source="yahoo")
    house.add("OWN", source="files")
    house.add("MADE", source="sample")
    finnhub.articles["BRK.B"] = [article(1, moment(MONDAY, 9), "BRK.B")]
    house.refresh(evening(MONDAY))
    assert symbols(finnhub) == ["BRK.B", "ODD.X", "OWN"]
    assert ask(house.folder, "SELECT ticker FROM raw.texts").item() == "BRK-B"


def test_a_look_at_a_part_asks_for_that_part_and_one_at_the_past_for_nothing(
    house: House, finnhub: FinnhubServer
) -> None:
    house.add("AAPL", "MSFT", source="yahoo")
    house.refresh(evening(MONDAY), as_of=MONDAY - timedelta(days=1))
    assert (symbols(finnhub), house.ended.summary) == ([], "no news for a look at a past day")
    house.refresh(evening(MONDAY), tickers=("MSFT",))
    assert symbols(finnhub) == ["MSFT"]
    house.refresh(evening(MONDAY), as_of=MONDAY + timedelta(days=1))  # today
    assert symbols(finnhub) == ["AAPL"]


def test_a_ticker_that_was_removed_or_delisted_is_not_asked_for(house: House, finnhub: FinnhubServer) -> None:
    house.add("AAPL", "MSFT", "OLD", source="yahoo")
    house.remove("MSFT")
    with open_lake(house._workspace, house.settings()) as lake:
        listed = lake.read(lake.tables["universe"], "ticker = 'OLD'").with_columns(status=pl.lit("delisted"))
        lake.commit("delist", lambda transaction: transaction.merge(lake.tables["universe"], listed))
    house.refresh(evening(MONDAY))
    assert "AAPL" in symbols(finnhub)
    house.refresh(evening(MONDAY + timedelta(days=1)))
    assert "MSFT" not in symbols(finnhub)


def test_articles_that_cannot_be_used_are_counted_and_told(house: House, finnhub: FinnhubServer, ask: Read) -> None:
    house.add("AAPL", "MSFT")
    bad = [article(2, moment(MONDAY, 9), headline=""), article(3, moment(MONDAY, 9), id=None)]
    finnhub.articles["AAPL"] = [article(1, moment(MONDAY, 9)), article(1, moment(MONDAY, 10)), *bad]
    finnhub.news_faults["MSFT"] = json_reply([article(5, moment(MONDAY + timedelta(days=9)), "MSFT")])
    house.refresh(evening(MONDAY))
    told = "SELECT sent, texts, refused, reason, detail FROM text_fetches ORDER BY ticker"
    assert ask(house.folder, told).rows() == [
        (4, 1, 2, None, "2 texts of 4 cannot be used: 1 without a headline, 1 without an identifier."),
        (1, 0, 1, "invalid_reply", "1 text of 1 cannot be used: 1 of a time to come."),
    ]
    assert house.ended.summary == (
        "1 text of 1 ticker; 3 refused; 1 failed: 1 text of 1 cannot be used: 1 of a time to come."
    )


# When there is nothing to do -------------------------------------------------------------------------------------


def test_without_a_key_nothing_is_asked(house: House, finnhub: FinnhubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PM_KEYS__FINNHUB")
    house.add("AAPL")
    house.refresh(evening(MONDAY))
    assert finnhub.requests == []
    assert (house.ended.status, house.ended.summary) == ("skipped", "no key of finnhub, which has news")
    market.stop_clock(evening(MONDAY) + timedelta(minutes=1))
    assert not house.refresh(evening(MONDAY) + timedelta(minutes=1)).worked


def test_news_can_be_turned_off(house: House, finnhub: FinnhubServer) -> None:
    house.add("AAPL")
    house.changes["news_minutes"] = 0.0
    house.refresh(evening(MONDAY))
    assert (finnhub.requests, house.ended.summary) == ([], "no news (refresh.news_minutes is 0)")


@pytest.mark.posix
def test_a_file_of_keys_that_cannot_be_used_costs_the_news_alone(
    house: House, finnhub: FinnhubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PM_KEYS__FINNHUB")
    (house.folder / "keys.yml").write_text(f"finnhub: {FinnhubServer.key}\n", encoding="utf-8")
    (house.folder / "keys.yml").chmod(0o644)
    house.add("AAPL")
    house.refresh(evening(MONDAY))
    assert (finnhub.requests, house.ended.summary) == ([], "no news: Others can read the file of keys.")


def test_without_a_watch_list_nothing_is_asked(house: House, finnhub: FinnhubServer) -> None:
    house.refresh(evening(MONDAY))
    assert (finnhub.requests, house.ended.summary) == ([], "no ticker on the watch list")


# Failures, and what is left --------------------------------------------------------------------------------------


def test_without_time_all_tickers_are_left_for_the_next_refresh(
    house: House, finnhub: FinnhubServer, ask: Read
) -> None:
    house.add("AAPL", "MSFT")
    house.changes["news_minutes"] = 1e-9
    house.refresh(evening(MONDAY))
    assert (house.ended.status, house.ended.summary) == (
        "done",
        "0 texts of 0 tickers; 2 tickers left for the next refresh",
    )
    assert ask(house.folder, "FROM text_fetches").is_empty()
    house.changes["news_minutes"] = 5.0
    house.refresh(evening(MONDAY))
    assert symbols(finnhub) == ["AAPL", "MSFT"]


def test_those_asked_for_least_recently_come_first(house: House, finnhub: FinnhubServer) -> None:
    """A vendor that fails after some tickers each night: over several nights all are asked for."""
    names = [f"T{number}" for number in range(5)]
    house.add(*names)
    house.changes |= {"attempts": 1, "failures_in_a_row": 1}

    def listen(event: Event) -> None:
        house.heard.append(event)
        if isinstance(event, StageProgressed) and event.stage == "texts":  # each answer takes a second
            market.stop_clock(market.Clock.moment + timedelta(seconds=1))

    house.listen = listen
    nights = []
    for night in range(4):
        finnhub.news_fault = [json_reply([]), json_reply([]), server_error()]
        house.refresh(evening(MONDAY + timedelta(days=night)))
        nights.append(symbols(finnhub))
        assert house.ended.status == "done"
        assert "2 tickers left for the next refresh; 1 failed: " in house.ended.summary
    # Answers of one moment may be recorded in either order.
    assert [set(night) for night in nights[:3]] == [{"T0", "T1", "T2"}, {"T3", "T4", "T0"}, {"T1", "T2", "T3"}]
    assert {"T4", "T0"} < set(nights[3])


def test_a_vendor_that_could_not_be_reached_is_asked_again_by_the_next_refresh(
    house: House, finnhub: FinnhubServer, ask: Read
) -> None:
    house.add("AAPL")
    finnhub.articles["AAPL"] = [article(1, moment(MONDAY, 9))]
    finnhub.news_fault = server_error()
    house.refresh(evening(MONDAY))
    assert house.ended.summary == ("0 texts of 0 tickers; 1 failed: The vendor's server has an error (HTTP 500).")
    reasons = "SELECT reason, due_at <= fetched_at FROM text_fetches"
    assert ask(house.folder, reasons).rows() == [("unreachable", True)]
    finnhub.news_fault = None
    house.refresh(evening(MONDAY) + timedelta(minutes=1))
    assert ask(house.folder, "SELECT count(*) FROM raw.texts").item() == 1


def test_a_market_that_the_key_does_not_permit_is_told_once_and_not_asked_for_again_that_night(
    house: House, finnhub: FinnhubServer, ask: Read
) -> None:
    house.add("AAPL", "BP.L", "VOD.L")
    finnhub.without_news = {"L"}
    house.refresh(evening(MONDAY))
    assert symbols(finnhub) == ["AAPL", "BP.L"]
    assert house.ended.summary == (
        "0 texts of 1 ticker; 2 failed: The key does not permit news of L (HTTP 403); Finnhub has news of companies of "
        "North America."
    )
    told = "SELECT ticker, reason FROM text_fetches WHERE reason IS NOT NULL ORDER BY ticker"
    assert ask(house.folder, told).rows() == [("BP.L", "not_permitted"), ("VOD.L", "not_permitted")]
    house.refresh(evening(MONDAY) + timedelta(hours=1))
    assert symbols(finnhub) == []
    house.refresh(evening(MONDAY + timedelta(days=1)))
    assert symbols(finnhub) == ["AAPL", "BP.L"]


def test_news_that_cannot_be_asked_for_at_all_are_told(house: House, finnhub: FinnhubServer) -> None:
    """The number of requests of the day cannot be kept: a file is in the place of the folder."""
    house.add("AAPL")
    house.changes["requests_per_day"] = {"finnhub": 10.0}
    (house.folder / "lake" / "vendors").write_text("", encoding="utf-8")
    house.refresh(evening(MONDAY))
    assert finnhub.requests == []
    told = "0 texts of 0 tickers; 1 ticker left for the next refresh; The number of requests that finnhub was sent "
    assert house.ended.summary.startswith(told)


def test_the_requests_of_a_day_are_kept(house: House, finnhub: FinnhubServer) -> None:
    house.add("AAPL", "IBM", "MSFT")
    house.changes["requests_per_day"] = {"finnhub": 2.0}
    house.refresh(evening(MONDAY))
    assert symbols(finnhub) == ["AAPL", "IBM"]
    assert "1 failed: 2 of the 2 requests a day are spent" in house.ended.summary
    house.refresh(evening(MONDAY) + timedelta(hours=1))
    assert symbols(finnhub) == []
    house.refresh(moment(MONDAY + timedelta(days=2), 0))
    assert symbols(finnhub) == ["MSFT", "AAPL"]


def test_of_several_failures_the_most_frequent_is_told(house: House, finnhub: FinnhubServer) -> None:
    house.add("AAPL", "BP.L", "VOD.L", "MSFT")
    finnhub.without_news = {"L"}
    finnhub.news_faults["MSFT"] = server_error()
    house.refresh(evening(MONDAY))
    told = "0 texts of 1 ticker; 3 failed, 2 of them: The key does not permit news of L (HTTP 403); "
    assert house.ended.summary.startswith(told)


def test_a_key_that_is_refused_ends_the_asking_until_the_next_day(
    house: House, finnhub: FinnhubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PM_KEYS__FINNHUB", "another-key-than-the-right-one")
    house.add("AAPL", "MSFT", "IBM")
    house.refresh(evening(MONDAY))
    assert len(symbols(finnhub)) == 1
    assert "3 failed: The vendor refuses the key (HTTP 401)" in house.ended.summary
    house.refresh(evening(MONDAY) + timedelta(hours=1))
    assert symbols(finnhub) == []


def test_a_vendor_that_asks_to_wait_is_not_asked_before(house: House, finnhub: FinnhubServer, ask: Read) -> None:
    house.add("AAPL", "IBM", "MSFT")
    finnhub.news_fault = too_many("7200")
    house.refresh(evening(MONDAY))
    assert len(symbols(finnhub)) == 1
    due = "SELECT DISTINCT reason, retry_after, due_at FROM text_fetches"
    until = evening(MONDAY) + timedelta(hours=2)
    assert ask(house.folder, due).rows() == [("limited", until, until)]
    house.refresh(until - timedelta(minutes=1))
    assert symbols(finnhub) == []
    finnhub.news_fault = None
    house.refresh(until)
    assert symbols(finnhub) == ["AAPL", "IBM", "MSFT"]


def test_a_storm_of_limits_is_weathered(house: House, finnhub: FinnhubServer, ask: Read) -> None:
    names = [f"T{number:02d}" for number in range(40)]
    house.add(*names)
    finnhub.news_fault = too_many()
    house.refresh(evening(MONDAY))
    assert len(symbols(finnhub)) == 2 * 5  # two attempts for each of five in a row
    assert "35 tickers left for the next refresh; 5 failed: Finnhub asks to wait (HTTP 429)." in house.ended.summary
    assert ask(house.folder, "SELECT count(*) FROM text_fetches").item() == 5
    finnhub.news_fault = [too_many()]
    house.refresh(evening(MONDAY) + timedelta(minutes=1))
    assert sorted(set(symbols(finnhub))) == names


def test_a_refresh_that_is_cut_off_keeps_the_pieces_that_have_landed(
    house: House, finnhub: FinnhubServer, ask: Read
) -> None:
    names = [f"T{number}" for number in range(6)]
    house.add(*names)
    house.changes["tickers_per_commit"] = 2
    finnhub.articles |= {name: [article(1, moment(MONDAY, 9), name)] for name in names}

    def cut(event: Event) -> None:
        if isinstance(event, StageProgressed) and (event.stage, event.done) == ("texts", 5):
            raise KeyboardInterrupt

    house.listen = cut
    with pytest.raises(KeyboardInterrupt):
        house.refresh(evening(MONDAY))
    for table in ("raw.texts", "text_fetches"):
        assert ask(house.folder, f"SELECT ticker FROM {table} ORDER BY ticker")["ticker"].to_list() == names[:4]
    finnhub.requests.clear()
    house.listen = house.heard.append
    house.refresh(evening(MONDAY) + timedelta(minutes=1))
    assert symbols(finnhub) == names[4:]
    assert house.ended.summary == "2 texts of 2 tickers"
    assert ask(house.folder, "SELECT ticker FROM raw.texts ORDER BY ticker")["ticker"].to_list() == names


def test_what_was_asked_while_the_clock_was_wrong_does_not_count(house: House, finnhub: FinnhubServer) -> None:
    house.add("AAPL")
    house.refresh(evening(date(2031, 1, 1)))
    symbols(finnhub)
    house.refresh(evening(MONDAY))
    assert [request.query["from"] for request in finnhub.news] == ["2023-12-10"]


def test_the_requests_for_bars_just_before_count_against_the_limits(
    house: House, finnhub: FinnhubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[dict[str, float]] = []
    monkeypatch.setattr(FinnhubSource, "count_earlier", lambda _, **values: counted.append(values))
    house.add("AAPL", "MSFT", source="finnhub")
    for name in ("AAPL", "MSFT"):
        finnhub.listings[name] = Listing.made(name, first=date(2023, 11, 1), last=date(2024, 2, 1))
    house.refresh(evening(MONDAY))
    assert counted == [{"bars": 2, "texts": 0, "seconds": 0.0}]
    counted.clear()
    house.remove("AAPL")
    house.add("IBM")
    house.refresh(evening(MONDAY) + timedelta(seconds=30))
    assert counted == [{"bars": 2, "texts": 2, "seconds": 30.0}]


def test_texts_are_stored_as_they_are_declared(house: House, finnhub: FinnhubServer, ask: Read) -> None:
    house.add("AAPL")
    odd = article(7, moment(MONDAY, 9), headline="AT&amp;T \0 🙂", summary="x" * 2**20, url="nowhere", source=None)
    finnhub.articles["AAPL"] = [odd]
    run = house.refresh(evening(MONDAY))
    (row,) = ask(house.folder, "FROM raw.texts").to_dicts()
    text = row.pop("text")
    assert (len(text), text[-1]) == (100_000, "…")
    assert row == {
        "ticker": "AAPL",
        "published_at": moment(MONDAY, 9),
        "headline": "AT&T 🙂",
        "publisher": None,
        "url": None,
        "source": "finnhub",
        "source_id": "7",
        "fetched_at": evening(MONDAY),
        "run_id": run.run_id,
    }
    assert moment(MONDAY, 9).replace(tzinfo=UTC).timestamp() == odd["datetime"]
