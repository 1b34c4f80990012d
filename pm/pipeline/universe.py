"""Which tickers a run is about, and which day it takes for today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError, SourceError, UnknownTickerError
from pm.tables.quality import BARS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pm.lake import Lake
    from pm.pipeline.stage import Context, Request

__all__ = ["OF_SOURCE", "Universe", "asked_for", "last_date", "log_returns", "newest_bars", "universe"]

OF_SOURCE = "batch_id IN (SELECT batch_id FROM raw.batches WHERE origin = ?)"
"""Of a table's rows, those that a source landed; `?` is its name."""


@dataclass(frozen=True)
class Universe:
    """Tickers and the day taken for today."""

    tickers: tuple[str, ...]
    as_of: date


def last_date(lake: Lake, request: Request) -> date | None:
    """Give the day a request takes for today: the one it names, else that of its source's last bar."""
    if request.as_of is not None:
        return request.as_of
    origin = request.source.replace("'", "''")
    found: date | None = lake.scalar(
        f"SELECT max(date) FROM bars WHERE batch_id IN (SELECT batch_id FROM raw.batches WHERE origin = '{origin}')"  # noqa: S608 - quoted
    )
    return found


def universe(context: Context) -> Universe:
    """Give the tickers of a run that have a bar on or before its day.

    Raises
    ------
    SourceError
        The source has landed no usable bars.
    UnknownTickerError
        A ticker was asked for that the source has no bars of.
    InputError
        The day lies before the first bar.
    """
    lake, request = context.lake, context.request
    spans: pl.DataFrame = lake.query(
        f"SELECT ticker, min(date) AS first FROM bars WHERE {OF_SOURCE} GROUP BY ticker ORDER BY ticker",  # noqa: S608 - a constant
        [request.source],
    )
    if spans.is_empty():
        raise SourceError(
            f"There are no usable bars from {request.source!r}.",
            where="table bars",
            hint="import some: pm import PATH; or see what was refused: pm quarantine",
        )
    if request.tickers is not None:
        known = set(spans["ticker"])
        missing = set(request.tickers) - known
        if missing:
            raise UnknownTickerError.from_missing(missing, known, where=f"bars from {request.source!r}")
        spans = spans.filter(spans["ticker"].is_in(list(request.tickers)))
    as_of = last_date(lake, request)
    assert as_of is not None  # noqa: S101 - there are bars
    alive = spans.filter(spans["first"] <= as_of)
    if alive.is_empty():
        raise InputError(
            f"--as-of {as_of} lies before the first bar, of {min(spans['first'])}.",
            where=f"bars from {request.source!r}",
            hint="choose a later day",
        )
    return Universe(tuple(alive["ticker"]), as_of)


def asked_for(context: Context) -> list[object]:
    """Give the parts of a request on which derived numbers depend."""
    request = context.request
    return [request.source, request.tickers, request.as_of]


def newest_bars(context: Context, tickers: Sequence[str], as_of: date, count: int) -> pl.DataFrame:
    """Give each ticker's newest bars up to a day: ticker, date, close, adj_factor, by ticker and date."""
    bars = context.lake.read(
        BARS,
        "date <= ?",
        [as_of],
        among={"ticker": tickers},
        columns=("ticker", "date", "close", "adj_factor"),
        at=context.snapshot,
    )
    return bars.group_by("ticker", maintain_order=True).tail(count)


def log_returns(prices: pl.DataFrame) -> pl.DataFrame:
    """Give the adjusted log returns of bars in order: ticker, date, log_return; a ticker's first bar has none."""
    level = (pl.col("close") * pl.col("adj_factor")).log()
    return prices.select("ticker", "date", log_return=level.diff().over("ticker")).drop_nulls("log_return")
