"""The sessions that are expected after the last bar of each ticker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.sessions import next_sessions
from pm.tables.quality import BARS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from pm.markets import Market
    from pm.pipeline.stage import Context
    from pm.pipeline.watch_list import WatchList

__all__ = ["learnt_markets", "sessions_ahead"]


def learnt_markets(context: Context, watched: WatchList) -> dict[str, Market]:
    """Return the market of each ticker whose exchange is not known, learnt from the bars up to the day of the run."""
    from pm.markets import learn_markets

    unknown = [ticker for ticker in watched.tickers if watched.exchanges[ticker] is None]
    if not unknown:
        return {}
    days = context.read(BARS, "date <= ?", [watched.as_of], among={"ticker": unknown}, columns=("ticker", "date"))
    return learn_markets(days)


def sessions_ahead(
    prices: pl.DataFrame, exchanges: Mapping[str, str | None], markets: Mapping[str, Market], horizon: int
) -> pl.DataFrame:
    """Return the sessions after each ticker's last bar: ticker, step, target_date.

    Parameters
    ----------
    prices
        Columns ticker, date.
    exchanges
        For each ticker, the code of its exchange; None where it is not known.
    markets
        The market of each ticker whose exchange is not known.
    horizon
        Number of sessions.
    """
    known: dict[tuple[object, date], list[date]] = {}
    rows: list[tuple[str, int, date]] = []
    for ticker, last in prices.group_by("ticker", maintain_order=True).agg(pl.col("date").max()).iter_rows():
        exchange, market = exchanges[ticker], markets.get(ticker)
        key = (exchange or id(market), last)
        if key not in known:
            known[key] = (
                market.sessions_after(last, horizon)
                if exchange is None and market is not None
                else next_sessions(last, horizon, exchange=exchange)
            )
        rows += [(ticker, step, day) for step, day in enumerate(known[key], start=1)]
    return pl.DataFrame(rows, schema={"ticker": pl.String, "step": pl.Int64, "target_date": pl.Date}, orient="row")
