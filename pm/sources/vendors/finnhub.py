"""Finnhub: candles that are adjusted for splits, of which free keys get none of the United States; company news."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from pm.sources.base import Answer
from pm.sources.symbols import exchange_suffix
from pm.sources.vendors.asking import answers
from pm.sources.vendors.finnhub_news import read_news
from pm.sources.vendors.keyed import KeyedSource
from pm.sources.vendors.limits import Limits
from pm.sources.vendors.permitted import PermittedMarkets
from pm.sources.vendors.problems import InvalidReplyError, LimitedError, NotPermittedError, OtherSymbolError
from pm.sources.vendors.reply import json_of, raise_for_status, retry_moment, said
from pm.sources.vendors.rows import (
    Splits,
    actions_frame,
    bars_frame,
    dates_of,
    days_of,
    dividend_of,
    number,
    numbers,
    refuse_if_gone,
    split_of,
    text,
    undo_splits,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pm.settings import Keys, RefreshSettings
    from pm.sources.base import Ask, Failure
    from pm.sources.texts import TextAnswer
    from pm.sources.vendors.limits import Clock
    from pm.sources.vendors.reply import Reply

__all__ = ["FinnhubSource", "read_candles", "read_dividends", "read_splits"]

NAME = "finnhub"
_CELLS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
_BEGINNING = date(1970, 1, 1)
_REQUESTS_FOR_BARS = 3
"""Number of requests for the bars, dividends and splits of a ticker."""
_OF_BARS = "a free key gets no candles of shares. Choose another vendor: pm universe move TICKER --to VENDOR"
_OF_NEWS = "Finnhub has news of companies of North America"
"""What is said besides if the key does not permit them."""


class FinnhubSource(KeyedSource):
    """Source of daily bars, and of texts, from Finnhub.

    Its prices are adjusted for splits, which its own list of splits undoes. It does not say whether the volume is, so
    the volume before a split is left out. A market that the key does not permit is not asked for again.
    """

    name: ClassVar[str] = NAME
    key_names: ClassVar[tuple[str, ...]] = (NAME,)
    usual_url: ClassVar[str] = "https://finnhub.io/api/v1"
    limits: ClassVar[Limits] = Limits(per_second=30, per_minute=60)

    def __init__(self, settings: RefreshSettings, keys: Keys, folder: Path, clock: Clock | None = None) -> None:
        super().__init__(settings, keys, folder, clock)
        self._markets_of_bars = PermittedMarkets()
        self._markets_of_news = PermittedMarkets()

    def texts(self, asks: Sequence[Ask]) -> Iterator[TextAnswer | Failure]:
        """Ask for the company news of some tickers; see `pm.sources.texts.TextSource`.

        A market of which the key permits no news is asked for once.

        Raises
        ------
        SourceError
            There is no key.
        """
        return self._connected(asks, lambda some: answers(self.gate, some, self._news))

    def count_earlier(self, *, bars: int, texts: int, seconds: float) -> None:
        """Count what others have asked against the limits; see `pm.sources.texts.TextSource`."""
        self.gate.count_earlier(_REQUESTS_FOR_BARS * bars + texts, seconds)

    def _credentials(self, keys: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        return {"X-Finnhub-Token": keys[0]}, {}

    def _answer(self, ask: Ask) -> Answer:
        market = _market(ask)
        return self._markets_of_bars.ask(market, lambda: self._of_a_market(ask, market))

    def _news(self, ask: Ask) -> TextAnswer:
        first = ask.end if ask.start is None else ask.start
        asked: dict[str, str | int] = {"symbol": ask.symbol, "from": first.isoformat(), "to": ask.end.isoformat()}
        market = _market(ask)
        value = self._markets_of_news.ask(
            market, lambda: self._value("/company-news", asked, f"news of {market}", _OF_NEWS)
        )
        return read_news(value, ask, self.gate.clock.now(), self._secrets)

    def _of_a_market(self, ask: Ask, market: str) -> Answer:
        first = _BEGINNING if ask.start is None else ask.start
        seconds = {"from": _seconds(first), "to": _seconds(self._today + timedelta(days=1))}
        days = {"from": first.isoformat(), "to": self._today.isoformat()}
        parameters: dict[str, str | int] = {"symbol": ask.symbol, "resolution": "D", **seconds}
        bars = read_candles(self._value("/stock/candle", parameters, f"bars of {market}"), ask)
        listed = {"symbol": ask.symbol, **days}
        splits = read_splits(self._value("/stock/split", listed, f"splits of {market}"), ask)
        dividends = read_dividends(self._value("/stock/dividend", listed, f"dividends of {market}"), ask)
        kept = within(_as_traded(bars, splits), ask, self._today)
        refuse_if_gone(kept, ask)
        return Answer(ask, kept, actions_frame(ask, NAME, dividends, splits, adjusted=False))

    def _value(self, path: str, parameters: Mapping[str, str | int], what: str, hint: str = _OF_BARS) -> Any:  # noqa: ANN401 - any JSON value
        return self._asked(path, parameters, lambda reply: self._read(reply, what, hint))

    def _read(self, reply: Reply, what: str, hint: str) -> Any:  # noqa: ANN401 - any JSON value
        words = self._words(reply, "error")
        if reply.status == 403 or (reply.status == 401 and "access" in words.lower()):
            raise NotPermittedError(f"The key does not permit {what} (HTTP {reply.status}); {hint}.")
        if reply.status == 429:
            moment = retry_moment(reply, self.gate.clock.now())
            raise LimitedError(
                f"Finnhub asks to wait (HTTP 429). {words}".strip(), retry_after=moment or self._reset(reply)
            )
        raise_for_status(reply, now=self.gate.clock.now(), words=words)
        value = json_of(reply)
        if isinstance(value, dict) and "error" in value:
            raise InvalidReplyError(f"Finnhub sent an error: {said(value['error'], self._secrets)}.")
        return value

    def _reset(self, reply: Reply) -> datetime | None:
        """Return the time at which requests are allowed again, which a header has as seconds since 1970."""
        moment = number(reply.headers.get("x-ratelimit-reset"))
        now = self.gate.clock.now()
        if moment is None or not (0 < moment - now.replace(tzinfo=UTC).timestamp() < 86_400):
            return None
        return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)


def _market(ask: Ask) -> str:
    return exchange_suffix(ask.symbol) or "the United States"


def _seconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _as_traded(bars: pl.DataFrame, splits: Splits) -> pl.DataFrame:
    last = max((day for day, _ in splits), default=None)
    traded = undo_splits(bars, splits)
    if last is None:
        return traded
    return traded.with_columns(volume=pl.when(pl.col("date") < last).then(None).otherwise(pl.col("volume")))


def read_candles(value: Any, ask: Ask) -> pl.DataFrame:  # noqa: ANN401 - any JSON value
    """Return the bars of a reply, every one of it, adjusted for splits. It does not name its symbol.

    Raises
    ------
    VendorError
        It has not the form of candles.
    """
    if not isinstance(value, dict) or value.get("s") not in ("ok", "no_data"):
        raise InvalidReplyError("The reply has no candles.")
    empty: list[Any] = []
    times = empty if value["s"] == "no_data" else value.get("t")
    if not isinstance(times, list):
        raise InvalidReplyError("The candles have no times.")
    columns = {}
    for name, letter in _CELLS.items():
        cells = empty if value["s"] == "no_data" else value.get(letter)
        if not isinstance(cells, list) or len(cells) != len(times):
            raise InvalidReplyError(f"The candles have not as many cells of {name} as times.")
        columns[name] = numbers(cells)
    return bars_frame(ask, NAME, days_of(times, "UTC"), columns)


def read_splits(value: Any, ask: Ask) -> Splits:  # noqa: ANN401 - any JSON value
    """Return the splits of a reply.

    Raises
    ------
    VendorError
        It has not the form of a list of splits, or is of another symbol.
    """
    found = []
    for row in _rows(value, ask):
        new, old = number(row.get("toFactor")), number(row.get("fromFactor"))
        found.append(split_of(_day(row), new / old if new is not None and old else None))
    return sorted({split for split in found if split is not None})


def read_dividends(value: Any, ask: Ask) -> list[tuple[date, float]]:  # noqa: ANN401 - any JSON value
    """Return the dividends of a reply, as they were paid.

    Raises
    ------
    VendorError
        It has not the form of a list of dividends, or is of another symbol.
    """
    found = [dividend_of(_day(row), number(row.get("amount"))) for row in _rows(value, ask)]
    return [dividend for dividend in found if dividend is not None]


def _rows(value: Any, ask: Ask) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise InvalidReplyError("The reply is no list.")
    for row in value:
        symbol = row.get("symbol")
        if not isinstance(symbol, str) or symbol.casefold() != ask.symbol.casefold():
            raise OtherSymbolError(f"Finnhub was asked for {ask.symbol} and sent {text(symbol) or 'no symbol'}.")
    return list(value)


def _day(row: dict[str, Any]) -> date | None:
    day: date | None = dates_of([row.get("date")])[0]
    return day
