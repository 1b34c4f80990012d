"""Alpaca: daily bars of shares of the United States as traded, since 2016, many symbols at a time.

Its own package, alpaca-py, is not used: it sends its requests by a session of its own, past the gate, and brings
websockets and four other packages for what are two requests.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pm.errors import PmError
from pm.sources.base import Answer, Failure
from pm.sources.vendors.asking import failure
from pm.sources.vendors.keyed import KeyedSource
from pm.sources.vendors.limits import Limits
from pm.sources.vendors.problems import (
    GoneError,
    InvalidReplyError,
    NotPermittedError,
    OtherSymbolError,
    VendorError,
)
from pm.sources.vendors.reply import Pairs, json_of, raise_for_status
from pm.sources.vendors.rows import (
    Splits,
    actions_frame,
    bars_frame,
    dates_of,
    dividend_of,
    number,
    numbers,
    refuse_if_gone,
    split_of,
    text,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pm.sources.base import Ask
    from pm.sources.vendors.reply import Reply

__all__ = ["AlpacaSource", "read_actions", "read_bars"]

NAME = "alpaca"
_CELLS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
_TICKERS, _TICKERS_WHOLE = 50, 5
"""Tickers of one request: of some days, and of their whole history."""
_PAGES = 1_000
"""Largest number of pages of one request."""
_DELAY = timedelta(minutes=16)
"""Age from which on free keys get the bars of all exchanges."""
_BEGINNING = date(2016, 1, 1)
_LATE = timedelta(days=90)
"""Time after its ex-date by which an action is processed: that of a dividend in cash is the day on which it is paid."""
_EARLY = timedelta(days=10)
"""Time before its ex-date at which an action may be processed, such as a split that is paid out the day before."""
_KINDS = "cash_dividend,forward_split,reverse_split,stock_dividend"
_INVALID = re.compile(r"invalid symbol:? *\"?(?P<symbol>[^\s\",]+)", re.IGNORECASE)


class AlpacaSource(KeyedSource):
    """Source of daily bars from Alpaca: as traded, with dividends and splits by a request of their own."""

    name: ClassVar[str] = NAME
    key_names: ClassVar[tuple[str, ...]] = (NAME, "alpaca_secret")
    usual_url: ClassVar[str] = "https://data.alpaca.markets"
    limits: ClassVar[Limits] = Limits(per_minute=200)

    def _credentials(self, keys: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        return {"APCA-API-KEY-ID": keys[0], "APCA-API-SECRET-KEY": keys[1]}, {}

    def _answers(self, asks: Sequence[Ask]) -> Iterator[Answer | Failure]:
        return self.gate.each(_groups(asks), self._group)

    def _answer(self, ask: Ask) -> Answer:
        found = self._group([ask])[0]
        if isinstance(found, Failure):
            raise InvalidReplyError(found.detail)
        return found

    def _group(self, asks: list[Ask]) -> list[Answer | Failure]:
        """Return an answer or a failure for each of some asks that have their start in common.

        A symbol that the vendor does not take would fail all: it is left out, and the others are asked for again. So
        would one that was not asked for: each half is asked for again, until the ticker that it comes with is alone.
        """
        began = self.gate.clock.elapsed()
        found: list[Answer | Failure] = []
        left = list(asks)
        while left:
            try:
                answers = self._answered(left)
            except PmError:
                raise
            except _InvalidSymbolError as error:
                refused = [ask for ask in left if ask.symbol.casefold() == error.symbol.casefold()] or left[:]
                left = [ask for ask in left if ask not in refused]
                found += [failure(ask, error, self.gate.clock.elapsed() - began) for ask in refused]
            except OtherSymbolError as error:
                if len(left) == 1:
                    return [*found, failure(left[0], error, self.gate.clock.elapsed() - began)]
                middle = len(left) // 2
                return found + self._group(left[:middle]) + self._group(left[middle:])
            except Exception as error:  # noqa: BLE001 - as for one ticker
                return found + [failure(ask, error, self.gate.clock.elapsed() - began) for ask in left]
            else:
                return found + [replace(one, seconds=self.gate.clock.elapsed() - began) for one in answers]
        return found

    def _answered(self, asks: list[Ask]) -> list[Answer | Failure]:
        symbols = ",".join(sorted({ask.symbol for ask in asks}))
        start = min(ask.start or _BEGINNING for ask in asks)
        last = max(ask.end for ask in asks)
        now = self.gate.clock.now().replace(tzinfo=UTC)
        end = min(datetime.combine(last + timedelta(days=1), time(), UTC), now - _DELAY)
        rows: dict[str, list[dict[str, Any]]] = {}
        for page in self._pages(
            "/v2/stocks/bars",
            {
                "symbols": symbols,
                "timeframe": "1Day",
                "start": start.isoformat(),
                "end": end.isoformat(timespec="seconds").replace("+00:00", "Z"),
                "limit": 10_000,
                "adjustment": "raw",
                "feed": "sip",
            },
        ):
            for symbol, sent in read_bars(page, asks).items():
                rows.setdefault(symbol, []).extend(sent)
        dividends: dict[str, set[tuple[date, float]]] = {}
        splits: dict[str, set[tuple[date, float]]] = {}
        # The API chooses actions by their process date, not by the ex-date that counts here.
        days = {"start": max(start - _LATE - _EARLY, _BEGINNING).isoformat(), "end": (last + _LATE).isoformat()}
        for page in self._pages("/v1/corporate-actions", {"symbols": symbols, "types": _KINDS, **days, "limit": 1_000}):
            paid, split = read_actions(page, asks)
            for told, kept in ((paid, dividends), (split, splits)):
                for symbol, events in told.items():
                    kept.setdefault(symbol, set()).update(events)
        found: list[Answer | Failure] = []
        for ask in asks:
            key = ask.symbol.casefold()
            try:
                found.append(
                    _answer_of(ask, rows.get(key, []), dividends.get(key, set()), splits.get(key, set()), self._today)
                )
            except VendorError as error:
                found.append(failure(ask, error, 0.0))
        return found

    def _pages(self, path: str, parameters: Mapping[str, str | int]) -> Iterator[Any]:
        token: str | None = None
        for _ in range(_PAGES):
            asked = dict(parameters) if token is None else {**parameters, "page_token": token}
            value = self._asked(path, asked, self._read)
            yield value
            following = value.get("next_page_token") if isinstance(value, dict) else None
            if following is None or following == "":
                return
            if not isinstance(following, str) or following == token:
                raise InvalidReplyError("The reply names no next page that can be asked for.")
            token = following
        raise InvalidReplyError(f"The reply has more than {_PAGES:,} pages.")

    def _read(self, reply: Reply) -> Any:  # noqa: ANN401 - any JSON value
        words = self._words(reply, "message")
        if reply.status == 403 and "subscription" in words.lower():
            raise NotPermittedError(f"The key does not permit it: {words}.")
        invalid = _INVALID.search(words)
        if reply.status in {400, 422} and invalid is not None:
            raise _InvalidSymbolError(invalid["symbol"].rstrip("."))
        raise_for_status(reply, now=self.gate.clock.now(), words=words)
        return json_of(reply)


class _InvalidSymbolError(GoneError):
    def __init__(self, symbol: str) -> None:
        super().__init__(f"Alpaca does not know the symbol {symbol[:40]}.")
        self.symbol = symbol


def _groups(asks: Sequence[Ask]) -> Iterator[list[Ask]]:
    """Yield asks in groups of one request each: those that begin on one day, some at a time."""
    by_start: dict[date | None, list[Ask]] = {}
    for ask in asks:
        by_start.setdefault(ask.start, []).append(ask)
    for start, alike in by_start.items():
        size = _TICKERS_WHOLE if start is None else _TICKERS
        for place in range(0, len(alike), size):
            yield alike[place : place + size]


def _answer_of(
    ask: Ask,
    rows: list[dict[str, Any]],
    dividends: set[tuple[date, float]],
    splits: set[tuple[date, float]],
    today: date,
) -> Answer:
    columns = {name: numbers([row.get(letter) for row in rows]) for name, letter in _CELLS.items()}
    bars = within(bars_frame(ask, NAME, dates_of([row.get("t") for row in rows]), columns), ask, today)
    refuse_if_gone(bars, ask)
    listed: Splits = sorted(split for split in splits if split[0] >= _BEGINNING)
    dividends = {paid for paid in dividends if paid[0] >= _BEGINNING}  # it has no bars that an earlier one is of
    actions = actions_frame(ask, NAME, dividends, listed, adjusted=False, late=True)
    since = None if ask.start is None else ask.start - _LATE
    return Answer(ask, bars, actions, currency="USD", actions_from=since)


def read_bars(value: Any, asks: Sequence[Ask]) -> dict[str, list[dict[str, Any]]]:  # noqa: ANN401 - any JSON value
    """Return the rows of a page by symbol in small letters, every one of it.

    Raises
    ------
    VendorError
        It has not the form of a page of bars, or has a symbol that was not asked for.
    """
    bars = value.get("bars") if isinstance(value, dict) else None
    if bars is None and isinstance(value, dict) and "bars" in value:
        return {}  # no symbol has any
    if not isinstance(bars, dict):
        raise InvalidReplyError("The reply has no bars.")
    asked = {ask.symbol.casefold() for ask in asks}
    found: dict[str, list[dict[str, Any]]] = {}
    for symbol, rows in bars.pairs if isinstance(bars, Pairs) else bars.items():
        if symbol.casefold() not in asked:
            raise OtherSymbolError(f"Alpaca sent {text(symbol) or 'no symbol'}, which was not asked for.")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InvalidReplyError("The bars of a symbol are no list of rows.")
        found.setdefault(symbol.casefold(), []).extend(rows)
    return found


def read_actions(
    value: Any,  # noqa: ANN401 - any JSON value
    asks: Sequence[Ask],
) -> tuple[dict[str, list[tuple[date, float]]], dict[str, list[tuple[date, float]]]]:
    """Return the dividends and the splits of a page by symbol in small letters.

    A dividend in shares is a split: 5% of new shares are 1.05 for 1.

    Raises
    ------
    VendorError
        It has not the form of a page of corporate actions.
    """
    actions = value.get("corporate_actions") if isinstance(value, dict) else None
    if not isinstance(actions, dict):
        raise InvalidReplyError("The reply has no corporate actions.")
    asked = {ask.symbol.casefold() for ask in asks}
    dividends: dict[str, list[tuple[date, float]]] = {}
    splits: dict[str, list[tuple[date, float]]] = {}
    for kind in ("cash_dividends", "forward_splits", "reverse_splits", "stock_dividends"):
        rows = actions.get(kind) or []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InvalidReplyError(f"The {kind} are no list.")
        for row in rows:
            symbol = row.get("symbol")
            if not isinstance(symbol, str) or symbol.casefold() not in asked:
                raise OtherSymbolError(f"Alpaca sent an action of {text(symbol) or 'no symbol'}, not asked for.")
            day = dates_of([row.get("ex_date")])[0]
            kept = dividends if kind == "cash_dividends" else splits
            event = dividend_of(day, number(row.get("rate"))) if kept is dividends else split_of(day, _ratio(kind, row))
            if event is not None:
                kept.setdefault(symbol.casefold(), []).append(event)
    return dividends, splits


def _ratio(kind: str, row: dict[str, Any]) -> float | None:
    if kind == "stock_dividends":
        rate = number(row.get("rate"))
        return None if rate is None else 1 + rate
    new, old = number(row.get("new_rate")), number(row.get("old_rate"))
    return new / old if new is not None and old else None
