"""What single vendors do in their own way."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.sources import Answer, Ask, Failure
from pm.sources.vendors import symbol_for
from pm.sources.vendors.alpaca import AlpacaSource
from pm.sources.vendors.network import proxy_for
from pm.sources.vendors.yahoo_chart import _decimal
from pm.tables.vocabulary import FailureReason
from tests.vendor_servers import (
    AlpacaServer,
    AlphaVantageServer,
    Bar,
    FinnhubServer,
    Listing,
    Reply,
    Request,
    TiingoServer,
    YahooServer,
    json_reply,
    redirect,
    server_error,
    too_many,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.sources.vendors.base import Vendor

    Made = Callable[..., Vendor]

FIRST, LAST = date(2023, 1, 2), date(2023, 12, 29)
START = date(2023, 12, 11)


def share(symbol: str = "AAPL", **facts: Any) -> Listing:  # noqa: ANN401 - a listing's
    return Listing.made(symbol, first=FIRST, last=LAST, **facts)


def ask(symbol: str = "AAPL", start: date | None = START, end: date = LAST) -> Ask:
    return Ask(symbol, symbol, start, end)


def one(source: Vendor, asked: Ask) -> Answer | Failure:
    (found,) = source.fetch([asked])
    return found


# Yahoo -----------------------------------------------------------------------------------------------------------


def test_yahoo_is_asked_once_for_a_cookie_a_crumb_and_each_chart(yahoo: YahooServer, made: Made) -> None:
    names = [f"T{number}" for number in range(30)]
    yahoo.listings |= {name: share(name) for name in names}
    source = made(yahoo)
    for _ in range(2):  # the range that ended in the past is asked for again, and not taken from a cache
        assert all(isinstance(found, Answer) for found in source.fetch([ask(name) for name in names]))
    paths = [request.path for request in yahoo.requests]
    assert len(paths) == 2 + 2 * len(names)
    assert paths.count("/v1/test/getcrumb") == 1
    assert all(request.query["crumb"] == "a.crumb" for request in yahoo.charts)


@pytest.mark.parametrize("crumb", [too_many(), server_error(), Reply(200, b"<html>", "text/html"), Reply()])
def test_a_chart_is_asked_for_without_a_crumb_where_there_is_none(yahoo: YahooServer, made: Made, crumb: Reply) -> None:
    yahoo.crumb = crumb
    yahoo.listings |= {name: share(name) for name in ("A", "B", "C")}
    found = list(made(yahoo, concurrency=1).fetch([ask(name) for name in ("A", "B", "C")]))
    assert all(isinstance(one, Answer) for one in found), found
    assert len([request for request in yahoo.requests if request.path == "/v1/test/getcrumb"]) <= 2


def test_a_refused_crumb_is_asked_for_anew(yahoo: YahooServer, made: Made) -> None:
    yahoo.listings["AAPL"] = share()
    told = {"finance": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}}
    yahoo.fault = [json_reply(told, status=401)]
    assert isinstance(one(made(yahoo), ask()), Answer)


def test_yahoo_that_refuses_this_computer_is_a_limit(yahoo: YahooServer, made: Made) -> None:
    yahoo.fault = Reply(403, b"Forbidden", "text/plain")
    found = one(made(yahoo, attempts=2), ask())
    assert isinstance(found, Failure)
    assert found.reason == FailureReason.LIMITED
    assert "403" in found.detail


@pytest.mark.parametrize(("days", "reason"), [(3, None), (30, FailureReason.GONE)])
def test_days_without_bars_are_told_by_yahoo_with_an_error(
    yahoo: YahooServer, made: Made, days: int, reason: FailureReason | None
) -> None:
    words = "Data doesn't exist for startDate = 1700000000, endDate = 1700500000"
    told = {"chart": {"result": None, "error": {"code": "Bad Request", "description": words}}}
    yahoo.fault = json_reply(told, status=400)
    found = one(made(yahoo), ask(start=LAST - timedelta(days=days)))
    assert len(yahoo.charts) == 1
    if reason is None:
        assert isinstance(found, Answer)
        assert found.bars.is_empty()
    else:
        assert isinstance(found, Failure)
        assert found.reason == reason


def test_what_yahoo_does_not_take_for_one_ticker_does_not_open_the_breaker(yahoo: YahooServer, made: Made) -> None:
    told = {"chart": {"result": None, "error": {"code": "Unprocessable Entity", "description": "Invalid input."}}}
    yahoo.listings["AAPL"] = share()
    yahoo.faults |= {f"T{number}": json_reply(told, status=422) for number in range(20)}
    found = list(made(yahoo, failures_in_a_row=2).fetch([ask(f"T{number}") for number in range(20)] + [ask()]))
    failed = [one for one in found if isinstance(one, Failure)]
    assert {one.reason for one in failed} == {FailureReason.INVALID_REPLY}
    assert len(failed) == 20
    assert "Invalid input" in failed[0].detail


def test_another_symbols_chart_is_refused(yahoo: YahooServer, made: Made) -> None:
    yahoo.listings["AAPL"] = share("MSFT")
    found = one(made(yahoo), ask())
    assert isinstance(found, Failure)
    assert found.reason == FailureReason.OTHER_SYMBOL
    assert "AAPL" in found.detail
    assert "MSFT" in found.detail


def test_the_currency_the_exchange_and_the_name_are_told_as_yahoo_writes_them(yahoo: YahooServer, made: Made) -> None:
    yahoo.listings["VOD.L"] = share(
        "VOD.L", currency="GBp", exchange="LSE", name="Vodafone  Group", zone="Europe/London"
    )
    found = one(made(yahoo), ask("VOD.L"))
    assert isinstance(found, Answer)
    assert (found.currency, found.exchange, found.name) == ("GBp", "LSE", "Vodafone Group")


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland", "America/Los_Angeles"])
def test_days_are_the_exchanges(yahoo: YahooServer, made: Made, zone: str) -> None:
    listing = yahoo.listings["X"] = share("X", zone=zone)
    found = one(made(yahoo), ask("X"))
    assert isinstance(found, Answer)
    assert found.bars["date"].to_list() == [bar.date for bar in listing.bars if bar.date >= START]


def test_prices_that_yahoo_keeps_in_32_bits_are_what_they_were(yahoo: YahooServer, made: Made) -> None:
    listing = share()

    def kept_in_32_bits(price: float | None) -> float:
        return float(np.float32(price if price is not None else np.nan))

    kept = [
        Bar(bar.date, *(kept_in_32_bits(price) for price in (bar.open, bar.high, bar.low, bar.close)), bar.volume)  # type: ignore[call-arg]
        for bar in listing.bars
    ]
    assert kept[0].close != listing.bars[0].close
    yahoo.listings["AAPL"] = Listing("AAPL", kept)
    found = one(made(yahoo), ask(start=None))
    assert isinstance(found, Answer)
    assert found.bars["close"].to_list() == [bar.close for bar in listing.bars]
    assert found.bars["open"].to_list() == [bar.open for bar in listing.bars]


@given(cents=st.integers(1, 3_276_700))
def test_every_price_in_cents_survives_32_bits(cents: int) -> None:
    price = cents / 100
    sent = float(np.float32(price))
    assert _decimal(pl.Series([sent, None, price])).to_list() == [price, None, price]


def test_volumes_and_prices_that_32_bits_hold_exactly_are_left(yahoo: YahooServer, made: Made) -> None:
    bars = [Bar(LAST, 754_321.125, 754_321.125, 99.5, 754_321.125, 123_456_792.0)]
    assert bars[0].volume == float(np.float32(123_456_792.0))
    yahoo.listings["BRK-A"] = Listing("BRK-A", bars)
    found = one(made(yahoo), ask("BRK-A"))
    assert isinstance(found, Answer)
    assert found.bars.select("open", "low", "close", "volume").row(0) == (754_321.125, 99.5, 754_321.125, 123_456_792.0)


def test_a_distribution_of_a_fund_on_the_day_of_a_dividend_is_added_to_it(yahoo: YahooServer, made: Made) -> None:
    listing = share()
    day = date(2023, 12, 20)
    listing.dividends[day] = 0.5

    def with_gains(true: Reply) -> Reply:
        chart = json.loads(true.body)
        gain = {"amount": 0.25, "date": int(datetime(2023, 12, 20, 15, tzinfo=UTC).timestamp())}
        chart["chart"]["result"][0]["events"]["capitalGains"] = {"1": gain}
        return json_reply(chart)

    yahoo.listings["AAPL"] = listing
    yahoo.fault = with_gains
    found = one(made(yahoo), ask())
    assert isinstance(found, Answer)
    assert found.actions.select("date", "kind", "value").rows() == [(day, "dividend", 0.75)]


@pytest.mark.parametrize(
    "split", [b'"numerator": 0.0', b'"numerator": null', b'"numerator": 1e300', b'"numerator": "x"']
)
def test_a_split_that_cannot_be_undone_refuses_the_chart(yahoo: YahooServer, made: Made, split: bytes) -> None:
    listing = share()
    listing.splits[date(2023, 12, 20)] = (2, 1)
    yahoo.listings["AAPL"] = listing
    yahoo.fault = lambda true: Reply(body=true.body.replace(b'"numerator": 2.0', split))
    found = one(made(yahoo), ask())
    assert isinstance(found, Failure)
    assert found.reason == FailureReason.INVALID_REPLY
    assert "split" in found.detail


def test_yahoo_leads_from_one_host_of_its_own_to_another_and_no_further(yahoo: YahooServer, made: Made) -> None:
    yahoo.listings["AAPL"] = share()
    yahoo.fault = [
        redirect("https://query1.finance.yahoo.com/v8/finance/chart/AAPL?period1=1701000000&period2=1800000000")
    ]
    assert isinstance(one(made(yahoo), ask()), Answer)
    yahoo.fault = redirect(f"{yahoo.url}/v8/finance/chart/AAPL")
    found = one(made(yahoo), ask())
    assert isinstance(found, Failure)
    assert "more than 5 times" in found.detail
    yahoo.fault = redirect("https://yahoo.com.example.com/v8/finance/chart/AAPL")
    found = one(made(yahoo), ask())
    assert isinstance(found, Failure)
    assert "yahoo.com.example.com" in found.detail


def test_yahoo_keeps_no_files(yahoo: YahooServer, made: Made, tmp_path: Path) -> None:
    yahoo.listings["AAPL"] = share()
    one(made(yahoo), ask())
    assert not list(tmp_path.rglob("*"))
    import yfinance.cache

    assert yfinance.cache._CookieDBManager._db is None
    assert yfinance.cache._TzDBManager._db is None


def test_yfinance_is_imported_only_when_yahoo_is_asked(tmp_path: Path) -> None:
    import subprocess

    program = """
import sys
from pathlib import Path
from pm.settings import Keys, load_settings
from pm.sources.vendors import VENDORS, vendor
for name in VENDORS:
    list(vendor(name, load_settings().refresh, Keys(), Path("cache")).fetch([]))
print(*sorted({"yfinance", "curl_cffi", "pandas", "httpx", "tenacity"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


# Alpha Vantage ---------------------------------------------------------------------------------------------------


def test_alpha_vantage_takes_the_short_reply_where_it_suffices(made: Made) -> None:
    with AlphaVantageServer() as server:
        today = datetime.now(UTC).date()
        server.listings["AAPL"] = Listing.made("AAPL", first=today - timedelta(days=400), last=today)
        server.premium = True
        source = made(server)
        for days, size in ((7, "compact"), (139, "compact"), (141, "full")):
            server.requests.clear()
            found = one(source, ask(start=today - timedelta(days=days), end=today - timedelta(days=1)))
            assert isinstance(found, Answer), found
            assert server.requests[0].query["outputsize"] == size
            assert found.bars["date"].min() <= today - timedelta(days=days - 3)  # type: ignore[operator]


def test_a_free_key_of_alpha_vantage_gets_no_whole_history(made: Made) -> None:
    with AlphaVantageServer() as server:
        server.listings["AAPL"] = share()
        found = one(made(server), ask(start=None))
    assert isinstance(found, Failure)
    assert found.reason == FailureReason.NOT_PERMITTED
    assert "premium" in found.detail


def test_alpha_vantages_budget_is_planned_by_tickers(made: Made) -> None:
    today = datetime.now(UTC).date()
    with AlphaVantageServer() as server:
        names = [f"T{number}" for number in range(12)]
        server.listings |= {name: Listing.made(name, first=today - timedelta(days=60), last=today) for name in names}
        found = list(made(server).fetch([ask(name, today - timedelta(days=20), today) for name in names]))
        assert len(server.requests) == 24  # of 25: eight tickers whole, and no request for half a ticker
    assert len([one for one in found if isinstance(one, Answer)]) == 8
    failed = [one for one in found if isinstance(one, Failure)]
    assert {one.reason for one in failed} == {FailureReason.LIMITED}
    assert {one.retry_after for one in failed} == {datetime.combine(today + timedelta(days=1), datetime.min.time())}


def test_alpha_vantage_that_says_the_day_is_spent_is_not_asked_again_that_day(made: Made) -> None:
    today = datetime.now(UTC).date()
    with AlphaVantageServer() as server:
        server.listings["AAPL"] = Listing.made("AAPL", first=today - timedelta(days=60), last=today)
        server.per_day = 0
        for _ in range(2):
            found = one(made(server), ask(start=today - timedelta(days=10), end=today))
            assert isinstance(found, Failure)
            assert found.reason == FailureReason.LIMITED
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("words", "reason", "requests"),
    [
        ({"Note": "Our standard API call frequency is 5 calls per minute and 500 calls per day."}, "limited", 3),
        (AlphaVantageServer.too_fast(), "limited", 3),
        ({"Error Message": "Invalid API call. Please retry or visit the documentation."}, "gone", 1),
        ({"Error Message": "the parameter apikey is invalid or missing."}, "not_permitted", 1),
        ({"Information": "This is a premium endpoint."}, "not_permitted", 1),
        ({"Information": "The demo API key is for demo purposes only."}, "invalid_reply", 1),
        ({"Error Message": ["?"]}, "invalid_reply", 1),
        ({}, "invalid_reply", 1),
    ],
)
@pytest.mark.parametrize("start", [None, "recent"])
def test_alpha_vantages_words_are_understood_though_csv_was_asked_for(
    made: Made, words: dict[str, object], reason: str, requests: int, start: str | None
) -> None:
    today = datetime.now(UTC).date()
    with AlphaVantageServer() as server:
        server.fault = json_reply(words)
        found = one(made(server), ask(start=today - timedelta(days=9) if start else None, end=today))
        assert isinstance(found, Failure)
        assert (found.reason, len(server.requests)) == (reason, requests)


# Finnhub ---------------------------------------------------------------------------------------------------------


def test_a_market_that_finnhubs_key_does_not_permit_is_asked_for_once(made: Made) -> None:
    with FinnhubServer() as server:
        server.free = True
        server.listings["VOD.L"] = share("VOD.L")
        names = [f"T{number}" for number in range(40)]
        found = {one.ask.ticker: one for one in made(server).fetch([ask(name) for name in [*names, "VOD.L"]])}
        assert isinstance(found.pop("VOD.L"), Answer)
        assert len(server.candles) == 2
    failed = list(found.values())
    assert {one.reason for one in failed if isinstance(one, Failure)} == {FailureReason.NOT_PERMITTED}
    assert len({one.detail for one in failed if isinstance(one, Failure)}) == 1
    assert all("United States" in one.detail for one in failed if isinstance(one, Failure))


def test_finnhub_without_its_splits_is_a_failure_and_no_guess(made: Made) -> None:
    with FinnhubServer() as server:
        server.listings["AAPL"] = share()
        server.fault = lambda true: (
            json_reply({"error": "You don't have access to this resource."}, status=403)
            if true.body.startswith(b"[")
            else true
        )
        found = one(made(server), ask())
    assert isinstance(found, Failure)
    assert found.reason == FailureReason.NOT_PERMITTED
    assert "splits" in found.detail


def test_finnhub_names_the_moment_at_which_it_can_be_asked_again(made: Made) -> None:
    moment = int(datetime.now(UTC).timestamp()) + 1_800
    with FinnhubServer() as server:
        server.fault = json_reply({"error": "API limit reached."}, 429, {"X-Ratelimit-Reset": str(moment)})
        found = one(made(server), ask())
        assert len(server.requests) == 1
    assert isinstance(found, Failure)
    assert found.retry_after == datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)


# Alpaca ----------------------------------------------------------------------------------------------------------


def test_alpaca_is_asked_for_many_symbols_at_a_time_in_pages(made: Made) -> None:
    with AlpacaServer() as server:
        names = [f"T{number}" for number in range(100)]
        server.listings |= {name: share(name) for name in names}
        found = list(made(server).fetch([ask(name) for name in names]))
        bars = [request for request in server.requests if request.path == "/v2/stocks/bars"]
        # 50 tickers a request, 15 bars each, 250 rows a page
        assert len(bars) == 2 * 3
        assert {request.query["adjustment"] for request in bars} == {"raw"}
    assert all(isinstance(one, Answer) and one.bars.height == 15 and one.currency == "USD" for one in found)


def test_a_symbol_that_alpaca_does_not_take_does_not_fail_the_others(made: Made) -> None:
    with AlpacaServer() as server:
        server.listings["AAPL"] = share()
        found = {one.ask.ticker: one for one in made(server).fetch([ask("AAPL"), ask("^GSPC"), ask("=X")])}
    assert isinstance(found["AAPL"], Answer)
    for name in ("^GSPC", "=X"):
        failed = found[name]
        assert isinstance(failed, Failure)
        assert failed.reason == FailureReason.GONE
        assert name in failed.detail


@pytest.mark.parametrize("form", ["bars", "corporate_actions"])
def test_a_symbol_that_alpaca_was_not_asked_for_fails_the_ticker_that_it_comes_with(made: Made, form: str) -> None:
    names = [f"T{number}" for number in range(10)]
    row = {"symbol": "OTHER", "ex_date": "2023-12-20", "rate": 0.5}
    added: dict[str, list[object]] = {"OTHER": []} if form == "bars" else {"cash_dividends": [row]}

    def foreign(true: Reply) -> Reply:
        value = json.loads(true.body)
        return json_reply(value | {form: (value[form] or {}) | added}) if form in value else true

    class Server(AlpacaServer):
        def symbol_of(self, request: Request) -> str | None:
            return "T3" if "T3" in request.query["symbols"].split(",") else None

    with Server() as server:
        server.listings |= {name: share(name) for name in names}
        server.faults["T3"] = foreign
        found = {one.ask.ticker: one for one in made(server).fetch([ask(name) for name in names])}
    assert found.keys() == set(names)
    for name in set(names) - {"T3"}:
        assert isinstance(found[name], Answer), found[name]
    failed = found["T3"]
    assert isinstance(failed, Failure)
    assert failed.reason == FailureReason.OTHER_SYMBOL
    assert "OTHER" in failed.detail


def test_alpaca_is_not_asked_for_the_last_quarter_of_an_hour(made: Made) -> None:
    today = datetime.now(UTC).date()
    with AlpacaServer() as server:
        server.listings["AAPL"] = share()
        one(made(server), ask(start=today - timedelta(days=3), end=today))
        end = datetime.fromisoformat(server.requests[0].query["end"])
    assert end <= datetime.now(UTC) - timedelta(minutes=15)


def test_pages_that_lead_in_a_circle_are_refused(made: Made) -> None:
    with AlpacaServer() as server:
        server.listings["AAPL"] = share()
        server.fault = lambda true: Reply(body=true.body.replace(b'"next_page_token": null', b'"next_page_token": "7"'))
        found = one(made(server), ask())
    assert isinstance(found, Failure)
    assert found.reason == FailureReason.INVALID_REPLY


def test_a_dividend_in_shares_is_a_split(made: Made) -> None:
    with AlpacaServer() as server:
        server.listings["AAPL"] = share()
        row = b'{"corporate_actions": {"stock_dividends": [{"symbol": "AAPL", "ex_date": "2023-12-20", "rate": 0.05}]}'
        server.fault = lambda true: (
            Reply(body=row + b', "next_page_token": null}') if b"corporate_actions" in true.body else true
        )
        found = one(made(server), ask())
    assert isinstance(found, Answer)
    assert found.actions.select("date", "kind", "value").rows() == [(date(2023, 12, 20), "split", 1.05)]


def test_one_ticker_can_be_asked_of_alpaca(made: Made) -> None:
    with AlpacaServer() as server:
        server.listings["AAPL"] = share()
        source = made(server)
        assert isinstance(source, AlpacaSource)
        assert source._answer(ask()).bars.height == 15
        source._connect().close()


# Tiingo ----------------------------------------------------------------------------------------------------------


def test_tiingo_tells_the_name_of_a_new_ticker(made: Made) -> None:
    with TiingoServer() as server:
        server.listings["AAPL"] = share(exchange="NASDAQ", name="Apple Inc")
        source = made(server)
        whole, recent = one(source, ask(start=None)), one(source, ask())
        assert len(server.requests) == 3
    assert isinstance(whole, Answer)
    assert isinstance(recent, Answer)
    assert (whole.name, whole.exchange, recent.name) == ("Apple Inc", "NASDAQ", None)


@pytest.mark.parametrize(
    ("words", "hours"),
    [
        ("You have run over your hourly request allocation.", 1),
        ("You have run over your daily request allocation.", 24),
    ],
)
def test_tiingos_limits_are_told_in_words(made: Made, words: str, hours: int) -> None:
    with TiingoServer() as server:
        server.fault = json_reply({"detail": f"Error: {words}"}, status=429)
        before = datetime.now(UTC).replace(tzinfo=None)
        found = one(made(server), ask())
        assert len(server.requests) == 1
    assert isinstance(found, Failure)
    assert found.reason == FailureReason.LIMITED
    assert found.retry_after is not None
    assert before < found.retry_after <= before + timedelta(hours=hours)
    assert (found.retry_after.minute, found.retry_after.second) == (0, 0)


# Spelling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ticker", "spelt"),
    [
        (
            "BRK.B",
            {"yahoo": "BRK-B", "alpha_vantage": "BRK-B", "finnhub": "BRK.B", "alpaca": "BRK.B", "tiingo": "BRK-B"},
        ),
        ("BRK-B", {"yahoo": "BRK-B", "finnhub": "BRK.B", "alpaca": "BRK.B"}),
        ("brk/b", {"yahoo": "BRK-B", "alpaca": "BRK.B"}),
        ("AAPL.US", {"yahoo": "AAPL", "tiingo": "AAPL"}),
        ("VOD.L", {"yahoo": "VOD.L", "alpha_vantage": "VOD.LON", "finnhub": "VOD.L"}),
        ("7203.T", {"yahoo": "7203.T"}),
        ("0700.HK", {"yahoo": "0700.HK"}),
        ("SHOP.TO", {"yahoo": "SHOP.TO", "alpha_vantage": "SHOP.TRT"}),
        ("^GSPC", {"yahoo": "^GSPC"}),
        ("BTC-USD", {"yahoo": "BTC-USD"}),
        ("BAC-PL", {"yahoo": "BAC-PL", "alpaca": "BAC.PL"}),
    ],
)
def test_a_ticker_is_spelt_as_the_vendor_does(ticker: str, spelt: dict[str, str]) -> None:
    assert {name: symbol_for(name, ticker) for name in spelt} == spelt


# A proxy ---------------------------------------------------------------------------------------------------------


def test_the_systems_proxy_is_used_but_for_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "internal.example.com")
    assert proxy_for("https://api.tiingo.com/tiingo") == "http://proxy.example.com:3128"
    assert proxy_for("https://internal.example.com") is None
    assert proxy_for("http://127.0.0.1:8000") is None
    monkeypatch.setenv("https_proxy", "socks5://proxy.example.com")
    assert proxy_for("https://api.tiingo.com") is None


def test_rows_are_typed_like_those_of_other_sources(yahoo: YahooServer, made: Made) -> None:
    yahoo.listings["AAPL"] = share()
    found = one(made(yahoo), ask())
    assert isinstance(found, Answer)
    assert found.bars["adj_close"].dtype == pl.Float64
    assert found.seconds > 0
