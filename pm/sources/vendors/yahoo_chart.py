"""Read a chart of Yahoo: bars that are adjusted for splits, and dividends, splits and facts about the ticker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl

from pm.sources.base import BARS_SCHEMA, Answer, no_actions
from pm.sources.vendors.problems import GoneError, InvalidReplyError, NoBarsError, OtherSymbolError, RefusedError
from pm.sources.vendors.reply import said
from pm.sources.vendors.rows import (
    Splits,
    actions_frame,
    bars_frame,
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
    from datetime import date

    from pm.sources.base import Ask

__all__ = ["NAME", "no_bars", "raise_for_error", "read_chart"]

NAME = "yahoo"
_CELLS = ("open", "high", "low", "close", "volume")
_TOLD_APART = 2.0**15
"""Price below which numbers of 32 bits are less than half a hundredth apart."""
_DIVIDENDS = ("dividends", "capitalGains")
"""Events that pay money to who holds a share the day before."""


def read_chart(value: Any, ask: Ask, today: date) -> Answer:  # noqa: ANN401 - any JSON value
    """Return the answer that a chart holds, with prices, volume and dividends as traded.

    The chart must reach to today, since it is adjusted for every split until then.

    Parameters
    ----------
    value
        JSON value of the reply.
    today
        Present day in UTC.

    Raises
    ------
    VendorError
        The chart is of another symbol, has no bars, or has not the form of a chart. No row is left out otherwise.
    """
    chart = _mapping(_mapping(value, "the reply").get("chart"), "chart")
    if chart.get("error"):
        raise_for_error(value, ask.symbol)
    results = chart.get("result")
    if not isinstance(results, list) or not results:
        raise GoneError(f"Yahoo has no chart of {ask.symbol}.")
    result = _mapping(results[0], "result")
    meta = _mapping(result.get("meta"), "meta")
    symbol = meta.get("symbol")
    if not isinstance(symbol, str) or symbol.casefold() != ask.symbol.casefold():
        raise OtherSymbolError(f"Yahoo was asked for {ask.symbol} and sent {text(symbol) or 'no symbol'}.")
    zone = _zone(meta)
    splits, dividends = _events(result.get("events"), zone)
    bars = within(undo_splits(_bars(result, ask, zone), splits), ask, today)
    refuse_if_gone(bars, ask)
    return Answer(
        ask,
        bars,
        actions_frame(ask, NAME, dividends, splits, adjusted=True),
        currency=text(meta.get("currency")),
        exchange=text(meta.get("exchangeName")) or text(meta.get("fullExchangeName")),
        name=text(meta.get("longName")) or text(meta.get("shortName")),
    )


def raise_for_error(value: Any, symbol: str) -> NoReturn:  # noqa: ANN401 - any JSON value
    """Raise the error that a reply tells in words.

    Raises
    ------
    VendorError
        GoneError for a symbol that Yahoo does not know, NoBarsError for days of which it has no bars.
    """
    error = _mapping(_mapping(value, "the reply").get("chart"), "chart").get("error")
    words = error if isinstance(error, dict) else {}
    told = said(words.get("description"), ()).rstrip(".") or "without words"
    if "Data doesn't exist" in told:
        raise NoBarsError(f"Yahoo has no bars of {symbol}: {told}.")
    if words.get("code") == "Not Found" or "delisted" in told:
        raise GoneError(f"Yahoo does not know {symbol}: {told}.")
    raise RefusedError(f"Yahoo sent an error for {symbol}: {told}.")


def no_bars(ask: Ask) -> Answer:
    """Return the answer without bars for days without a session.

    Raises
    ------
    GoneError
        There must have been a session.
    """
    refuse_if_gone(BARS_SCHEMA.to_frame(), ask)
    return Answer(ask, BARS_SCHEMA.to_frame(), no_actions())


def _bars(result: dict[str, Any], ask: Ask, zone: str) -> pl.DataFrame:
    times = result.get("timestamp")
    times = [] if times is None else _list(times, "timestamp")
    quotes = _list(_mapping(result.get("indicators"), "indicators").get("quote"), "quote")
    quote = _mapping(quotes[0] if quotes else {}, "quote")
    cells = {}
    for name in _CELLS:
        column = quote.get(name)
        cells[name] = numbers([None] * len(times) if column is None else _list(column, name))
        if len(cells[name]) != len(times):
            raise InvalidReplyError(f"The chart has {len(times):,} times and {len(cells[name]):,} cells of {name}.")
    prices = {name: _decimal(column) for name, column in cells.items() if name != "volume"}
    return bars_frame(ask, NAME, days_of(times, zone), {**prices, "volume": cells["volume"]})


def _decimal(column: pl.Series) -> pl.Series:
    """Return prices as they were before Yahoo kept them in 32 bits: 100.37 comes as 100.37000274658203.

    A number that 32 bits hold exactly becomes the shortest decimal number that is nearest to it. Others are left, and
    so are those so large that 32 bits do not tell hundredths apart.
    """
    short = column.cast(pl.Float32, strict=False)
    is_short = (short.cast(pl.Float64) == column) & (column.abs() < _TOLD_APART)
    return pl.select(
        pl.when(is_short).then(short.cast(pl.String).cast(pl.Float64, strict=False)).otherwise(column)
    ).to_series()


def _events(events: object, zone: str) -> tuple[Splits, list[tuple[date, float]]]:
    if events is None:
        return [], []
    found = _mapping(events, "events")
    splits: dict[tuple[date, float], None] = {}
    for event in _entries(found.get("splits")):
        upper, lower = number(event.get("numerator")), number(event.get("denominator"))
        split = split_of(_day(event, zone), upper / lower if upper is not None and lower else None)
        if split is not None:
            splits[split] = None  # one that is there twice is one
    dividends = [
        dividend_of(_day(event, zone), number(event.get("amount")))
        for kind in _DIVIDENDS
        for event in _entries(found.get(kind))
    ]
    return sorted(splits), [dividend for dividend in dividends if dividend is not None]


def _entries(events: object) -> list[dict[str, Any]]:
    if events is None:
        return []
    return [_mapping(event, "event") for event in _mapping(events, "events").values()]


def _day(event: dict[str, Any], zone: str) -> date | None:
    day: date | None = days_of([event.get("date")], zone)[0]
    return day


def _zone(meta: dict[str, Any]) -> str:
    zone = meta.get("exchangeTimezoneName")
    if isinstance(zone, str):
        try:
            pl.Series([0], dtype=pl.Int64).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(zone)
        except pl.exceptions.PolarsError:
            pass
        else:
            return zone
    raise InvalidReplyError(f"The chart's time zone is unknown: {text(zone) or 'none'}.")


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidReplyError(f"The reply is no chart: {what} is no mapping.")
    return value


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidReplyError(f"The reply is no chart: {what} is no list.")
    return value
