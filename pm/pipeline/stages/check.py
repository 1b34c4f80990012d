"""Stage `check`: from raw bars to clean ones, every row accounted for.

`bars` is a function of the raw tables, the rules and their settings. New batches are checked as they come; when the
rules or their settings have changed, or a ticker has got a source of higher priority, all batches are checked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.lake import utc_now
from pm.pipeline.stage import Context, Outcome, Stage
from pm.tables.quality import BAR_FLAGS, BARS, QUARANTINE, RECONCILIATION, RESTATEMENTS
from pm.tables.sources import RAW_ACTIONS, RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from pm.lake import Transaction

__all__ = ["STAGE"]

_DERIVED = (BARS, QUARANTINE, BAR_FLAGS, RECONCILIATION, RESTATEMENTS)
_ROWS_AT_A_TIME = 1_000_000
_NAMED = 5
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
        transaction.append(RECONCILIATION, context.stamp(_sum(accounts, task.batches), cutoff=_today()))
        return tally.inserted + tally.updated + tally.quarantined + tally.flagged

    again = "all batches checked again: " if task.afresh else ""
    return Outcome(write, lambda: f"{again}{tally}" if task.batches else "no new batch")


def _task(context: Context) -> _Task:
    lake = context.lake
    spread = _with_good_rows(context, lake.query(_SPREAD))
    priority = context.settings.sources.priority
    rank = pl.col("origin").replace_strict(
        {name: place for place, name in enumerate(priority)}, default=len(priority), return_dtype=pl.Int64
    )
    origins = spread.sort(rank, "origin").unique("ticker", keep="first", maintain_order=True).sort("ticker")
    last_recipe = lake.scalar(
        "SELECT recipe FROM stage_events WHERE stage = 'check' AND status = 'done' ORDER BY finished_at DESC LIMIT 1"
    )
    moved = lake.query(
        "SELECT ticker, o.origin FROM (SELECT DISTINCT ticker, batch_id FROM bars) JOIN raw.batches b USING (batch_id) "
        "JOIN origins o USING (ticker) WHERE b.origin <> o.origin GROUP BY ALL ORDER BY ALL",
        origins=origins,
    )
    for ticker, origin in moved.head(_NAMED).iter_rows():
        context.tell(f"{ticker} is now from {origin!r}: it comes before its old source in sources.priority")
    if moved.height > _NAMED:
        context.tell(f"… and {moved.height - _NAMED:,} more tickers")
    afresh = last_recipe not in (None, context.recipe) or not moved.is_empty() or _due(context) > 0
    batches = lake.query(
        "SELECT batch_id FROM raw.batches LEFT JOIN reconciliation r USING (batch_id) "
        "WHERE ? OR r.batch_id IS NULL ORDER BY batch_id",
        [afresh],
    )
    return _Task(afresh, batches["batch_id"].to_list(), origins)


def _with_good_rows(context: Context, spread: pl.DataFrame) -> pl.DataFrame:
    """Leave out, for tickers that several sources have, the sources none of whose rows pass."""
    from pm.quality import check_bars

    contested = spread.filter(pl.len().over("ticker") > 1)
    if contested.is_empty():
        return spread
    raw = context.lake.read(RAW_BARS, among={"ticker": contested["ticker"].unique().to_list()})
    good = check_bars(raw, today=_today(), settings=context.settings.quality).good.select("ticker", "batch_id").unique()
    passing = good.join(context.lake.query("SELECT batch_id, origin FROM raw.batches"), on="batch_id")
    hopeless = contested.join(passing, on=["ticker", "origin"], how="anti").filter(
        pl.col("ticker").is_in(passing["ticker"].unique().implode())
    )
    return spread.join(hopeless, on=["ticker", "origin"], how="anti")


def _due(context: Context) -> int:
    """Count the rows that were refused for a date which was ahead, and has come since."""
    return int(
        context.lake.scalar(
            f"SELECT count(*) FROM quarantine WHERE rule LIKE '%future_date%' AND date <= DATE '{_today()}'"  # noqa: S608 - a date
        )
    )


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

    checked = check_bars(_landed(context, task, tickers), today=_today(), settings=context.settings.quality)
    mine, other = _of_their_source(context, task, checked.good)
    refused = pl.concat([checked.refused, other])
    named = [ticker for ticker in tickers if ticker is not None]
    current = context.lake.read(BARS, among={"ticker": named})
    actions = context.lake.read(RAW_ACTIONS, among={"ticker": named})
    good, refactored = _with_factors(mine, _unsettled(context, current, actions, named), actions)
    classified = classify(good, current)
    changed = pl.concat(
        [
            classified.updated,
            refactored.select(classified.updated.columns).join(classified.updated, on=["ticker", "date"], how="anti"),
        ]
    )
    written = context.stamp(pl.concat([classified.inserted, changed]), cutoff=_today())
    history = pl.concat([current.join(written, on=["ticker", "date"], how="anti"), BARS.conform(written)])
    exchanges = {
        ticker: exchange
        for ticker, origin in task.origins.filter(pl.col("ticker").is_in(named)).iter_rows()
        if (exchange := context.settings.sources.exchanges.exchange_of(ticker, origin)) is not None
    }
    flags = flag_bars(history, actions=actions, exchanges=exchanges, settings=context.settings.quality)

    transaction.append(BARS, written.head(classified.inserted.height))
    transaction.merge(BARS, written.tail(changed.height))
    transaction.append(RESTATEMENTS, context.stamp(classified.restatements, cutoff=_today()))
    transaction.append(QUARANTINE, context.stamp(refused, cutoff=_today()))
    if not current.is_empty():
        transaction.delete(BAR_FLAGS, "ticker IN (SELECT unnest(?::VARCHAR[]))", [named])
    transaction.append(BAR_FLAGS, context.stamp(flags, cutoff=_today()))

    counts = pl.concat(
        [classified.counts, refused.group_by("batch_id").agg(quarantined=pl.len().cast(pl.Int64))], how="diagonal"
    )
    tally.inserted += int(classified.counts["inserted"].sum())
    tally.updated += int(classified.counts["updated"].sum())
    tally.unchanged += int(classified.counts["unchanged"].sum())
    tally.quarantined += refused.height
    tally.flagged += flags.height
    return counts


def _landed(context: Context, task: _Task, tickers: list[str | None]) -> pl.DataFrame:
    """Give the rows to check."""
    mine = "batch_id IN (SELECT unnest(?::VARCHAR[]))"
    if tickers == [None]:
        return context.lake.read(RAW_BARS, f"{mine} AND ticker IS NULL", [task.batches])
    named = [name for name in tickers if name is not None]
    return context.lake.read(RAW_BARS, mine, [task.batches], among={"ticker": named})


def _of_their_source(context: Context, task: _Task, good: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part good rows into those of their ticker's source, and those refused because another source has the ticker."""
    from pm.quality import original_json

    origin = context.lake.query("SELECT batch_id, origin FROM raw.batches")
    foreign = (
        good.join(origin, on="batch_id")
        .join(task.origins.rename({"origin": "chosen"}), on="ticker", how="left")
        .filter(pl.col("origin") != pl.col("chosen"))
        .select(good.columns)
    )
    refused = foreign.select("batch_id", "row", "ticker", "date", original_json(foreign), rule=pl.lit(_OTHER_SOURCE))
    kept = good.join(foreign, on=["batch_id", "row"], how="anti") if foreign.height else good
    return kept, refused.select("batch_id", "row", "ticker", "date", "rule", "original")


def _unsettled(context: Context, current: pl.DataFrame, actions: pl.DataFrame, tickers: list[str]) -> pl.DataFrame:
    """Give the lake's bars whose factor hangs on other bars or on actions, with the adj_close they landed with.

    Those of a ticker with actions, and of one with an adjusted close on some bars but not on all.
    """
    sparse = context.lake.query(
        "SELECT ticker FROM raw.bars WHERE ticker IN (SELECT unnest(?::VARCHAR[])) "
        "GROUP BY ticker HAVING count(adj_close) BETWEEN 1 AND count(*) - 1",
        [tickers if current.height else []],
    )
    names = pl.concat([sparse["ticker"], actions["ticker"]]).unique()
    past = current.filter(pl.col("ticker").is_in(names.implode()))
    if past.is_empty():
        return past.with_columns(adj_close=pl.lit(None, pl.Float64))
    landed = context.lake.query(
        "SELECT batch_id, row, adj_close FROM raw.bars WHERE ticker IN (SELECT unnest(?::VARCHAR[]))", [names.to_list()]
    )
    return past.join(landed, on=["batch_id", "row"], how="left")


def _with_factors(
    good: pl.DataFrame, unsettled: pl.DataFrame, actions: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the good rows with their factors, and the lake's bars whose factor they or a new action have changed."""
    from pm.quality import adjustment_factors

    shape = list(RAW_BARS.polars_schema)
    past = unsettled.join(good, on=["ticker", "date"], how="anti")
    both = adjustment_factors(pl.concat([good.select(shape), past.select(shape)]), actions)
    mine = both.join(good.select("batch_id", "row"), on=["batch_id", "row"], how="semi")
    again = both.join(past, on=["ticker", "date"], how="inner", suffix="_before")
    refactored = again.filter(pl.col("adj_factor") != pl.col("adj_factor_before"))
    return mine, refactored.select(both.columns).drop("adj_close")


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
    libraries=("dataframely", "exchange-calendars", "polars"),
    asks=_due,
    replaces=True,
)
"""Check what landed and merge it into bars."""
