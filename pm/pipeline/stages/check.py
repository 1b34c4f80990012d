"""Stage `check`: from raw bars to clean ones, every row accounted for.

`bars` is a function of the raw tables, the watch list's sources, the rules and their settings. New batches are checked
as they arrive. A ticker is checked again, with all that ever landed of it, when its bars are to come from another
source, when its own source has sent what another had continued, or when a row dated ahead has become due; all batches
are when the rules or their settings have changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_today
from pm.pipeline.checking.changes import DERIVED, PARTS, Changes
from pm.pipeline.checking.history import Rows, check_history, split_by_source
from pm.pipeline.checking.origins import Origins
from pm.pipeline.checking.recheck import check_again, corrected_accounts
from pm.pipeline.checking.window import check_window, look
from pm.pipeline.stage import Context, Stage
from pm.pipeline.writes import Append, Merge, Result
from pm.tables.quality import QUARANTINE, RECONCILIATION, TICKER_SOURCES
from pm.tables.sources import FETCHES, RAW_ACTIONS, RAW_BARS, RAW_BATCHES, SPLICES, UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["STAGE"]

_ROWS_AT_A_TIME = 1_000_000
"""Number of rows that are checked at a time."""
_NAMED = 5
"""Maximum number of tickers that are named when their source changes."""

_BATCHES = """
SELECT batch_id
FROM raw.batches LEFT JOIN reconciliation r USING (batch_id)
WHERE ? OR r.batch_id IS NULL
ORDER BY batch_id
"""

_TOUCHED = """
WITH touched AS (
    SELECT ticker, count(*) AS rows
    FROM raw.bars
    WHERE batch_id BETWEEN $1 AND $2 AND batch_id IN (SELECT unnest($3::VARCHAR[])) GROUP BY ticker
    UNION ALL
    SELECT DISTINCT ticker, 0
    FROM raw.actions
    WHERE batch_id BETWEEN $1 AND $2 AND batch_id IN (SELECT unnest($3::VARCHAR[]))
)
SELECT ticker, sum(rows)::BIGINT AS rows FROM touched GROUP BY ticker ORDER BY ticker NULLS LAST
"""

_BARS = """
SELECT ticker, count(*) AS rows FROM bars WHERE ticker IN (SELECT unnest(?::VARCHAR[])) GROUP BY ticker ORDER BY ticker
"""

_LANDED = """
SELECT ticker, count(*) AS rows FROM raw.bars
WHERE ticker IN (SELECT unnest(?::VARCHAR[])) GROUP BY ticker ORDER BY ticker
"""

_DUE = """
SELECT DISTINCT ticker FROM quarantine
WHERE rule LIKE '%future_date%' AND date <= ? AND ticker <> '' ORDER BY ticker
"""


@dataclass(frozen=True)
class _Task:
    """What is to be checked.

    Parameters
    ----------
    afresh
        Whether everything derived before is deleted first.
    batches
        Names of the batches to check.
    origins
        Which source the bars of each ticker come from.
    """

    afresh: bool
    batches: list[str]
    origins: Origins


def _compute(context: Context) -> Result:
    afresh = context.previous_code_hash not in {None, context.code_hash}
    batches = context.query(_BATCHES, [afresh])["batch_id"].to_list()
    task = _Task(afresh, batches, Origins(context, batches, afresh=afresh))
    changes = Changes(context, afresh=afresh)
    again = set() if afresh else {*task.origins.moved()["ticker"], *task.origins.ended, *_due(context)}
    touched = context.query(_TOUCHED, [min(batches, default=""), max(batches, default=""), batches])
    pieces = list(_pieces(touched.filter(~pl.col("ticker").is_in(again) | pl.col("ticker").is_null())))
    for done, tickers in enumerate(pieces):
        context.progress(done, len(pieces))
        again |= _check_piece(context, task, tickers, changes)
    context.progress(len(pieces), len(pieces))
    _tell_moved(context, task.origins)
    for tickers in _pieces(context.query(_LANDED, [sorted(again)])) if again else ():
        check_again(context, task.origins, [name for name in tickers if name is not None], batches, changes)
    changes.merge(TICKER_SOURCES, context.stamp(task.origins.changed(), cutoff=utc_today()))
    accounts = context.stamp(_sum(changes.counts, batches), cutoff=utc_today())
    found = str(changes.tally) if batches or again else "no new batch"
    return Result(
        [
            *changes.writes(),
            Append(RECONCILIATION, accounts),
            Merge(RECONCILIATION, corrected_accounts(context, changes)),
        ],
        f"all batches checked again: {found}" if afresh else found,
    )


def _due(context: Context) -> list[str]:
    """Return the tickers of rows that were refused for a date in the future, and whose date has come since."""
    return [row["ticker"] for row in context.rows(_DUE, [utc_today()])]


def _tell_moved(context: Context, origins: Origins) -> None:
    moved = origins.moved()
    for ticker, origin in moved.head(_NAMED).iter_rows():
        context.notify(f"{ticker}: its bars now come from {origin!r}")
    if moved.height > _NAMED:
        context.notify(f"… and those of {moved.height - _NAMED:,} more tickers")


def _pieces(counts: pl.DataFrame) -> Iterator[list[str | None]]:
    """Cut tickers into pieces of about equal numbers of rows: columns ticker and rows."""
    piece: list[str | None] = []
    rows = 0
    for ticker, count in counts.select("ticker", "rows").iter_rows():
        if piece and (rows + count > _ROWS_AT_A_TIME or ticker is None):
            yield piece
            piece, rows = [], 0
        piece.append(ticker)
        rows += int(count)
    if piece:
        yield piece


def _check_piece(context: Context, task: _Task, tickers: list[str | None], changes: Changes) -> set[str]:
    """Check some tickers' new rows and note what becomes of them; return those whose source is another one now."""
    from pm.quality import check_bars

    origins = task.origins
    passed = check_bars(_landed(context, task, tickers), today=utc_today(), settings=context.settings.quality)
    origins.learn(passed.good)
    moved = set(origins.moved()["ticker"]) & set(tickers)
    named = [ticker for ticker in tickers if ticker is not None and ticker not in moved]
    mine = pl.col("ticker").is_in(named) | pl.col("ticker").is_null()
    rows = split_by_source(origins, passed.good.filter(mine), passed.refused.filter(mine))
    window = None if task.afresh else look(context, origins, named, rows, task.batches)
    if window is not None:
        changes.counts.append(check_window(context, origins, window, changes))
    done = set() if window is None else set(window.tickers)
    left = [ticker for ticker in named if ticker not in done]
    nameless = rows.broken.filter(pl.col("ticker").is_null())
    if not nameless.is_empty():
        changes.add(QUARANTINE, context.stamp(nameless, cutoff=utc_today()))
        changes.counts.append(changes.count(_NO_COUNTS, nameless))
    for part in _pieces(_rows_of(context, left, rows, afresh=task.afresh)):
        those = [ticker for ticker in part if ticker is not None]
        counts = check_history(context, origins, those, rows.of(those), changes, afresh=task.afresh)
        changes.counts.append(counts)
    return {str(ticker) for ticker in moved}


def _landed(context: Context, task: _Task, tickers: list[str | None]) -> pl.DataFrame:
    """Return the rows to check."""
    of_batches = "batch_id BETWEEN ? AND ? AND batch_id IN (SELECT unnest(?::VARCHAR[]))"
    values = [task.batches[0], task.batches[-1], task.batches]
    if tickers == [None]:
        return context.read(RAW_BARS, f"{of_batches} AND ticker IS NULL", values)
    named = [name for name in tickers if name is not None]
    return context.read(RAW_BARS, of_batches, values, among={"ticker": named})


def _rows_of(context: Context, tickers: list[str], rows: Rows, *, afresh: bool) -> pl.DataFrame:
    """Return for tickers the number of their new rows and of their bars in the lake: ticker, rows."""
    known = context.query(_BARS, [[] if afresh else tickers])
    new = pl.concat([rows.good.select("ticker"), rows.refused.select("ticker")]).group_by("ticker").agg(rows=pl.len())
    counts = pl.concat(
        [pl.DataFrame({"ticker": tickers, "rows": 0}, schema=known.schema), known, new.cast(known.schema)]
    )
    return counts.filter(pl.col("ticker").is_in(tickers)).group_by("ticker").agg(pl.col("rows").sum()).sort("ticker")


def _sum(counts: list[pl.DataFrame], batches: list[str]) -> pl.DataFrame:
    """Return the sums of the counts over the pieces, one row for each batch."""
    total = pl.concat([pl.DataFrame({"batch_id": batches}, schema={"batch_id": pl.String}), *counts], how="diagonal")
    for part in PARTS:
        if part not in total.columns:
            total = total.with_columns(pl.lit(0, pl.Int64).alias(part))
    return (
        total.group_by("batch_id")
        .agg(pl.col(*PARTS).sum())
        .with_columns(landed=pl.sum_horizontal(*PARTS))
        .select("batch_id", "landed", *PARTS)
        .sort("batch_id")
    )


_NO_COUNTS = pl.DataFrame(schema={"batch_id": pl.String, **dict.fromkeys(PARTS[:3], pl.Int64)})

STAGE = Stage(
    "check",
    _compute,
    reads=(RAW_BARS, RAW_ACTIONS, RAW_BATCHES, UNIVERSE, SPLICES),
    past=(FETCHES,),
    writes=DERIVED,
    sections=("quality", "sources"),
    depends=_due,
    replaces=True,
)
"""Check what landed and merge it into bars."""
