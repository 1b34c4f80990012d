"""Alpha Vantage: daily bars as traded, with 25 requests a day for a free key."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from pm.sources.base import Answer
from pm.sources.vendors.keyed import KeyedSource
from pm.sources.vendors.limits import Limits
from pm.sources.vendors.problems import (
    BudgetSpentError,
    CutReplyError,
    GoneError,
    InvalidReplyError,
    KeyRefusedError,
    LimitedError,
    NotPermittedError,
    OtherSymbolError,
)
from pm.sources.vendors.reply import Pairs, json_of, raise_for_status, said
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
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import polars as pl

    from pm.settings import Keys, RefreshSettings
    from pm.sources.base import Ask
    from pm.sources.vendors.limits import Clock
    from pm.sources.vendors.reply import Reply

__all__ = ["AlphaVantageSource", "raise_for_words", "read_csv", "read_dividends", "read_json", "read_splits"]

Result = TypeVar("Result")

NAME = "alpha_vantage"
_COMPACT = 100
"""Number of bars of a short reply."""
_REQUESTS = 3
"""Requests for a ticker: bars, splits, dividends."""
_SERIES = "Time Series (Daily)"
_CELLS = ("open", "high", "low", "close", "volume")


class AlphaVantageSource(KeyedSource):
    """Source of daily bars from Alpha Vantage: as traded, with dividends and splits by requests of their own.

    The last 100 bars come as JSON, which names its symbol; the whole history comes as CSV, a third as large.
    """

    name: ClassVar[str] = NAME
    key_names: ClassVar[tuple[str, ...]] = (NAME,)
    usual_url: ClassVar[str] = "https://www.alphavantage.co"
    limits: ClassVar[Limits] = Limits(per_second=1, per_day=25)

    def __init__(self, settings: RefreshSettings, keys: Keys, folder: Path, clock: Clock | None = None) -> None:
        super().__init__(settings, keys, folder, clock)
        self._one_at_a_time = Lock()

    def _credentials(self, keys: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        return {}, {"apikey": keys[0]}  # it takes no header

    def _answer(self, ask: Ask) -> Answer:
        with self._one_at_a_time:  # else several tickers would be begun with requests that suffice for one
            left = self.gate.budget.left()
            if left is not None and left < _REQUESTS:
                raise BudgetSpentError(
                    f"{left} of today's requests are left, and a ticker needs {_REQUESTS}.",
                    retry_after=self.gate.budget.tomorrow(),
                )
            bars = self._bars(ask)
            splits = read_splits(self._json("SPLITS", ask), ask)
            dividends = read_dividends(self._json("DIVIDENDS", ask), ask)
        kept = within(bars, ask, self._today)
        refuse_if_gone(kept, ask)
        return Answer(ask, kept, actions_frame(ask, NAME, dividends, splits, adjusted=False))

    def _bars(self, ask: Ask) -> pl.DataFrame:
        if ask.start is None or _weekdays(ask.start, self._today) > _COMPACT:
            return self._ask("TIME_SERIES_DAILY", ask, self._whole, outputsize="full", datatype="csv")
        return read_json(self._json("TIME_SERIES_DAILY", ask, outputsize="compact"), ask)

    def _json(self, function: str, ask: Ask, **parameters: str) -> Any:  # noqa: ANN401 - any JSON value
        return self._ask(function, ask, self._value, **parameters)

    def _whole(self, reply: Reply, ask: Ask) -> pl.DataFrame:
        if "json" in reply.type or reply.content.lstrip()[:1] == b"{":
            return read_json(self._value(reply, ask), ask)  # an error, though CSV was asked for
        return read_csv(reply, ask)

    def _value(self, reply: Reply, ask: Ask) -> Any:  # noqa: ANN401 - any JSON value
        value = json_of(reply)
        try:
            raise_for_words(value, ask, self._secrets)
        except BudgetSpentError as error:
            self.gate.budget.spend_all()
            raise BudgetSpentError(error.detail, retry_after=self.gate.budget.tomorrow()) from None
        return value

    def _ask(self, function: str, ask: Ask, read: Callable[[Reply, Ask], Result], **parameters: str) -> Result:
        def checked(reply: Reply) -> Result:
            words = self._words(reply, "Error Message", "Information")
            raise_for_status(reply, now=self.gate.clock.now(), words=words)
            return read(reply, ask)

        return self._asked("/query", {"function": function, "symbol": ask.symbol, **parameters}, checked)


def _weekdays(first: date, last: date) -> int:
    """Return the number of Mondays to Fridays, both days included: at least that of the sessions."""
    days = (last - first).days + 1
    whole, rest = divmod(max(days, 0), 7)
    return whole * 5 + sum((first + timedelta(days=day)).weekday() < 5 for day in range(rest))


def raise_for_words(value: Any, ask: Ask, secrets: tuple[str, ...]) -> None:  # noqa: ANN401 - any JSON value
    """Raise the error that Alpha Vantage tells in words, with HTTP status 200.

    Raises
    ------
    VendorError
        The reply has a key `Error Message`, `Information` or `Note` and no bars.
    """
    if not isinstance(value, dict) or _SERIES in value or "data" in value:
        return
    for name in ("Error Message", "Information", "Note"):
        if name in value:
            _raise(said(value[name], secrets) or name, ask)


def _raise(words: str, ask: Ask) -> NoReturn:
    told = words.rstrip(".")
    lower = words.lower()
    if "apikey is invalid" in lower or "api key is invalid" in lower or "apikey is missing" in lower:
        raise KeyRefusedError(f"Alpha Vantage refuses the key: {told}.")
    if "invalid api call" in lower:
        raise GoneError(f"Alpha Vantage does not know {ask.symbol}: {told}.")
    if "sparingly" in lower or "spreading out" in lower or "per minute" in lower or "call frequency" in lower:
        raise LimitedError(f"Alpha Vantage asks to wait: {told}.")
    if "rate limit" in lower or "per day" in lower:
        raise BudgetSpentError(f"Alpha Vantage says that today's requests are spent: {told}.")
    if "premium" in lower:
        raise NotPermittedError(f"The key does not permit it: {told}.")
    raise InvalidReplyError(f"Alpha Vantage sent words and no bars: {told}.")


def read_json(value: Any, ask: Ask) -> pl.DataFrame:  # noqa: ANN401 - any JSON value
    """Return the bars of a reply in JSON, every row of it.

    Raises
    ------
    VendorError
        It has not the form of a series, or is of another symbol.
    """
    if not isinstance(value, dict) or not isinstance(value.get("Meta Data"), dict):
        raise InvalidReplyError("The reply has no Meta Data.")
    symbol = value["Meta Data"].get("2. Symbol")
    if not isinstance(symbol, str) or symbol.casefold() != ask.symbol.casefold():
        raise OtherSymbolError(f"Alpha Vantage was asked for {ask.symbol} and sent {text(symbol) or 'no symbol'}.")
    series = value.get(_SERIES)
    if not isinstance(series, dict):
        raise InvalidReplyError(f"The reply has no {_SERIES}.")
    rows = series.pairs if isinstance(series, Pairs) else list(series.items())
    if not all(isinstance(row, dict) for _, row in rows):
        raise InvalidReplyError("A row of the reply is no mapping.")
    columns = {
        name: numbers([row.get(f"{place}. {name}") for _, row in rows]) for place, name in enumerate(_CELLS, start=1)
    }
    return bars_frame(ask, NAME, dates_of([day for day, _ in rows]), columns)


def read_csv(reply: Reply, ask: Ask) -> pl.DataFrame:
    """Return the bars of a reply in CSV, every line of it. It does not name its symbol.

    Raises
    ------
    VendorError
        It is no CSV, or cut off.
    """
    if "html" in reply.type:
        raise CutReplyError(f"The reply is {reply.type[:60]} and not CSV.")
    try:
        written = reply.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidReplyError("The reply is no text in UTF-8.") from None
    if not written.endswith("\n"):
        raise CutReplyError("The reply is empty." if not written.strip() else "The reply is cut off.")
    try:
        lines = [line for line in csv.reader(io.StringIO(written, newline="")) if line]
    except csv.Error:
        raise InvalidReplyError("The reply is no CSV.") from None
    header = [name.strip().lower() for name in lines[0]] if lines else []
    if not {"timestamp", *_CELLS} <= set(header):
        raise InvalidReplyError("The reply has not the columns of daily bars.")

    def column(name: str) -> list[str | None]:
        place = header.index(name)
        return [line[place] if place < len(line) else None for line in lines[1:]]

    return bars_frame(ask, NAME, dates_of(column("timestamp")), {name: numbers(column(name)) for name in _CELLS})


def read_splits(value: Any, ask: Ask) -> Splits:  # noqa: ANN401 - any JSON value
    """Return the splits of a reply.

    Raises
    ------
    VendorError
        It has not the form of a list of splits, or is of another symbol.
    """
    found = [split_of(_day(row, "effective_date"), number(row.get("split_factor"))) for row in _data(value, ask)]
    return sorted({split for split in found if split is not None})


def read_dividends(value: Any, ask: Ask) -> list[tuple[date, float]]:  # noqa: ANN401 - any JSON value
    """Return the dividends of a reply.

    Raises
    ------
    VendorError
        It has not the form of a list of dividends, or is of another symbol.
    """
    found = [dividend_of(_day(row, "ex_dividend_date"), number(row.get("amount"))) for row in _data(value, ask)]
    return [dividend for dividend in found if dividend is not None]


def _data(value: Any, ask: Ask) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON value
    if value == {}:  # what it sends of a fund that never had any
        return []
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise InvalidReplyError("The reply has no data.")
    symbol = value.get("symbol")
    if not isinstance(symbol, str) or symbol.casefold() != ask.symbol.casefold():
        raise OtherSymbolError(f"Alpha Vantage was asked for {ask.symbol} and sent {text(symbol) or 'no symbol'}.")
    if not all(isinstance(row, dict) for row in value["data"]):
        raise InvalidReplyError("A row of the reply is no mapping.")
    return list(value["data"])


def _day(row: dict[str, Any], name: str) -> date | None:
    day: date | None = dates_of([row.get(name)])[0]
    return day
