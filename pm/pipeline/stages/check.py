"""Stage `check`: from raw bars to clean ones, every row accounted for.

`bars` is a function of the raw tables, the rules and their settings. New batches are checked as they come; when the
rules or their settings have changed, or a ticker has got a source of higher priority, all batches are checked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.lake import utc_now
from pm.lake.tables import table
from pm.pipeline.stage import Context, Outcome, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from pm.lake import Transaction

__all__ = ["STAGE"]

_DERIVED = ("bars", "quarantine", "bar_flags", "reconciliation", "restatements")
_ROWS_AT_A_TIME = 1_000_000
_OTHER_SOURCE = "other_source"
"""Rule that refuses a ticker's rows when a source of higher priority has the ticker."""

_SPREAD = """
SELECT ticker, b.origin
FROM (SELECT DISTINCT ticker, batch_id FROM raw.bars) JOIN raw.batches b USING (batch_id)
WHERE ticker IS NOT NULL
GROUP BY ALL
ORDER BY ALL
"""

_COUNTS = """
WITH touched AS (
    SELECT ticker, count(*) AS rows FROM raw.bars WHERE batch_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY ticker
    UNION ALL
    SELECT DISTINCT ticker, 0 FROM raw.actions WHERE batch_id IN (SELECT unnest(?::VARCHAR[]))
),
had AS (SELECT ticker, count(*) AS rows FROM bars WHERE NOT ? GROUP BY ticker)
SELECT ticker, sum(t.rows) + any_value(coalesce(h.rows, 0)) AS rows
FROM touched t LEFT JOIN had h USING (ticker)
GROUP BY ticker
ORDER BY ticker NULLS LAST
"""


@dataclass(frozen=True)
class _Task:
    """What is to be checked.

    Parameters
    ----------
    afresh
        Whether everything derived before is thrown away first.
    batches
        Names of the batches to check.
    origins
        The source of each ticker's bars: ticker, origin.
    """

    afresh: bool
    batches: list[str]
    origins: pl.DataFrame


@dataclass
class _Tally:
    """What became of the rows."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0
    flagged: int = 0

    def __str__(self) -> str:
        parts = {
            "restated": self.updated,
            "unchanged": self.unchanged,
            "refused": self.quarantined,
            "flagged": self.flagged,
        }
        return ", ".join([f"{self.inserted:,} new", *(f"{count:,} {name}" for name, count in parts.items() if count)])


def _run(context: Context) -> Outcome:
    task = _task(context)
    tally = _Tally()

    def write(transaction: Transaction) -> int:
        nonlocal tally
        tally = _Tally()
        if task.afresh:
            for name in _DERIVED:
                transaction.delete(name, "true")
        accounts: list[pl.DataFrame] = []
        pieces = list(_pieces(context, task))
        for done, tickers in enumerate(pieces):
            context.progress(done, len(pieces))
            accounts.append(_check_piece(context, transaction, task, tickers, tally))
        context.progress(len(pieces), len(pieces))
        transaction.append("reconciliation", context.stamp(_sum(accounts, task.batches), cutoff=_today()))
        return tally.inserted + tally.updated + tally.quarantined + tally.flagged

    again = "all batches checked again: " if task.afresh else ""
    return Outcome(write, lambda: f"{again}{tally}" if task.batches else "no new batch")


def _task(context: Context) -> _Task:
    lake = context.lake
    spread = lake.query(_SPREAD)
    priority = context.settings.sources.priority
    rank = pl.col("origin").replace_strict(
        {name: place for place, name in enumerate(priority)}, default=len(priority), return_dtype=pl.Int64
    )
    origins = spread.sort(rank, "origin").unique("ticker", keep="first", maintain_order=True).sort("ticker")
    last_recipe = lake.scalar(
        "SELECT recipe FROM stage_events WHERE stage = 'check' AND status = 'done' ORDER BY finished_at DESC LIMIT 1"
    )
    moved = lake.query(
        "SELECT 1 FROM (SELECT DISTINCT ticker, batch_id FROM bars) JOIN raw.batches b USING (batch_id) "
        "JOIN origins o USING (ticker) WHERE b.origin <> o.origin LIMIT 1",
        origins=origins,
    )
    afresh = last_recipe not in (None, context.recipe) or not moved.is_empty()
    batches = lake.query(
        "SELECT batch_id FROM raw.batches LEFT JOIN reconciliation r USING (batch_id) "
        "WHERE ? OR r.batch_id IS NULL ORDER BY batch_id",
        [afresh],
    )
    return _Task(afresh, batches["batch_id"].to_list(), origins)


def _pieces(context: Context, task: _Task) -> Iterator[list[str | None]]:
    """Cut the tickers of the batches into pieces of about as many rows, those they have already counted in."""
    counts = context.lake.query(_COUNTS, [task.batches, task.batches, task.afresh])
    piece: list[str | None] = []
    rows = 0
    for ticker, count in counts.iter_rows():
        if piece and (rows + count > _ROWS_AT_A_TIME or ticker is None):
            yield piece
            piece, rows = [], 0
        piece.append(ticker)
        rows += int(count)
    if piece:
        yield piece


def _check_piece(
    context: Context, transaction: Transaction, task: _Task, tickers: list[str | None], tally: _Tally
) -> pl.DataFrame:
    """Check some tickers' rows and write what becomes of them; give the counts of each batch."""
    from pm.quality import check_bars, classify, flag_bars

    raw, other = _landed(context, task, tickers)
    checked = check_bars(raw, today=_today(), settings=context.settings.quality)
    refused = pl.concat([checked.refused, other])
    named = [ticker for ticker in tickers if ticker is not None]
    current = context.lake.read("bars", tickers=named)
    actions = context.lake.read("raw.actions", tickers=named)
    good, refactored = _with_factors(checked.good, current, actions)
    classified = classify(good, current)
    changed = pl.concat(
        [
            classified.updated,
            refactored.select(classified.updated.columns).join(classified.updated, on=["ticker", "date"], how="anti"),
        ]
    )
    written = context.stamp(pl.concat([classified.inserted, changed]), cutoff=_today())
    history = pl.concat([current.join(written, on=["ticker", "date"], how="anti"), table("bars").conform(written)])
    exchanges = {
        ticker: exchange
        for ticker, origin in task.origins.filter(pl.col("ticker").is_in(named)).iter_rows()
        if (exchange := context.settings.sources.exchanges.exchange_of(ticker, origin)) is not None
    }
    flags = flag_bars(history, actions=actions, exchanges=exchanges, settings=context.settings.quality)

    transaction.append("bars", written.head(classified.inserted.height))
    transaction.merge("bars", written.tail(changed.height))
    transaction.append("restatements", context.stamp(classified.restatements, cutoff=_today()))
    transaction.append("quarantine", context.stamp(refused, cutoff=_today()))
    if not current.is_empty():
        transaction.delete("bar_flags", "ticker IN (SELECT unnest(?::VARCHAR[]))", [named])
    transaction.append("bar_flags", context.stamp(flags, cutoff=_today()))

    counts = pl.concat(
        [classified.counts, refused.group_by("batch_id").agg(quarantined=pl.len().cast(pl.Int64))], how="diagonal"
    )
    tally.inserted += int(classified.counts["inserted"].sum())
    tally.updated += int(classified.counts["updated"].sum())
    tally.unchanged += int(classified.counts["unchanged"].sum())
    tally.quarantined += refused.height
    tally.flagged += flags.height
    return counts


def _landed(context: Context, task: _Task, tickers: list[str | None]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the rows to check, and those refused because another source has the ticker."""
    from pm.quality import original_json

    mine = "batch_id IN (SELECT unnest(?::VARCHAR[]))"
    if tickers == [None]:
        raw = context.lake.read("raw.bars", f"{mine} AND ticker IS NULL", [task.batches])
    else:
        raw = context.lake.read(
            "raw.bars", mine, [task.batches], tickers=[name for name in tickers if name is not None]
        )
    origin = context.lake.query("SELECT batch_id, origin FROM raw.batches")
    foreign = (
        raw.join(origin, on="batch_id")
        .join(task.origins.rename({"origin": "chosen"}), on="ticker", how="left")
        .filter(pl.col("origin") != pl.col("chosen"))
        .select(raw.columns)
    )
    refused = foreign.select("batch_id", "row", "ticker", "date", original_json(foreign), rule=pl.lit(_OTHER_SOURCE))
    kept = raw.join(foreign, on=["batch_id", "row"], how="anti") if foreign.height else raw
    return kept, refused.select("batch_id", "row", "ticker", "date", "rule", "original")


def _with_factors(
    good: pl.DataFrame, current: pl.DataFrame, actions: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the good rows with their factors, and the lake's bars whose factor a new action has changed."""
    from pm.quality import adjustment_factors

    shape = list(table("raw.bars").polars_schema)
    # Where a source sends actions instead of adjusted closes, a new one reaches back to bars the lake already has.
    adjusted = good.filter(pl.col("adj_close").is_not_null())["ticker"]
    acting = actions.filter(~pl.col("ticker").is_in(adjusted.unique().implode()))["ticker"].unique().implode()
    past = current.filter(pl.col("ticker").is_in(acting)).join(good, on=["ticker", "date"], how="anti")
    both = adjustment_factors(
        pl.concat([good.select(shape), past.with_columns(adj_close=pl.lit(None, pl.Float64)).select(shape)]), actions
    )
    mine = both.join(good.select("batch_id", "row"), on=["batch_id", "row"], how="semi")
    again = both.join(past, on=["ticker", "date"], how="inner", suffix="_before")
    refactored = (
        again.filter(pl.col("adj_factor") != pl.col("adj_factor_before")).select(both.columns).drop("adj_close")
    )
    return mine, refactored


def _sum(counts: list[pl.DataFrame], batches: list[str]) -> pl.DataFrame:
    """Add up the counts of the pieces, a row a batch."""
    parts = ("inserted", "updated", "unchanged", "quarantined")
    total = pl.concat([pl.DataFrame({"batch_id": batches}, schema={"batch_id": pl.String}), *counts], how="diagonal")
    for part in parts:
        if part not in total.columns:
            total = total.with_columns(pl.lit(0, pl.Int64).alias(part))
    return (
        total.group_by("batch_id")
        .agg(pl.col(*parts).sum())
        .with_columns(landed=pl.sum_horizontal(*parts))
        .select("batch_id", "landed", *parts)
        .sort("batch_id")
    )


def _today() -> date:
    return utc_now().date()


STAGE = Stage(
    "check",
    _run,
    reads=("raw.bars", "raw.actions", "raw.batches"),
    sections=("quality", "sources"),
    rooms=("quality", "sessions.py"),
    libraries=("dataframely", "exchange-calendars"),
    replaces=True,
)
"""Check what landed and merge it into bars."""
