"""What every vendor's source must do, against a server on 127.0.0.1 that speaks its wire format."""

from __future__ import annotations

import logging
import math
import ssl
import traceback
from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.errors import SettingsError, SourceError
from pm.settings import VENDOR_NAMES, Keys
from pm.sources import ACTIONS_SCHEMA, BARS_SCHEMA, Answer, Ask, Failure, Source
from pm.sources.vendors import VENDORS, vendor
from pm.sources.vendors.problems import VendorError
from pm.tables.vocabulary import FailureReason
from tests.vendor_servers import (
    AlphaVantageServer,
    Bar,
    Listing,
    Reply,
    VendorServer,
    YahooServer,
    broken_off,
    cut,
    drip,
    html,
    huge,
    redirect,
    server_error,
    silence,
    too_many,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.settings import RefreshSettings
    from pm.sources.vendors.base import Vendor

    Made = Callable[..., Vendor]

FIRST, LAST = date(2014, 1, 1), date(2023, 12, 29)
SPLITS = {date(2015, 6, 9): (7, 1), date(2018, 3, 12): (3, 2), date(2020, 8, 31): (4, 1), date(2022, 7, 18): (1, 20)}
DIVIDENDS = {
    FIRST + timedelta(days=91 * quarter + 20): round(0.2 + quarter * 0.013, 4) for quarter in range(40)
}  # fmt: skip


def listing(symbol: str = "AAPL", **facts: Any) -> Listing:  # noqa: ANN401 - a listing's
    return Listing.made(symbol, first=FIRST, last=LAST, splits=SPLITS, dividends=DIVIDENDS, **facts)


def ask(symbol: str = "AAPL", start: date | None = None, end: date = LAST) -> Ask:
    return Ask(symbol, symbol, start, end)


def only(source: Source, *asks: Ask) -> Answer | Failure:
    found = list(source.fetch(asks))
    assert len(found) == len(asks) == 1
    return found[0]


def answer(source: Source, *asks: Ask) -> Answer:
    found = only(source, *asks)
    assert isinstance(found, Answer), found
    return found


def failure(source: Source, *asks: Ask) -> Failure:
    found = only(source, *asks)
    assert isinstance(found, Failure), found
    assert found.detail.endswith(".")
    assert found.seconds >= 0
    return found


def truth(share: Listing, source: str, start: date = FIRST, end: date = LAST) -> pl.DataFrame:
    rows = [
        (share.symbol, bar.date, bar.open, bar.high, bar.low, bar.close, None, bar.volume, source)
        for bar in share.bars
        if start <= bar.date <= end
    ]
    return pl.DataFrame(rows, schema=BARS_SCHEMA, orient="row")


def assert_equal(found: pl.DataFrame, expected: pl.DataFrame, *, but: tuple[str, ...] = ()) -> None:
    assert found.schema == expected.schema
    exact = ["ticker", "date", "source", "adj_close"]
    assert found.select(exact).equals(expected.select(exact))
    for name in {"open", "high", "low", "close", "volume"} - set(but):
        for seen, true in zip(found[name], expected[name], strict=True):
            assert seen == true or math.isclose(seen, true, rel_tol=1e-9), name


# What is answered ------------------------------------------------------------------------------------------------


def test_the_vendors_of_the_settings_are_those_that_there_are() -> None:
    assert tuple(VENDORS) == VENDOR_NAMES


def test_a_vendor_is_a_source_and_an_unknown_one_is_refused(refresh: RefreshSettings, tmp_path: Path) -> None:
    for name in VENDORS:
        made = vendor(name, refresh, Keys(), tmp_path)
        assert isinstance(made, Source)
        assert made.name == name
    with pytest.raises(SettingsError, match="Did you mean 'yahoo'"):
        vendor("yaho", refresh, Keys(), tmp_path)


def test_ten_years_with_four_splits_and_forty_dividends_land_as_traded(server: VendorServer, made: Made) -> None:
    share = server.listings["AAPL"] = listing()
    source = made(server)
    first = date(2016, 1, 1) if source.name == "alpaca" else FIRST  # it has no older ones
    found = answer(source, ask())
    unsaid = ("volume",) if source.name == "finnhub" else ()
    assert_equal(found.bars, truth(share, source.name, first), but=unsaid)
    assert found.actions.schema == ACTIONS_SCHEMA
    told = {(day, kind): value for _, day, kind, value, _ in found.actions.iter_rows()}
    expected = {(day, "dividend"): amount for day, amount in DIVIDENDS.items() if day >= first}
    expected |= {(day, "split"): new / old for day, (new, old) in SPLITS.items() if day >= first}
    assert told.keys() == expected.keys()
    assert all(math.isclose(told[key], expected[key], rel_tol=1e-9) for key in expected)


def test_a_night_gives_the_days_that_were_asked_for_as_traded_though_a_split_came_later(
    server: VendorServer, made: Made
) -> None:
    share = server.listings["AAPL"] = listing()
    source = made(server)
    start, end = date(2020, 8, 24), date(2020, 9, 4)  # over a split, with another one later
    found = answer(source, ask(start=start, end=end))
    unsaid = ("volume",) if source.name == "finnhub" else ()
    assert_equal(found.bars, truth(share, source.name, start, end), but=unsaid)
    assert found.actions.filter(kind="split").select("date", "value").rows() == [(date(2020, 8, 31), 4.0)]
    assert (found.actions["date"] <= end).all()
    # Alpaca's are chosen by another date, so that late ones are among them.
    assert source.name == "alpaca" or (found.actions["date"] >= start).all()


def test_the_bar_of_a_session_that_is_not_over_is_left_out(server: VendorServer, made: Made) -> None:
    server.listings["AAPL"] = listing()
    found = answer(made(server), ask(start=date(2023, 12, 18), end=date(2023, 12, 27)))
    assert found.bars["date"].max() == date(2023, 12, 27)


def test_many_tickers_have_one_answer_or_failure_each(server: VendorServer, made: Made) -> None:
    names = [f"T{number}" for number in range(60)]
    server.listings |= {name: Listing.made(name, first=date(2023, 11, 1), last=LAST) for name in names[::2]}
    source = made(server, requests_per_day={server_name(server): 1_000})
    found = list(source.fetch([ask(name, start=date(2023, 12, 1)) for name in names]))
    assert sorted(one.ask.ticker for one in found) == sorted(names)
    for one in found:
        if int(one.ask.ticker[1:]) % 2:
            assert isinstance(one, Failure)
            assert one.reason == FailureReason.GONE
        else:
            assert isinstance(one, Answer)
            share = server.listings[one.ask.ticker]
            assert_equal(one.bars, truth(share, source.name, date(2023, 12, 1)))


def server_name(server: VendorServer) -> str:
    from tests.sources.vendors.conftest import SERVERS

    return next(name for name, kind in SERVERS.items() if isinstance(server, kind))


def test_no_session_in_the_days_asked_for_is_an_empty_answer(server: VendorServer, made: Made) -> None:
    server.listings["AAPL"] = listing()
    found = answer(made(server), ask(start=date(2023, 12, 23), end=date(2023, 12, 24)))
    assert found.bars.is_empty()
    assert found.bars.schema == BARS_SCHEMA


def test_a_share_without_bars_for_a_week_is_gone(server: VendorServer, made: Made) -> None:
    share = listing()
    server.listings["AAPL"] = Listing("AAPL", [bar for bar in share.bars if bar.date < date(2023, 1, 1)])
    found = failure(made(server), ask(start=date(2023, 12, 1)))
    assert found.reason == FailureReason.GONE


def test_asking_for_nothing_needs_no_key_and_sends_nothing(server: VendorServer, made: Made) -> None:
    assert list(made(server, keys=Keys()).fetch([])) == []
    assert server.requests == []


# Faults ----------------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[Any, FailureReason, int]] = {
    "429": (too_many(), FailureReason.LIMITED, 3),
    "429 for some seconds": (too_many("0"), FailureReason.LIMITED, 3),
    "429 for an hour": (too_many("3600"), FailureReason.LIMITED, 1),
    "429 until a date": (too_many("Fri, 31 Dec 2100 23:59:59 GMT"), FailureReason.LIMITED, 1),
    "500": (server_error(), FailureReason.UNREACHABLE, 3),
    "503 for an hour": (Reply(503, b"", "text/plain", {"Retry-After": "3600"}), FailureReason.LIMITED, 1),
    "a page": (html(), FailureReason.INVALID_REPLY, 3),
    "nothing": (Reply(), FailureReason.INVALID_REPLY, 3),
    "cut": (cut, FailureReason.INVALID_REPLY, 3),
    "broken off": (broken_off, FailureReason.INVALID_REPLY, 3),
    "no gzip": (Reply(200, b"{}", "application/json", {"Content-Encoding": "gzip"}), FailureReason.INVALID_REPLY, 3),
    "large": (huge(50), FailureReason.INVALID_REPLY, 1),
    "elsewhere": (redirect("https://example.com/v8/finance/chart/AAPL"), FailureReason.INVALID_REPLY, 1),
    "a list": (Reply(200, b"[1]"), FailureReason.INVALID_REPLY, 1),
    "null": (Reply(200, b"null"), FailureReason.INVALID_REPLY, 1),
    "deep": (Reply(200, b"[" * 100_000), FailureReason.INVALID_REPLY, 1),
    "a wrong address": (Reply(404, b"<html>Not Found</html>", "text/html"), FailureReason.INVALID_REPLY, 1),
}


@pytest.mark.parametrize("kind", list(FAULTS))
def test_a_fault_is_a_failure_after_as_many_attempts_as_may_help_and_shows_no_key(
    server: VendorServer, made: Made, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    fault, reason, attempts = FAULTS[kind]
    server.listings["AAPL"] = listing()
    server.fault = fault
    found = failure(made(server, reply_mb=5), ask())
    assert found.reason == reason, found.detail
    about_bars = [request for request in server.requests if server.symbol_of(request) is not None]
    assert len(about_bars) == attempts
    assert (found.retry_after is not None) == (" for " in kind or "until" in kind), found
    assert all(secret not in caplog.text + repr(found) for secret in secrets(server))


@pytest.mark.parametrize("fault", [drip(0.15), silence(30)], ids=["drip", "silence"])
def test_a_reply_that_does_not_end_is_given_up(server: VendorServer, made: Made, fault: Any) -> None:  # noqa: ANN401 - a fault
    server.listings["AAPL"] = listing()
    server.fault = fault
    found = failure(made(server, timeout_seconds=0.6, attempts=1), ask())
    assert found.reason == FailureReason.UNREACHABLE
    assert "0.6 s" in found.detail


def test_what_fails_once_is_asked_again(server: VendorServer, made: Made) -> None:
    share = server.listings["AAPL"] = listing()
    server.fault = [server_error(), cut]
    source = made(server)
    start = date(2023, 12, 1)
    assert_equal(answer(source, ask(start=start)).bars, truth(share, source.name, start))


def test_after_failures_in_a_row_nothing_more_is_sent(server: VendorServer, made: Made) -> None:
    server.fault = server_error()
    source = made(server, failures_in_a_row=3, concurrency=1, attempts=2)
    asks = [ask(f"T{number}", start=date(2023, 12, 1 + number)) for number in range(20)]
    found = list(source.fetch(asks))
    reasons = Counter(one.reason for one in found if isinstance(one, Failure))
    assert reasons == {FailureReason.UNREACHABLE: 3, FailureReason.NOT_ASKED: 17}
    sent = len(server.requests)
    assert len([request for request in server.requests if server.symbol_of(request) is not None]) == 6
    server.fault = None
    assert {one.reason for one in source.fetch(asks) if isinstance(one, Failure)} == {FailureReason.NOT_ASKED}
    assert len(server.requests) == sent


def test_a_storm_of_429_ends_after_as_many_requests_as_the_breaker_lets_through(
    server: VendorServer, made: Made
) -> None:
    server.fault = too_many("7200")
    source = made(server, concurrency=4)
    found = list(source.fetch([ask(f"T{number}", start=date(2023, 12, 1 + number % 20)) for number in range(200)]))
    assert {one.reason for one in found if isinstance(one, Failure)} == {FailureReason.LIMITED}
    assert all(isinstance(one, Failure) and one.retry_after is not None for one in found)
    assert len([request for request in server.requests if server.symbol_of(request) is not None]) <= 4


def test_tickers_that_are_gone_do_not_open_the_breaker(server: VendorServer, made: Made) -> None:
    server.listings["AAPL"] = listing()
    source = made(server, failures_in_a_row=2, requests_per_day={server_name(server): 1_000})
    asks = [ask(f"T{number}", start=date(2023, 12, 1)) for number in range(20)] + [ask(start=date(2023, 12, 1))]
    found = {one.ask.ticker: one for one in source.fetch(asks)}
    assert isinstance(found.pop("AAPL"), Answer)
    assert {one.reason for one in found.values() if isinstance(one, Failure)} == {FailureReason.GONE}


def test_no_server_is_a_failure(server: VendorServer, made: Made) -> None:
    source = made(server)
    address = server.url
    server.__exit__()
    found = failure(source, ask())
    assert found.reason == FailureReason.UNREACHABLE
    assert address.partition("//")[2] not in found.detail or "connect" in found.detail.lower()
    server._thread = type(server._thread)(target=lambda: None)
    server._thread.start()


def test_a_certificate_of_nobody_is_refused(server: VendorServer, made: Made) -> None:
    trustme = pytest.importorskip("trustme")  # Windows' Python is tested without the extra `test`
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with type(server)(certificate=context) as guarded:
        found = failure(made(guarded), ask())
    assert found.reason == FailureReason.UNREACHABLE
    assert "certificate" in found.detail
    assert guarded.requests == []


def test_closing_the_iterator_ends_the_requests(server: VendorServer, made: Made) -> None:
    names = [f"T{number}" for number in range(50)]
    start = date(2023, 12, 1)
    server.listings |= {name: Listing.made(name, first=start, last=LAST) for name in names}
    server.faults |= dict.fromkeys(names[1:], drip(0.2))
    source = made(server, timeout_seconds=300, concurrency=2, requests_per_day={server_name(server): 1_000})
    answers = source.fetch([ask(name, start=start - timedelta(days=number)) for number, name in enumerate(names)])
    assert isinstance(next(answers), Answer)
    answers.close()  # type: ignore[attr-defined]
    sent = len(server.requests)
    assert sent < 20
    server.faults.clear()
    assert isinstance(only(source, ask("T1", start=start)), Answer)  # the source can be used again


# Keys ------------------------------------------------------------------------------------------------------------


def secrets(server: VendorServer) -> list[str]:
    return [getattr(server, name) for name in ("key", "secret") if hasattr(server, name)]


def test_a_missing_key_is_told_before_anything_is_sent(server: VendorServer, made: Made) -> None:
    if isinstance(server, YahooServer):
        pytest.skip("needs no key")
    source = made(server, keys=Keys())
    with pytest.raises(SourceError, match="no key") as caught:
        source.fetch([ask()])
    assert f"PM_KEYS__{source.name.upper()}" in caught.value.hint
    assert server.requests == []


def test_a_key_that_is_refused_ends_the_refresh_and_is_not_shown(server: VendorServer, made: Made) -> None:
    if isinstance(server, YahooServer):
        pytest.skip("needs no key")
    wrong = dict.fromkeys(Keys.model_fields, "an-expired-key-of-mine")
    source = made(server, keys=Keys.model_validate(wrong), concurrency=1)
    asks = [ask(f"T{number}", start=date(2023, 12, 1 + number)) for number in range(5)]
    found = list(source.fetch(asks))
    assert {one.reason for one in found if isinstance(one, Failure)} == {FailureReason.NOT_PERMITTED}
    assert len(server.requests) == 1
    assert "an-expired-key-of-mine" not in repr(found)


OF_ANY = {
    "symbol": "AAPL",
    "symbols": "AAPL",
    "function": "SPLITS",
    **dict.fromkeys(("from", "to", "startDate", "endDate", "start", "end"), "0"),
}
"""Parameters that suffice for the server of any vendor."""


def test_no_key_is_in_a_log_an_error_or_a_traceback(
    server: VendorServer, made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.listings["AAPL"] = listing()
    source = made(server, timeout_seconds=0.6)
    found = list(source.fetch([ask(), ask("GONE")]))
    shown = [caplog.text, repr(found), repr(source), repr(vars(source.gate))]
    if not isinstance(server, YahooServer):
        assert "HTTP Request" in caplog.text  # httpx logs the address of each request
        client = source._connect()  # type: ignore[attr-defined]
        for fault in (silence(5), broken_off):
            server.fault = fault
            source.gate.stop.clear()
            with pytest.raises(VendorError) as caught:
                client.get("/tiingo/daily/AAPL/prices", OF_ANY)  # a path that only one of them looks at
            shown += ["".join(traceback.format_exception(caught.value)), repr(caught.value.__context__)]
            request = getattr(caught.value.__context__, "request", None)
            shown += [str(request.url), str(request.headers)] if request is not None else []
        client.close()
        assert any(secrets(server)[0] in repr(request) for request in server.requests)  # it was sent
    for secret in secrets(server):
        assert all(secret not in text for text in shown)


def test_what_a_vendor_says_of_the_key_is_not_repeated(made: Made) -> None:
    with AlphaVantageServer() as server:
        server.per_day = 0
        found = failure(made(server), ask(start=LAST))
    assert found.reason == FailureReason.LIMITED
    assert "your API key as ***" in found.detail
    assert server.key not in repr(found)


# Rows ------------------------------------------------------------------------------------------------------------


def spoilt(share: Listing) -> Listing:
    """Return a share with rows that no rule allows."""
    bars = [
        *share.bars[-5:],
        Bar(share.bars[-1].date, 1.0, 1.0, 1.0, 1.0, 1.0),  # twice
        Bar(share.bars[-2].date, None, None, None, None, None),
        Bar(date(2023, 12, 20), -1.0, -1.0, -1.0, -1.0, 0.0),
        Bar(date(2150, 1, 3), 9.0, 9.0, 9.0, 9.0, 9.0),
        Bar(date(2023, 12, 19), math.nan, math.inf, 1.0, math.nan, 3.0),
    ]
    return Listing(share.symbol, bars)


def test_every_row_lands_whatever_it_holds(server: VendorServer, made: Made) -> None:
    share = server.listings["AAPL"] = spoilt(listing())
    # Alpha Vantage's short reply is a mapping, in which no day is twice; the others are asked for days.
    start = None if isinstance(server, AlphaVantageServer) else date(2023, 12, 1)
    found = answer(made(server), ask(start=start))
    sends_any_day = isinstance(server, AlphaVantageServer | YahooServer)
    expected = [bar for bar in share.bars if bar.date <= LAST or (sends_any_day and bar.date.year < 2100)]
    rows = found.bars.filter(pl.col("date") < date(2100, 1, 1)).select("date", "close").iter_rows()
    assert Counter(f"{row}" for row in rows) == Counter(f"{(bar.date, bar.close)}" for bar in expected)
    assert found.bars["date"].is_sorted()


def test_a_bar_of_a_day_to_come_is_answered_for_the_check_to_refuse(made: Made) -> None:
    with AlphaVantageServer() as server:
        server.premium = True
        server.listings["AAPL"] = spoilt(listing())
        found = answer(made(server), ask())
    assert found.bars["date"].max() == date(2150, 1, 3)
