"""Stage `universe`: change the watch list."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_now
from pm.errors import UnknownTickerError
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import TICKERS_OF_BARS
from pm.pipeline.writes import Delete, Merge, Result
from pm.plural import plural
from pm.tables.quality import BARS
from pm.tables.sources import RAW_BATCHES, UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["adding", "removing"]


def adding(tickers: Sequence[str], source: str | None) -> Stage:
    """Return the stage that adds tickers to the watch list.

    Parameters
    ----------
    tickers
        Tickers to add; one that is already there gets the source named.
    source
        Source that their bars come from; None for the one that their bars in the lake come from.
    """
    compute = partial(_add, tickers=tuple(tickers), source=source)
    return Stage("universe", compute, reads=(BARS, RAW_BATCHES), writes=(UNIVERSE,), depends=lambda _: None)


def removing(tickers: Sequence[str]) -> Stage:
    """Return the stage that removes tickers from the watch list; their bars stay in the lake."""
    return Stage("universe", partial(_remove, tickers=tuple(tickers)), writes=(UNIVERSE,), depends=lambda _: None)


def _add(context: Context, *, tickers: Sequence[str], source: str | None) -> Result:
    from pm.sources import source as find_source
    from pm.sources.names import FILES

    if source is not None and source != FILES:
        find_source(source)  # refuses an unknown name
    listed = {row["ticker"]: row["source"] for row in context.rows("SELECT ticker, source FROM universe")}
    known = {row["ticker"]: row["source"] for row in context.rows(TICKERS_OF_BARS)} | listed
    missing = [ticker for ticker in tickers if ticker not in known]
    if source is None and missing:
        raise UnknownTickerError.from_missing(
            missing,
            known,
            where="table bars",
            hint="import bars of it (pm import PATH), or name the source to fetch them from: --source sample",
        )
    rows = [
        {
            "ticker": ticker,
            "source": source or known[ticker],
            "added_at": utc_now(),
            "run_id": context.run_id,
        }
        for ticker in tickers
        if listed.get(ticker) != (source or known[ticker])
    ]
    if not rows:
        return Result([], "already on the watch list")
    return Result(
        [Merge(UNIVERSE, pl.DataFrame(rows, schema=UNIVERSE.polars_schema))], f"{plural(len(rows), 'ticker')} added"
    )


def _remove(context: Context, *, tickers: Sequence[str]) -> Result:
    watched = [row["ticker"] for row in context.rows("SELECT ticker FROM universe")]
    missing = set(tickers) - set(watched)
    if missing:
        hint = (
            None if watched else "the watch list is empty, so that there is nothing to remove; see `pm universe list`"
        )
        raise UnknownTickerError.from_missing(missing, watched, where="the watch list", hint=hint)
    return Result(
        [Delete(UNIVERSE, "list_contains(?, ticker)", [list(tickers)])], f"{plural(len(tickers), 'ticker')} removed"
    )
