"""Servers on 127.0.0.1 that speak the wire formats of vendors, faults included.

    with YahooServer() as yahoo:
        yahoo.listings["AAPL"] = Listing.made("AAPL", first=date(2020, 1, 1), last=date(2024, 12, 31))
        yahoo.faults["MSFT"] = too_many(retry_after="3600")   # or a list: one for each request, then none
        settings.refresh.base_urls = {"yahoo": yahoo.url}

What a vendor sends is made from a `Listing`: the truth, as traded. `server.requests` has every request that came.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import ssl

    import pytest

__all__ = [
    "AlpacaServer",
    "AlphaVantageServer",
    "Bar",
    "Fault",
    "FinnhubServer",
    "Listing",
    "Reply",
    "Request",
    "TiingoServer",
    "VendorServer",
    "YahooServer",
    "broken_off",
    "cut",
    "drip",
    "html",
    "huge",
    "json_reply",
    "only_this_computer",
    "redirect",
    "server_error",
    "silence",
    "too_many",
]


def only_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to look up a host other than this computer; libcurl and processes are kept to it by a proxy of nobody."""
    real = socket.getaddrinfo

    def local(host: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - socket's own
        assert host in {"127.0.0.1", "localhost", b"127.0.0.1", None}, f"a test asked for {host}"
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the port of the service that discards
    monkeypatch.setenv("no_proxy", "127.0.0.1")


# The truth -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """A bar as traded; a price of None is one that the vendor has lost."""

    date: date
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None


@dataclass
class Listing:
    """A share: its bars as traded, and its dividends and splits by ex-date."""

    symbol: str
    bars: list[Bar]
    splits: dict[date, tuple[int, int]] = field(default_factory=dict)
    dividends: dict[date, float] = field(default_factory=dict)
    currency: str = "USD"
    exchange: str = "NMS"
    name: str = "A Company, Inc."
    zone: str = "America/New_York"

    @classmethod
    def made(
        cls,
        symbol: str,
        *,
        first: date,
        last: date,
        splits: dict[date, tuple[int, int]] | None = None,
        dividends: dict[date, float] | None = None,
        price: float = 100.0,
        **facts: str,
    ) -> Listing:
        """Return a share with a bar for each weekday, the same ones for the same symbol."""
        chance = random.Random(symbol)  # noqa: S311 - prices need no secrecy
        splits = splits or {}
        bars, close, day = [], price, first
        while day <= last:
            if day in splits:
                close /= splits[day][0] / splits[day][1]
            if day.weekday() < 5:
                opened = close * math.exp(chance.gauss(0, 0.004))
                close = opened * math.exp(chance.gauss(0.0002, 0.012))
                high, low = max(opened, close) * 1.005, min(opened, close) * 0.995
                volume = float(chance.randrange(1, 5_000) * 1_000)
                prices = [round(value, 2) for value in (opened, high, low, close)]
                bars.append(Bar(day, prices[0], prices[1], prices[2], prices[3], volume))
            day += timedelta(days=1)
        return cls(symbol, bars, splits, dividends or {}, **facts)

    def until(self, today: date | None) -> Listing:
        """Return what is known on a day."""
        if today is None:
            return self
        known = {day: ratio for day, ratio in self.splits.items() if day <= today}
        paid = {day: amount for day, amount in self.dividends.items() if day <= today}
        bars = [bar for bar in self.bars if bar.date <= today]
        facts = (self.currency, self.exchange, self.name, self.zone)
        return Listing(self.symbol, bars, known, paid, *facts)

    def factor(self, day: date, *, inclusive: bool = False) -> float:
        """Return the product of the ratios of all splits after a day, or from it on."""
        later = (ratio for split, ratio in self.splits.items() if split > day or (inclusive and split == day))
        return math.prod(new / old for new, old in later)


# A server --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    seconds: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Reply:
    """A reply, and how it is sent."""

    status: int = 200
    body: bytes = b""
    type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    pieces: int = 1
    """Number of pieces that the body is sent in."""
    pause: float = 0.0
    """Seconds before each piece but the first."""
    length: int | None = None
    """Length that is told, where it is not the body's."""


Fault = Reply | Callable[[Reply], Reply]
"""A reply in place of the true one, or what is done to the true one."""


def json_reply(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(value).encode(), headers=headers or {})


def too_many(retry_after: str | None = None) -> Reply:
    """Return a reply that asks to wait."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Reply(429, b"Too Many Requests", "text/plain", headers)


def server_error(status: int = 500) -> Reply:
    return Reply(status, b"<html>Internal Server Error</html>", "text/html")


def html() -> Reply:
    return Reply(200, b"<html><body>Will be right back</body></html>", "text/html; charset=utf-8")


def redirect(url: str, status: int = 302) -> Reply:
    return Reply(status, b"", "text/plain", {"Location": url})


def huge(megabytes: int = 50) -> Callable[[Reply], Reply]:
    """Make a reply larger than any should be, compressed so that it looks small."""

    def grow(reply: Reply) -> Reply:
        body = gzip.compress(reply.body + b" " * (megabytes * 1024 * 1024), compresslevel=1)
        return Reply(200, body, reply.type, {"Content-Encoding": "gzip"})

    return grow


def cut(reply: Reply) -> Reply:
    """Send half of a reply, and then end it properly."""
    return Reply(reply.status, reply.body[: len(reply.body) // 2], reply.type)


def broken_off(reply: Reply) -> Reply:
    """Send half of a reply, and then close the connection."""
    return Reply(reply.status, reply.body[: len(reply.body) // 2], reply.type, length=len(reply.body))


def drip(pause: float = 0.2) -> Callable[[Reply], Reply]:
    """Send a reply byte by byte."""
    return lambda reply: Reply(reply.status, reply.body, reply.type, pieces=len(reply.body), pause=pause)


def silence(seconds: float = 60.0) -> Callable[[Reply], Reply]:
    """Send the beginning of a reply, and then nothing."""
    return lambda reply: Reply(reply.status, reply.body, reply.type, pieces=2, pause=seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a reply that drips is not waited for
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the library's
        """Say nothing of clients that have gone."""


class VendorServer:
    """A server of one vendor. Subclasses say what it replies."""

    def __init__(self, *, certificate: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.listings: dict[str, Listing] = {}
        self.faults: dict[str, Fault | list[Fault]] = {}
        self.fault: Fault | list[Fault] | None = None
        """Fault of every request of bars, whatever the symbol."""
        self.today: date | None = None
        """Day after which the server knows nothing; None for no such day."""
        self.pause = 0.0
        """Seconds before each reply."""
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._scheme = "http"
        if certificate is not None:
            self._scheme = "https"
            self._server.socket = certificate.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, request: Request) -> Reply:
        """Return what the vendor replies."""
        raise NotImplementedError

    def symbol_of(self, request: Request) -> str | None:
        """Return the symbol that a request of bars is about; None for a request of something else."""
        raise NotImplementedError

    def listing(self, symbol: str) -> Listing | None:
        """Return a share as it is known today."""
        found = self.listings.get(symbol)
        return None if found is None else found.until(self.today)

    def faults_of(self, request: Request, symbol: str) -> tuple[Fault | list[Fault] | None, ...]:
        """Return the faults that can befall a request about a symbol."""
        del request
        return self.faults.get(symbol), self.fault

    def _reply(self, request: Request) -> Reply:
        true = self.reply(request)
        symbol = self.symbol_of(request)
        if symbol is None:
            return true
        for faults in self.faults_of(request, symbol):
            fault: Any = faults
            if isinstance(faults, list):
                with self._lock:
                    fault = faults.pop(0) if faults else None
            if fault is not None:
                made: Reply = fault(true) if callable(fault) else fault
                return made
        return true

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, unquote(parts.path), dict(parse_qsl(parts.query)), headers)
                server.requests.append(request)
                server._stopped.wait(server.pause)
                reply = server._reply(request)
                with suppress(OSError):
                    self._send(reply)

            do_POST = do_GET  # noqa: N815 - the library's name

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.type)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
                self.end_headers()
                size = max(1, math.ceil(len(reply.body) / reply.pieces))
                for start in range(0, len(reply.body), size):
                    if start and server._stopped.wait(reply.pause):
                        break
                    self.wfile.write(reply.body[start : start + size])
                    self.wfile.flush()
                if reply.length is not None:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler


@cache
def seconds_of(day: date, zone: str, hour: int = 9, minute: int = 30) -> int:
    return int(datetime.combine(day, clock_time(hour, minute), ZoneInfo(zone)).timestamp())


def _adjusted(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


# Yahoo -----------------------------------------------------------------------------------------------------------


class YahooServer(VendorServer):
    """Yahoo's charts, adjusted for the splits until today, with its cookie and crumb."""

    crumb: Reply = Reply(body=b"a.crumb", type="text/plain")

    def symbol_of(self, request: Request) -> str | None:
        start = "/v8/finance/chart/"
        return request.path.removeprefix(start) if request.path.startswith(start) else None

    @property
    def charts(self) -> list[Request]:
        """Requests of charts."""
        return [request for request in self.requests if self.symbol_of(request) is not None]

    def reply(self, request: Request) -> Reply:
        symbol = self.symbol_of(request)
        if symbol is None:
            return self.crumb if request.path.endswith("getcrumb") else Reply(404, b"", "text/html")
        found = self.listing(symbol)
        if found is None:
            told = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return json_reply({"chart": {"result": None, "error": told}}, status=404)
        return json_reply(
            self.chart(found, int(request.query.get("period1", "0")), int(request.query.get("period2", "0")))
        )

    @staticmethod
    def chart(listing: Listing, first: int = -(10**10), last: int = 10**10) -> dict[str, Any]:
        """Return a chart of some seconds since 1970: what Yahoo sends for a share."""
        times = {bar.date: seconds_of(bar.date, listing.zone) for bar in listing.bars}
        bars = [bar for bar in listing.bars if first <= times[bar.date] <= last]
        quote: dict[str, list[float | None]] = {
            name: [_adjusted(getattr(bar, name), 1 / listing.factor(bar.date)) for bar in bars]
            for name in ("open", "high", "low", "close")
        }
        quote["volume"] = [_adjusted(bar.volume, listing.factor(bar.date)) for bar in bars]
        events: dict[str, dict[str, Any]] = {}
        for day, amount in listing.dividends.items():
            when = seconds_of(day, listing.zone)
            if first <= when <= last:
                adjusted = amount / listing.factor(day, inclusive=True)
                events.setdefault("dividends", {})[str(when)] = {"amount": adjusted, "date": when}
        for day, (new, old) in listing.splits.items():
            when = seconds_of(day, listing.zone)
            if first <= when <= last:
                ratio = {"numerator": float(new), "denominator": float(old), "splitRatio": f"{new}:{old}"}
                events.setdefault("splits", {})[str(when)] = {"date": when, **ratio}
        result: dict[str, Any] = {
            "meta": {
                "currency": listing.currency,
                "symbol": listing.symbol,
                "exchangeName": listing.exchange,
                "fullExchangeName": f"The {listing.exchange} of somewhere",
                "instrumentType": "EQUITY",
                "exchangeTimezoneName": listing.zone,
                "longName": listing.name,
                "priceHint": 2,
                "dataGranularity": "1d",
            },
            "indicators": {"quote": [quote if bars else {}], "adjclose": [{"adjclose": quote["close"]}]},
        }
        if bars:
            result["timestamp"] = [times[bar.date] for bar in bars]
        if events:
            result["events"] = events
        return {"chart": {"result": [result], "error": None}}


# Alpha Vantage ---------------------------------------------------------------------------------------------------


class AlphaVantageServer(VendorServer):
    """Alpha Vantage: as traded, errors with status 200 in words, which have the key in them."""

    key = "a-key-of-alpha-vantage"
    per_day: int | None = None
    """Requests after which it says that the day's are spent."""
    premium = False
    """Whether the key gets whole histories."""

    def symbol_of(self, request: Request) -> str | None:
        return request.query.get("symbol")

    def reply(self, request: Request) -> Reply:
        symbol, function = request.query["symbol"], request.query["function"]
        if request.query.get("apikey") != self.key:
            return json_reply(
                {"Error Message": "the parameter apikey is invalid or missing. Please claim your free key"}
            )
        if self.per_day is not None and len(self.requests) > self.per_day:
            return json_reply(self.spent(self.key))
        found = self.listing(symbol)
        if function != "TIME_SERIES_DAILY":
            return json_reply({"symbol": symbol, "data": self.events(found, function)})
        return self.daily(request, found)

    def daily(self, request: Request, found: Listing | None) -> Reply:
        """Return the bars of a share."""
        if found is None:
            words = "Invalid API call. Please retry or visit the documentation for TIME_SERIES_DAILY."
            return json_reply({"Error Message": words})
        if request.query.get("outputsize") != "full":
            return json_reply(self.series(found, found.symbol))
        words = "The outputsize=full parameter value is a premium feature for the TIME_SERIES_DAILY endpoint."
        refusal = json_reply({"Information": f"Thank you for using Alpha Vantage! {words}"})
        return Reply(body=self.csv(found), type="application/x-download") if self.premium else refusal

    @staticmethod
    def events(listing: Listing | None, function: str) -> list[dict[str, str]]:
        """Return the splits or the dividends of a share."""
        if listing is None:
            return []
        if function == "SPLITS":
            splits = listing.splits.items()
            return [{"effective_date": str(day), "split_factor": f"{new / old:.10f}"} for day, (new, old) in splits]
        paid = listing.dividends.items()
        return [
            {"ex_dividend_date": str(day), "declaration_date": "None", "amount": f"{amount!r}"} for day, amount in paid
        ]

    @staticmethod
    def spent(key: str) -> dict[str, str]:
        """Return what it says when the requests of a day are spent."""
        words = f"We have detected your API key as {key} and our standard API rate limit is 25 requests per day."
        return {"Information": f"{words} Please subscribe to any of the premium plans to remove all daily rate limits."}

    @staticmethod
    def too_fast() -> dict[str, str]:
        """Return what it says when there are two requests in a second."""
        words = "Please consider spreading out your free API requests more sparingly (1 request per second)."
        return {"Information": f"{words} You may subscribe to any of the premium plans to lift the rate limit per day."}

    @staticmethod
    def series(listing: Listing, symbol: str) -> dict[str, Any]:
        """Return the last 100 bars."""
        names = ("open", "high", "low", "close", "volume")
        series = {
            bar.date.isoformat(): {f"{place}. {name}": f"{getattr(bar, name)!r}" for place, name in enumerate(names, 1)}
            for bar in reversed(listing.bars[-100:])
        }
        meta = {"1. Information": "Daily Prices", "2. Symbol": symbol, "5. Time Zone": "US/Eastern"}
        return {"Meta Data": meta, "Time Series (Daily)": series}

    @staticmethod
    def csv(listing: Listing) -> bytes:
        """Return all bars."""
        names = ("open", "high", "low", "close", "volume")
        rows = [[str(bar.date), *(repr(getattr(bar, name)) for name in names)] for bar in reversed(listing.bars)]
        lines = [",".join(row) for row in [["timestamp", *names], *rows]]
        return ("\r\n".join(lines) + "\r\n").encode()


# Finnhub ---------------------------------------------------------------------------------------------------------


class FinnhubServer(VendorServer):
    """Finnhub: prices adjusted for splits, of which a free key gets none of the United States; and company news."""

    key = "a-key-of-finnhub"
    free = False

    def __init__(self, *, certificate: ssl.SSLContext | None = None) -> None:
        super().__init__(certificate=certificate)
        self.articles: dict[str, list[dict[str, Any]]] = {}
        """Articles by symbol, as they are sent."""
        self.news_faults: dict[str, Fault | list[Fault]] = {}
        self.news_fault: Fault | list[Fault] | None = None
        """Faults of requests for news, by symbol and of all; those of bars are apart."""
        self.without_news: set[str] = set()
        """Suffixes of markets of which the key permits no news."""

    def symbol_of(self, request: Request) -> str | None:
        return request.query.get("symbol")

    @property
    def candles(self) -> list[Request]:
        """Requests of candles."""
        return [request for request in self.requests if request.path.endswith("/candle")]

    @property
    def news(self) -> list[Request]:
        """Requests of news."""
        return [request for request in self.requests if self.is_news(request)]

    @staticmethod
    def is_news(request: Request) -> bool:
        return request.path.endswith("/company-news")

    def faults_of(self, request: Request, symbol: str) -> tuple[Fault | list[Fault] | None, ...]:
        if self.is_news(request):
            return self.news_faults.get(symbol), self.news_fault
        return super().faults_of(request, symbol)

    @staticmethod
    def article(number: int, published: datetime, symbol: str = "AAPL", **changes: object) -> dict[str, Any]:
        """Return an article as it is sent, published at a time in UTC."""
        return {
            "category": "company",
            "datetime": int(published.replace(tzinfo=UTC).timestamp()),
            "headline": f"Article {number} of {symbol}",
            "id": number,
            "image": "https://example.com/image.png",
            "related": symbol,
            "source": "A Newspaper",
            "summary": f"What article {number} says.",
            "url": f"https://example.com/{symbol}/{number}",
        } | changes

    def published(self, symbol: str, first: str, last: str) -> Reply:
        """Return the articles of some days, the newest first."""
        if symbol.rpartition(".")[2] in self.without_news:
            return json_reply({"error": "You don't have access to this resource."}, status=403)
        days = [(datetime.fromtimestamp(one["datetime"], UTC), one) for one in self.articles.get(symbol, [])]
        known = [(moment, one) for moment, one in days if first <= moment.date().isoformat() <= last]
        known = [(moment, one) for moment, one in known if self.today is None or moment.date() <= self.today]
        return json_reply([one for _, one in sorted(known, key=lambda pair: pair[0], reverse=True)])

    def reply(self, request: Request) -> Reply:
        if request.headers.get("x-finnhub-token") != self.key:
            return json_reply({"error": "Invalid API key"}, status=401)
        symbol = request.query["symbol"]
        if self.is_news(request):
            return self.published(symbol, request.query["from"], request.query["to"])
        if self.free and "." not in symbol:
            return json_reply({"error": "You don't have access to this resource."}, status=403)
        found = self.listing(symbol)
        if request.path.endswith("/split"):
            splits = found.splits.items() if found else []
            rows = [
                {"symbol": symbol, "date": day.isoformat(), "fromFactor": old, "toFactor": new}
                for day, (new, old) in splits
                if request.query["from"] <= day.isoformat() <= request.query["to"]
            ]
            return json_reply(rows)
        if request.path.endswith("/dividend"):
            paid = found.dividends.items() if found else []
            return json_reply(
                [
                    {"symbol": symbol, "date": day.isoformat(), "amount": amount, "currency": "USD"}
                    for day, amount in paid
                    if request.query["from"] <= day.isoformat() <= request.query["to"]
                ]
            )
        return json_reply(self.series(found, int(request.query["from"]), int(request.query["to"])))

    @staticmethod
    def series(listing: Listing | None, first: int = 0, last: int = 10**11) -> dict[str, Any]:
        """Return the candles of a share."""
        times = {bar.date: seconds_of(bar.date, "UTC", 0, 0) for bar in listing.bars} if listing else {}
        bars = [bar for bar in listing.bars if first <= times[bar.date] <= last] if listing else []
        if listing is None or not bars:
            return {"s": "no_data"}
        letters = {"o": "open", "h": "high", "l": "low", "c": "close"}
        columns: dict[str, Any] = {
            letter: [_adjusted(getattr(bar, name), 1 / listing.factor(bar.date)) for bar in bars]
            for letter, name in letters.items()
        }
        volumes = [_adjusted(bar.volume, listing.factor(bar.date)) for bar in bars]
        return {"s": "ok", "t": [times[bar.date] for bar in bars], **columns, "v": volumes}


# Tiingo ----------------------------------------------------------------------------------------------------------


class TiingoServer(VendorServer):
    """Tiingo: as traded, with dividends and splits in the rows."""

    key = "a-key-of-tiingo"

    def symbol_of(self, request: Request) -> str | None:
        parts = request.path.split("/")
        return parts[3].upper() if len(parts) > 3 else None

    def reply(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Token {self.key}":
            return json_reply({"detail": "Invalid token."}, status=401)
        symbol = self.symbol_of(request)
        found = self.listing(symbol or "")
        if found is None:
            return json_reply({"detail": "Not found."}, status=404)
        if not request.path.endswith("/prices"):
            return json_reply({"ticker": symbol, "name": found.name, "exchangeCode": found.exchange})
        return json_reply(self.rows(found, request.query["startDate"], request.query["endDate"]))

    @staticmethod
    def rows(listing: Listing, first: str = "", last: str = "9999") -> list[dict[str, Any]]:
        """Return the bars of a share."""
        return [
            {
                "date": f"{bar.date.isoformat()}T00:00:00.000Z",
                **{name: getattr(bar, name) for name in ("open", "high", "low", "close", "volume")},
                "adjClose": _adjusted(bar.close, 1 / listing.factor(bar.date)),
                "divCash": listing.dividends.get(bar.date, 0.0),
                "splitFactor": listing.splits[bar.date][0] / listing.splits[bar.date][1]
                if bar.date in listing.splits
                else 1.0,
            }
            for bar in listing.bars
            if first <= bar.date.isoformat() <= last
        ]


# Alpaca ----------------------------------------------------------------------------------------------------------


class AlpacaServer(VendorServer):
    """Alpaca: as traded, many symbols in pages, and corporate actions."""

    key = "a-key-of-alpaca"
    secret = "a-secret-of-alpaca"  # noqa: S105 - of nobody
    page = 250
    """Rows of a page."""
    paid_after = timedelta(days=20)
    """Time from the ex-date of a dividend to its process date, by which it is chosen."""
    tells_ahead = True
    """Whether a dividend is known from its ex-date on, or only from its process date on."""

    def symbol_of(self, request: Request) -> str | None:
        return request.query.get("symbols")

    def reply(self, request: Request) -> Reply:
        held = (request.headers.get("apca-api-key-id"), request.headers.get("apca-api-secret-key"))
        if held != (self.key, self.secret):
            return json_reply({"message": "forbidden."}, status=403)
        symbols = request.query["symbols"].split(",")
        invalid = [symbol for symbol in symbols if not symbol.replace(".", "").isalnum()]
        if invalid:
            return json_reply({"message": f"invalid symbol: {invalid[0]}"}, status=400)
        start, end = request.query["start"][:10], request.query["end"]
        place = int(request.query.get("page_token", "0"))
        if request.path.endswith("/corporate-actions"):
            return json_reply(self.actions(symbols, start, end[:10], place))
        rows = [
            (symbol, row)
            for symbol in sorted(symbols)
            for row in self.rows(self.listing(symbol))
            if start <= row["t"][:10] and row["t"] <= end
        ]
        bars: dict[str, list[dict[str, Any]]] = {}
        for symbol, row in rows[place : place + self.page]:
            bars.setdefault(symbol, []).append(row)
        following = str(place + self.page) if place + self.page < len(rows) else None
        return json_reply({"bars": bars or None, "next_page_token": following})

    @staticmethod
    def rows(listing: Listing | None) -> list[dict[str, Any]]:
        """Return the bars of a share."""
        letters = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
        return [
            {
                "t": datetime.fromtimestamp(seconds_of(bar.date, "America/New_York", 0, 0), UTC).strftime(
                    "%Y-%m-%dT%H:%M:%SZ"
                ),
                **{letter: getattr(bar, name) for letter, name in letters.items()},
            }
            for bar in (listing.bars if listing else [])
        ]

    def actions(self, symbols: list[str], start: str, end: str, place: int) -> dict[str, Any]:
        """Return a page of corporate actions, with one action: those whose process date is within two days."""
        events: list[tuple[str, dict[str, Any]]] = []
        for symbol in sorted(symbols):
            listing = self.listing(symbol)
            for day, amount in listing.dividends.items() if listing else ():
                paid = day + self.paid_after
                if self.tells_ahead or self.today is None or paid <= self.today:
                    days = {"ex_date": day.isoformat(), "process_date": paid.isoformat(), "payable_date": str(paid)}
                    events.append(("cash_dividends", {"symbol": symbol, "rate": amount, **days}))
            for day, (new, old) in listing.splits.items() if listing else ():
                kind = "forward_splits" if new > old else "reverse_splits"
                rates = {"new_rate": new, "old_rate": old, "process_date": day.isoformat()}
                events.append((kind, {"symbol": symbol, "ex_date": day.isoformat(), **rates}))
        known = sorted(
            (event for event in events if start <= event[1]["process_date"] <= end),
            key=lambda event: str(event[1]["process_date"]),
        )
        actions: dict[str, list[dict[str, Any]]] = {}
        for kind, row in known[place : place + 1]:
            actions.setdefault(kind, []).append(row)
        following = str(place + 1) if place + 1 < len(known) else None
        return {"corporate_actions": actions, "next_page_token": following}
