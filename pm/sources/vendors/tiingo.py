"""Tiingo: daily bars as traded, with dividends and splits beside them, since 1962."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from pm.sources.base import Answer
from pm.sources.vendors.keyed import KeyedSource
from pm.sources.vendors.limits import Limits
from pm.sources.vendors.problems import BudgetSpentError, InvalidReplyError, LimitedError, OtherSymbolError
from pm.sources.vendors.reply import json_of, raise_for_status, retry_moment
from pm.sources.vendors.rows import (
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
    from collections.abc import Mapping, Sequence
    from datetime import date

    from pm.sources.base import Ask
    from pm.sources.vendors.reply import Reply

__all__ = ["TiingoSource", "read_meta", "read_prices"]

NAME = "tiingo"
_CELLS = ("open", "high", "low", "close", "volume")
_BEGINNING = "1900-01-01"


class TiingoSource(KeyedSource):
    """Source of daily bars from Tiingo. A new ticker takes two requests: one for its name and exchange."""

    name: ClassVar[str] = NAME
    key_names: ClassVar[tuple[str, ...]] = (NAME,)
    usual_url: ClassVar[str] = "https://api.tiingo.com"
    limits: ClassVar[Limits] = Limits(per_hour=50, per_day=1_000)

    def _credentials(self, keys: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        return {"Authorization": f"Token {keys[0]}"}, {}

    def _answer(self, ask: Ask) -> Answer:
        path = f"/tiingo/daily/{quote(ask.symbol.lower(), safe='')}"
        name, exchange = read_meta(self._value(path, {}), ask) if ask.start is None else (None, None)
        start = _BEGINNING if ask.start is None else ask.start.isoformat()
        period: dict[str, str | int] = {"startDate": start, "endDate": ask.end.isoformat(), "format": "json"}
        answer = read_prices(self._value(f"{path}/prices", period), ask, self._today)
        return Answer(ask, answer.bars, answer.actions, exchange=exchange, name=name)

    def _value(self, path: str, parameters: Mapping[str, str | int]) -> Any:  # noqa: ANN401 - any JSON value
        return self._asked(path, parameters, self._read)

    def _read(self, reply: Reply) -> Any:  # noqa: ANN401 - any JSON value
        words = self._words(reply, "detail")
        if reply.status == 429:
            raise self._limited(words, retry_moment(reply, self.gate.clock.now()))
        raise_for_status(reply, now=self.gate.clock.now(), words=words)
        return json_of(reply)

    def _limited(self, words: str, moment: datetime | None) -> LimitedError:
        """Return the error of a limit, which Tiingo tells in words: that of an hour, of a day or of a month."""
        told = f"Tiingo asks to wait (HTTP 429): {words.rstrip('.') or 'without words'}."
        if moment is not None:
            return LimitedError(told, retry_after=moment)
        if "hour" in words.lower():
            now = self.gate.clock.now()
            full_hour = datetime(now.year, now.month, now.day, now.hour) + timedelta(hours=1)  # noqa: DTZ001 - UTC, without a zone
            return BudgetSpentError(told, retry_after=full_hour)
        if "day" in words.lower() or "dai" in words.lower() or "month" in words.lower():
            self.gate.budget.spend_all()
            return BudgetSpentError(told, retry_after=self.gate.budget.tomorrow())
        return LimitedError(told)


def read_meta(value: Any, ask: Ask) -> tuple[str | None, str | None]:  # noqa: ANN401 - any JSON value
    """Return the name and the exchange of a ticker.

    Raises
    ------
    VendorError
        It has not the form of facts about a ticker, or is of another symbol.
    """
    if not isinstance(value, dict):
        raise InvalidReplyError("The reply has no facts about the ticker.")
    symbol = value.get("ticker")
    if not isinstance(symbol, str) or symbol.casefold() != ask.symbol.casefold():
        raise OtherSymbolError(f"Tiingo was asked for {ask.symbol} and sent {text(symbol) or 'no symbol'}.")
    return text(value.get("name")), text(value.get("exchangeCode"))


def read_prices(value: Any, ask: Ask, today: date) -> Answer:  # noqa: ANN401 - any JSON value
    """Return the bars, dividends and splits of a reply, every row of it. It does not name its symbol.

    Raises
    ------
    VendorError
        It has not the form of a list of prices, or no rows.
    """
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise InvalidReplyError("The reply is no list of prices.")
    days = dates_of([row.get("date") for row in value])
    splits, dividends = [], []
    for day, row in zip(days, value, strict=True):
        # A row without either is one of a day without either.
        if (ratio := number(row.get("splitFactor"))) is not None and ratio != 1:
            splits.append(split_of(day, ratio))
        if (amount := number(row.get("divCash"))) is not None and amount != 0:
            dividends.append(dividend_of(day, amount))
    bars = bars_frame(ask, NAME, days, {name: numbers([row.get(name) for row in value]) for name in _CELLS})
    kept = within(bars, ask, today)
    refuse_if_gone(kept, ask)
    told = [dividend for dividend in dividends if dividend is not None]
    unique = sorted({split for split in splits if split is not None})
    return Answer(ask, kept, actions_frame(ask, NAME, set(told), unique, adjusted=False))
