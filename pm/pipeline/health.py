"""How fresh the bars of each ticker are, counted in sessions of its exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_now
from pm.pipeline.due import newest_closed
from pm.sessions import closes_between
from pm.sources.symbols import exchange_code

if TYPE_CHECKING:
    from datetime import date

    from pm.lake import Lake
    from pm.settings import Settings

__all__ = ["data_health"]


def data_health(lake: Lake, settings: Settings) -> pl.DataFrame:
    """Return view data_health by ticker, with `lag`, in sessions of each ticker's exchange, for `weekdays_behind`.

    The lag is the number of sessions after a ticker's last bar that have been closed for `refresh.delay_minutes`: that
    of a ticker that has all bars is 0. Where the exchange is not known, every weekday is a session.
    """
    found = lake.select("data_health", order=("ticker",))
    told = {row["ticker"]: exchange_code(row["exchange"]) for row in lake.rows("SELECT ticker, exchange FROM universe")}
    exchange_of = settings.sources.exchanges.exchange_of
    now, delay = utc_now(), settings.refresh.delay_minutes
    newest: dict[str | None, date] = {}
    lags: dict[tuple[str | None, date], int] = {}
    column: list[int | None] = []
    for ticker, source, last in found.select("ticker", "source", "last_date").iter_rows():
        if last is None:
            column.append(None)
            continue
        exchange = exchange_of(ticker, source) or told.get(ticker)
        if exchange not in newest:
            newest[exchange] = newest_closed(exchange, now, delay)
        if (exchange, last) not in lags:
            sessions = closes_between(exchange, last, newest[exchange])
            lags[exchange, last] = sum(day > last for day, _ in sessions)
        column.append(lags[exchange, last])
    place = found.get_column_index("weekdays_behind")
    return found.drop("weekdays_behind").insert_column(place, pl.Series("lag", column, dtype=pl.Int64))
