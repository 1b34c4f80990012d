"""The watch list: which tickers a run is about, where their bars come from, and which day the run takes for today.

A ticker's bars come from one source, which the stage `check` chooses, and its sessions are those of one exchange. Every
stage that reads table `bars` finds both here.

The watch list is table `universe`. While it is empty, it is all tickers of imported files or, where nothing was
imported, all that have bars; these are the embedded sample's until a vendor has sent some. A request can restrict it to
a source or to some tickers, and a ticker that a request names need not be on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from pm.errors import InputError, SourceError, UnknownTickerError
from pm.settings.refresh import VENDOR_NAMES
from pm.sources.names import FILES, SAMPLE
from pm.sources.symbols import exchange_code
from pm.tables.quality import BARS
from pm.tables.sources import FOLDERS, RAW_BATCHES, UNIVERSE

if TYPE_CHECKING:
    import polars as pl

    from pm.pipeline.request import Request
    from pm.pipeline.stage import Context
    from pm.settings import Settings

__all__ = [
    "TICKERS_OF_BARS",
    "WATCH_LIST_TABLES",
    "Rows",
    "WatchList",
    "judged_bars",
    "newest_bars",
    "run_day",
    "run_tickers",
    "scope",
    "watch_list",
    "watched_sources",
]

WATCH_LIST_TABLES = (BARS, RAW_BATCHES, UNIVERSE, FOLDERS)
"""Tables that decide what a run is about: a stage that asks for the watch list declares that it reads them."""

Rows = Callable[[str, Sequence[object]], list[dict[str, Any]]]
"""A function that returns the rows of a query, as `Context.known_rows` and `Lake.known_rows` do."""

TICKERS_OF_BARS = """
SELECT b.ticker, arg_max(a.origin, b.date) AS source, min(b.date) AS first_date, max(b.date) AS last_date
FROM bars b JOIN raw.batches a USING (batch_id)
GROUP BY b.ticker
"""
"""Query for each ticker that has bars: the source that they come from, and the dates of the first and the last."""

_OF_REQUEST = f"""
(CASE WHEN EXISTS (FROM universe) THEN ticker IN (
          -- The sample never takes the place of bars that another source has still to send.
          SELECT ticker FROM universe AS u WHERE held.source <> '{SAMPLE}' OR u.source = '{SAMPLE}'
      )
      WHEN ? IS NOT NULL THEN true
      ELSE source = coalesce((SELECT any_value(origin) FROM raw.batches WHERE origin = ?), source)
 END AND (? IS NULL OR source = ?))
OR list_contains(?, ticker)
"""  # noqa: S608 - a constant
"""Condition on the tickers with bars, of a relation `held`, that a run is about."""

_MEMBERS = f"""
SELECT ticker, source, first_date, last_date FROM ({TICKERS_OF_BARS}) AS held WHERE {_OF_REQUEST} ORDER BY ticker
"""  # noqa: S608 - a constant

_HAS_FILES = """
SELECT 1 AS found WHERE EXISTS (FROM raw.batches WHERE origin = ?) OR EXISTS (FROM folders)
"""

_VENDORS = "SELECT DISTINCT origin FROM raw.batches WHERE list_contains(?, origin) ORDER BY origin"

_EXCHANGES = "SELECT ticker, exchange FROM universe WHERE exchange IS NOT NULL"

_NEWEST = "SELECT max(date) AS day FROM bars"

_LAST_DATE = f"""
SELECT max(last_date) AS day
FROM (
    SELECT b.ticker, arg_max(a.origin, b.date) AS source, max(b.date) AS last_date
    FROM bars b JOIN raw.batches a USING (batch_id)
    WHERE b.date >= ?
    GROUP BY b.ticker
) AS held
WHERE {_OF_REQUEST}
"""  # noqa: S608 - a constant
"""Query for the day of the newest bar that a run is about, if it is not before a day."""

_RECENT = timedelta(days=30)
"""Time before the newest bar of all within which those of the run are looked for first."""


@dataclass(frozen=True)
class WatchList:
    """The tickers of a run, and the day that it takes for today.

    Attributes
    ----------
    tickers
        Tickers with a bar on or before the day, sorted.
    sources, exchanges
        For each ticker, the source of its bars, and the code of its exchange, None where it is not known.
    as_of
        The day.
    """

    tickers: tuple[str, ...]
    sources: dict[str, str]
    exchanges: dict[str, str | None]
    as_of: date


def watch_list(context: Context) -> WatchList:
    """Return the tickers that a run is about and that have a bar on or before its day.

    Raises
    ------
    SourceError
        There are no usable bars.
    UnknownTickerError
        The request names a ticker without bars.
    InputError
        The day is before the first bar.
    """
    request = context.request
    members = _members(context.known_rows, request)
    described = "the watch list" if request.source is None else f"bars from {request.source!r}"
    if not members:
        raise SourceError(
            f"There are no usable bars{'' if request.source is None else f' from {request.source!r}'}.",
            where="table bars",
            hint="import some: pm import PATH; or see what was refused (pm quarantine) and watched (pm universe list)",
        )
    if request.tickers is not None:
        by_ticker = {row["ticker"]: row for row in members if request.source in {None, row["source"]}}
        missing = set(request.tickers) - by_ticker.keys()
        if missing:
            if request.source is None:
                raise UnknownTickerError.from_missing(missing, _every_ticker(context), where="table bars")
            raise UnknownTickerError.from_missing(missing, by_ticker, where=described)
        members = [by_ticker[ticker] for ticker in request.tickers]
    if request.as_of is None and request.tickers is None:
        as_of = max(row["last_date"] for row in members)  # what `run_day` would find, and it need not look again
    else:
        as_of = run_day(context.known_rows, request)
        assert as_of is not None  # noqa: S101 - there are bars
    begun = [row for row in members if row["first_date"] <= as_of]
    if not begun:
        first = min(row["first_date"] for row in members)
        raise InputError(
            f"--as-of {as_of} is before the first bar, {first}.", where="--as-of", hint="choose a later day"
        )
    exchange_of = context.settings.sources.exchanges.exchange_of
    told = {row["ticker"]: exchange_code(row["exchange"]) for row in context.known_rows(_EXCHANGES, ())}
    return WatchList(
        tickers=tuple(row["ticker"] for row in begun),
        sources={row["ticker"]: row["source"] for row in begun},
        exchanges={
            row["ticker"]: exchange_of(row["ticker"], row["source"]) or told.get(row["ticker"]) for row in begun
        },
        as_of=as_of,
    )


def run_day(rows: Rows, request: Request) -> date | None:
    """Return the day that a run takes for today: the one asked for, else that of the newest bar on the watch list.

    Parameters
    ----------
    rows
        Returns the rows of a query.
    request
        What the run is asked to do. Its tickers do not matter: restricting a run to one ticker does not move its day.
    """
    if request.as_of is not None:
        return request.as_of
    newest: date | None = rows(_NEWEST, ())[0]["day"]
    if newest is None:
        return None
    named = [None] if request.tickers is None else [None, request.tickers]
    for tickers in named:
        for since in (newest - _RECENT, date.min):
            day: date | None = rows(_LAST_DATE, [since, *_parameters(request, tickers)])[0]["day"]
            if day is not None:
                return day
    return None


def run_tickers(rows: Rows, request: Request) -> set[str]:
    """Return the tickers that a run is about, those without bars left out.

    Parameters
    ----------
    rows
        Returns the rows of a query.
    request
        What the run is asked to do. Its day does not matter.
    """
    if request.tickers is not None:
        return set(request.tickers)
    return {row["ticker"] for row in _members(rows, request)}


def watched_sources(rows: Rows, request: Request) -> list[str]:
    """Return the sources that the tickers of a run come from."""
    if request.source is not None:
        return [request.source]
    named = [row["source"] for row in rows("SELECT DISTINCT source FROM universe ORDER BY source", ())]
    if named:
        return named
    if rows(_HAS_FILES, [FILES]):
        return [FILES]
    return [row["origin"] for row in rows(_VENDORS, [list(VENDOR_NAMES)])] or [SAMPLE]


def scope(context: Context) -> list[object]:
    """Return the parts of the request on which derived numbers depend."""
    request = context.request
    return [request.source, request.tickers, request.as_of, *([request.former] if request.former else [])]


def newest_bars(
    context: Context, tickers: Sequence[str], as_of: date, count: int, *, prices: Sequence[str] = ("close",)
) -> pl.DataFrame:
    """Return each ticker's newest bars up to a day: ticker, date, the prices named, adj_factor, by ticker and date."""
    bars = context.read(
        BARS,
        "date <= ?",
        [as_of],
        among={"ticker": tickers},
        columns=("ticker", "date", *prices, "adj_factor"),
    )
    return bars.group_by("ticker", maintain_order=True).tail(count)


def judged_bars(settings: Settings) -> int:
    """Return the number of newest bars that volatility and forecast both read: as many as either of them needs.

    They find changes of units among the same bars, so that both leave out the same returns.
    """
    return max(settings.forecast.window, max(settings.volatility.windows) + 1)


def _every_ticker(context: Context) -> list[str]:
    """Return the tickers that have bars, on the watch list or not."""
    return [row["ticker"] for row in context.rows("SELECT DISTINCT ticker FROM bars", ())]


def _members(rows: Rows, request: Request) -> list[dict[str, Any]]:
    if request.tickers is not None or not request.former:
        return rows(_MEMBERS, _parameters(request, request.tickers))
    found = rows(_MEMBERS, _parameters(request, request.former))
    return [row for row in found if row["ticker"] not in request.former or request.source in {None, row["source"]}]


def _parameters(request: Request, tickers: Sequence[str] | None = None) -> list[object]:
    """Return the values of the `?` of `_OF_REQUEST`."""
    source = request.source
    return [source, FILES, source, source, None if tickers is None else list(tickers)]
