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
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

__all__ = [
    "AlpacaServer",
    "AlphaVantageServer",
    "Bar",
    "FinnhubServer",
    "Listing",
    "Reply",
    "Request",
    "TiingoServer",
    "VendorServer",
    "YahooServer",
    "cut",
    "drip",
    "html",
    "huge",
    "redirect",
    "server_error",
    "silence",
    "too_many",
]


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
    exchange: str = "NasdaqGS"
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
        chance = random.Random(symbol)
        splits = splits or {}
        bars, close, day = [], price, first
        while day <= last:
            if day in splits:
                close /= splits[day][0] / splits[day][1]
            if day.weekday() < 5:
                opened = close * math.exp(chance.gauss(0, 0.004))
                close = opened * math.exp(chance.gauss(0.0002, 0.012))
                high, low = max(opened, close) * 1.005, min(opened, close) * 0.995
                prices = (round(value, 2) for value in (opened, high, low, close))
                bars.append(Bar(day, *prices, volume=float(chance.randrange(1, 5_000) * 1_000)))
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


def json_reply(value: object, **facts: Any) -> Reply:
    return Reply(body=json.dumps(value).encode(), **facts)


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

    def handle_error(self, request: Any, client_address: Any) -> None:
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

    def _reply(self, request: Request) -> Reply:
        true = self.reply(request)
        symbol = self.symbol_of(request)
        if symbol is None:
            return true
        for faults in (self.faults.get(symbol), self.fault):
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

            def do_GET(self) -> None:  # noqa: N802 - the library's name
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
        return json_reply(self.chart(found, int(request.query["period1"]), int(request.query["period2"])))

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
                "exchangeName": "NMS",
                "fullExchangeName": listing.exchange,
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
