"""Stage `check`: from raw bars to clean ones, every row accounted for.

`bars` is a function of the raw tables, the watch list's sources, the rules and their settings. New batches are checked
as they arrive; when the rules or their settings have changed, or a ticker's bars are to come from another source, all
batches are checked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_today
from pm.pipeline.stage import Context, Stage
from pm.pipeline.writes import Append, Delete, Merge, Result, Write
from pm.sources.names import USER
from pm.tables.quality import BAR_FLAGS, BARS, QUARANTINE, REBASINGS, RECONCILIATION, RESTATEMENTS
from pm.tables.sources import RAW_ACTIONS, RAW_BARS, RAW_BATCHES, UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.tables.declaration import Table

__all__ = ["STAGE"]

_DERIVED = (BARS, QUARANTINE, BAR_FLAGS, RECONCILIATION, RESTATEMENTS, REBASINGS)
_ROWS_AT_A_TIME = 1_000_000
"""Number of rows that are checked at a time."""
_NAMED = 5
"""Maximum number of tickers that are named when their source changes."""
_OTHER_SOURCE = "other_source"
"""Rule that refuses a ticker's rows when its bars come from another source."""

_SOURCES = """
SELECT ticker, a.origin
FROM (SELECT DISTINCT ticker, batch_id FROM raw.bars) JOIN raw.batches a USING (batch_id)
WHERE ticker IS NOT NULL
GROUP BY ALL
ORDER BY ALL
"""

_MOVED = """
SELECT ticker, o.origin
FROM (SELECT DISTINCT ticker, batch_id FROM bars) JOIN raw.batches a USING (batch_id) JOIN origins o USING (ticker)
WHERE a.origin <> o.origin
GROUP BY ALL
ORDER BY ALL
"""

_BATCHES = """
SELECT batch_id
FROM raw.batches LEFT JOIN reconciliation r USING (batch_id)
WHERE ? OR r.batch_id IS NULL
ORDER BY batch_id
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

_DUE = "SELECT count(*) AS rows FROM quarantine WHERE rule LIKE '%future_date%' AND date <= ?"

_PARTLY_ADJUSTED = """
SELECT ticker FROM raw.bars
WHERE ticker IN (SELECT unnest(?::VARCHAR[]))
GROUP BY ticker HAVING count(adj_close) BETWEEN 1 AND count(*) - 1
"""

_BARS = tuple(BARS.unstamped_schema)
"""Columns of bars that the check reads."""

_UNUSABLE_RANGES = """
SELECT ticker, batch_id, row, open, high, low, close
FROM raw.bars
WHERE ticker IN (SELECT unnest($1::VARCHAR[]))
  AND (
    high < greatest(open, low, close) * (1 - $2) OR low > least(open, high, close) * (1 + $2)
    OR least(open, high, low) = 0
    OR (coalesce(open, high, low) IS NOT NULL AND (open IS NULL OR high IS NULL OR low IS NULL))
  )
"""
"""Query for the rows as they landed whose open, high and low may be unusable; `least` and `greatest` skip nulls."""

_LANDED_ADJ_CLOSE = """
SELECT batch_id, row, adj_close FROM raw.bars
WHERE ticker IN (SELECT unnest(?::VARCHAR[])) AND batch_id IN (SELECT unnest(?::VARCHAR[]))
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
        The source of each ticker's bars: ticker, origin.
    """

    afresh: bool
    batches: list[str]
    origins: pl.DataFrame


@dataclass
class _Tally:
    """Numbers of rows by what became of them."""

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


class _Checked:
    """What the check of some tickers changes, piece by piece.

    Parameters
    ----------
    context
        The stage's context.
    afresh
        Whether everything derived before is deleted first.
    """

    def __init__(self, context: Context, *, afresh: bool) -> None:
        self.tally = _Tally()
        self.counts: list[pl.DataFrame] = []
        self._afresh = afresh
        self._added = {table: context.spool(table) for table in (BARS, RESTATEMENTS, QUARANTINE, BAR_FLAGS)}
        self._changed: list[pl.DataFrame] = []
        self._rebasings: list[pl.DataFrame] = []
        self._flagged_before: list[str] = []

    def add(self, table: Table, rows: pl.DataFrame) -> None:
        """Add rows to a table."""
        self._added[table].add(rows)

    def change_bars(self, bars: pl.DataFrame) -> None:
        """Replace bars of the same ticker and date."""
        self._changed.append(bars)

    def change_rebasings(self, rebasings: pl.DataFrame) -> None:
        """Add rebasings, or replace those of the same ticker and batch."""
        if not rebasings.is_empty():
            self._rebasings.append(rebasings)

    def replace_flags_of(self, tickers: list[str]) -> None:
        """Delete the flags of tickers before those added here."""
        self._flagged_before += tickers

    def writes(self) -> list[Write]:
        """Return the changes, in order."""
        first: list[Write] = [Delete(table) for table in _DERIVED] if self._afresh else []
        if self._flagged_before:
            first.append(Delete(BAR_FLAGS, "ticker IN (SELECT unnest(?::VARCHAR[]))", [self._flagged_before]))
        changed = [Merge(BARS, pl.concat(self._changed))] if self._changed else []
        bars, *others = (spool.append() for spool in self._added.values())
        rebasings = [Merge(REBASINGS, pl.concat(self._rebasings))] if self._rebasings else []
        return [*first, bars, *changed, *others, *rebasings]


def _compute(context: Context) -> Result:
    task = _task(context)
    checked = _Checked(context, afresh=task.afresh)
    pieces = list(_pieces(context, task))
    for done, tickers in enumerate(pieces):
        context.progress(done, len(pieces))
        _check_piece(context, task, tickers, checked)
    context.progress(len(pieces), len(pieces))
    accounts = context.stamp(_sum(checked.counts, task.batches), cutoff=utc_today())
    again = "all batches checked again: " if task.afresh else ""
    summary = f"{again}{checked.tally}" if task.batches else "no new batch"
    return Result([*checked.writes(), Append(RECONCILIATION, accounts)], summary)


def _task(context: Context) -> _Task:
    origins = _origins(context)
    moved = context.query(_MOVED, origins=origins)
    for ticker, origin in moved.head(_NAMED).iter_rows():
        context.notify(f"{ticker}: its bars now come from {origin!r}")
    if moved.height > _NAMED:
        context.notify(f"… and those of {moved.height - _NAMED:,} more tickers")
    other_code = context.previous_code_hash not in (None, context.code_hash)
    afresh = other_code or not moved.is_empty() or _due(context) > 0
    batches = context.query(_BATCHES, [afresh])
    return _Task(afresh, batches["batch_id"].to_list(), origins)


def _origins(context: Context) -> pl.DataFrame:
    """Return the source that each ticker's bars are to come from: ticker, origin.

    It is the one of the watch list, if it has sent bars of the ticker; else, of the sources some of whose rows of the
    ticker pass the rules (or of all, where none does), the first in `sources.priority`.
    """
    sources = _with_good_rows(context, context.query(_SOURCES))
    watched = context.read(UNIVERSE, columns=("ticker", "source AS origin")).with_columns(chosen=pl.lit(value=True))
    priority = context.settings.sources.priority
    rank = pl.col("origin").replace_strict(
        {name: place for place, name in enumerate(priority)}, default=len(priority), return_dtype=pl.Int64
    )
    by_choice = sources.join(watched, on=["ticker", "origin"], how="left").sort(
        pl.col("chosen").is_null(), rank, "origin"
    )
    return by_choice.unique("ticker", keep="first", maintain_order=True).select("ticker", "origin").sort("ticker")


def _with_good_rows(context: Context, sources: pl.DataFrame) -> pl.DataFrame:
    """Drop, for tickers that several sources have, the sources none of whose rows pass the rules."""
    from pm.quality import check_bars

    contested = sources.filter(pl.len().over("ticker") > 1)
    if contested.is_empty():
        return sources
    raw = context.read(RAW_BARS, among={"ticker": contested["ticker"].unique().to_list()})
    good = (
        check_bars(raw, today=utc_today(), settings=context.settings.quality).good.select("ticker", "batch_id").unique()
    )
    passing = good.join(context.query("SELECT batch_id, origin FROM raw.batches"), on="batch_id")
    hopeless = contested.join(passing, on=["ticker", "origin"], how="anti").filter(
        pl.col("ticker").is_in(passing["ticker"].unique().implode())
    )
    return sources.join(hopeless, on=["ticker", "origin"], how="anti")


def _due(context: Context) -> int:
    """Return the number of rows that were refused for a date in the future, and whose date has come since."""
    return int(context.rows(_DUE, [utc_today()])[0]["rows"])


def _pieces(context: Context, task: _Task) -> Iterator[list[str | None]]:
    """Cut the tickers of the batches into pieces of about equal numbers of rows, their bars in the lake included."""
    counts = context.query(_COUNTS, [task.batches, task.batches, task.afresh])
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


def _check_piece(context: Context, task: _Task, tickers: list[str | None], checked: _Checked) -> None:
    """Check some tickers' rows and note what becomes of them."""
    from pm.quality import check_bars, classify, effective_actions, flag_bars, flag_odd_bars

    today, settings = utc_today(), context.settings
    passed = check_bars(_landed(context, task, tickers), today=today, settings=settings.quality)
    own, other = _by_source(context, task, passed.good)
    refused = pl.concat([passed.refused, other])
    named = [ticker for ticker in tickers if ticker is not None]
    current = context.read(BARS, "NOT ?", [task.afresh], among={"ticker": named}, columns=_BARS)
    actions = context.read(RAW_ACTIONS, among={"ticker": named})
    known = context.read(REBASINGS, "NOT ?", [task.afresh], among={"ticker": named})
    found = _rebasings(context, own, current, known)
    rebasings = pl.concat([known.select(found.columns).join(found, on=list(REBASINGS.key), how="anti"), found])
    rebased = found.filter(pl.col("ratio") != 1.0)["ticker"]
    unsettled = _unsettled(context, current, actions, named, rebased)
    good, refactored = _with_factors(own, unsettled, actions, rebasings)
    batches = context.query("SELECT batch_id, decimals, adj_decimals FROM raw.batches")
    classified = classify(good, current, rebasings, batches)
    changed = pl.concat(
        [
            classified.updated,
            refactored.select(classified.updated.columns).join(classified.updated, on=["ticker", "date"], how="anti"),
        ]
    )
    written = context.stamp(pl.concat([classified.inserted, changed]), cutoff=today)
    history = pl.concat([current.join(written, on=["ticker", "date"], how="anti"), written.select(_BARS)])
    exchange_of = settings.sources.exchanges.exchange_of
    exchanges = {
        ticker: exchange
        for ticker, origin in task.origins.filter(pl.col("ticker").is_in(named)).iter_rows()
        if (exchange := exchange_of(ticker, origin)) is not None
    }
    flags = flag_bars(
        history,
        actions=effective_actions(actions),
        rebasings=rebasings,
        refused=_refused(context, task, passed.refused, named),
        exchanges=exchanges,
        settings=settings.quality,
    )
    lacking = history.filter(pl.col("open").is_null())["ticker"].unique().to_list()
    unusable = context.query(_UNUSABLE_RANGES, [lacking, settings.quality.price_tolerance])
    flags = pl.concat([flags, flag_odd_bars(history, unusable=unusable, exchanges=exchanges)])

    checked.add(BARS, written.head(classified.inserted.height))
    checked.change_bars(written.tail(changed.height))
    checked.change_rebasings(context.stamp(found, cutoff=today))
    checked.add(RESTATEMENTS, context.stamp(classified.restatements, cutoff=today))
    checked.add(QUARANTINE, context.stamp(refused, cutoff=today))
    if not current.is_empty():
        checked.replace_flags_of(named)
    checked.add(BAR_FLAGS, context.stamp(flags, cutoff=today))

    quarantined = refused.group_by("batch_id").agg(quarantined=pl.len().cast(pl.Int64))
    checked.counts.append(pl.concat([classified.counts, quarantined], how="diagonal"))
    tally = checked.tally
    tally.inserted += int(classified.counts["inserted"].sum())
    tally.updated += int(classified.counts["updated"].sum())
    tally.unchanged += int(classified.counts["unchanged"].sum())
    tally.quarantined += refused.height
    tally.flagged += flags.height


def _landed(context: Context, task: _Task, tickers: list[str | None]) -> pl.DataFrame:
    """Return the rows to check."""
    of_batches = "batch_id IN (SELECT unnest(?::VARCHAR[]))"
    if tickers == [None]:
        return context.read(RAW_BARS, f"{of_batches} AND ticker IS NULL", [task.batches])
    named = [name for name in tickers if name is not None]
    return context.read(RAW_BARS, of_batches, [task.batches], among={"ticker": named})


def _by_source(context: Context, task: _Task, good: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split good rows into those of their ticker's source, and those refused because another source has the ticker."""
    from pm.quality import original_json

    origin = context.query("SELECT batch_id, origin FROM raw.batches")
    foreign = (
        good.join(origin, on="batch_id")
        .join(task.origins.rename({"origin": "chosen"}), on="ticker", how="left")
        .filter(pl.col("origin") != pl.col("chosen"))
        .select(good.columns)
    )
    refused = foreign.select("batch_id", "row", "ticker", "date", original_json(foreign), rule=pl.lit(_OTHER_SOURCE))
    kept = good.join(foreign, on=["batch_id", "row"], how="anti") if foreign.height else good
    return kept, refused.select("batch_id", "row", "ticker", "date", "rule", "original")


def _rebasings(context: Context, good: pl.DataFrame, current: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return the rebasings that the good rows bring, and the known ones that they settle."""
    from pm.quality import differing, find_rebasings

    suspects = differing(good, current, known)
    delivered = good.filter(pl.col("ticker").is_in(suspects.implode()))
    # Of the lake's bars, those from the last before the first delivered date on, or from that date on if there is none.
    before = pl.col("date").filter(pl.col("date") < pl.col("first")).max()
    past = (
        (
            current.join(delivered.group_by("ticker").agg(first=pl.col("date").min()), on="ticker")
            .filter(pl.col("date") >= before.fill_null(pl.col("first")).over("ticker"))
            .select(current.columns)
        )
        if suspects.len()
        else current.clear()
    )
    shape = list(RAW_BARS.polars_schema)
    return find_rebasings(
        delivered.select(shape),
        _with_landed(context, past).select(shape),
        known.filter(pl.col("ticker").is_in(suspects.implode())),
    )


def _refused(context: Context, task: _Task, refused: pl.DataFrame, tickers: list[str]) -> pl.DataFrame:
    """Return all rows of the tickers that a rule refused, now or before."""
    columns = ("ticker", "date", "batch_id", "rule")
    known = context.read(
        QUARANTINE, "rule <> ? AND NOT ?", [_OTHER_SOURCE, task.afresh], among={"ticker": tickers}, columns=columns
    )
    return pl.concat([known.select(columns), refused.select(columns)])


def _unsettled(
    context: Context, current: pl.DataFrame, actions: pl.DataFrame, tickers: list[str], rebased: pl.Series
) -> pl.DataFrame:
    """Return the lake's bars whose factor depends on other bars or on actions, with the adj_close they landed with.

    These are the bars of tickers with actions, of tickers with an adjusted close on some bars but not on all, and of
    tickers that a delivery brings to another basis.
    """
    partly = context.query(_PARTLY_ADJUSTED, [tickers if current.height else []])
    names = pl.concat([partly["ticker"], actions["ticker"], rebased]).unique()
    return _with_landed(context, current.filter(pl.col("ticker").is_in(names.implode())))


def _with_landed(context: Context, bars: pl.DataFrame) -> pl.DataFrame:
    """Return bars of the lake with the adj_close that they landed with."""
    if bars.is_empty():
        return bars.with_columns(adj_close=pl.lit(None, pl.Float64))
    origin = [bars[name].unique().to_list() for name in ("ticker", "batch_id")]
    return bars.join(context.query(_LANDED_ADJ_CLOSE, origin), on=["batch_id", "row"], how="left")


def _with_factors(
    good: pl.DataFrame, unsettled: pl.DataFrame, actions: pl.DataFrame, rebasings: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the good rows with their factors, and the lake's bars whose factor they or a new action change."""
    from pm.quality import adjustment_factors

    shape = list(RAW_BARS.polars_schema)
    good = _with_known_factors(good, unsettled, actions, rebasings)
    past = unsettled.join(good, on=["ticker", "date"], how="anti")
    both = adjustment_factors(pl.concat([good.select(shape), past.select(shape)]), actions, rebasings)
    if past.is_empty():
        return both, both.clear().drop("adj_close")
    own = both.join(good.select("batch_id", "row"), on=["batch_id", "row"], how="semi")
    again = both.join(past, on=["ticker", "date"], how="inner", suffix="_before")
    refactored = again.filter(pl.col("adj_factor") != pl.col("adj_factor_before"))
    return own, refactored.select(both.columns).drop("adj_close")


def _with_known_factors(
    good: pl.DataFrame, unsettled: pl.DataFrame, actions: pl.DataFrame, rebasings: pl.DataFrame
) -> pl.DataFrame:
    """Give rows without an adjusted close that of the factor which an earlier delivery sent for their date.

    The factor is that of the lake where deliveries have several bases, unless the user has told an action of the ticker
    besides: then both are in it, and it is not taken.
    """
    moved = rebasings.filter(pl.col("ratio") != 1.0)["ticker"].unique().implode()
    told = actions.filter(source=USER)["ticker"].unique().implode()
    factor = (
        pl.when(~pl.col("ticker").is_in(moved))
        .then(pl.col("adj_close") / pl.col("close"))
        .when(~pl.col("ticker").is_in(told))
        .then(pl.col("adj_factor"))
    )
    sent = unsettled.filter(pl.col("adj_close").is_not_null()).select("ticker", "date", known=factor)
    if sent.is_empty() or not good["adj_close"].null_count():
        return good
    known = good.join(sent, on=["ticker", "date"], how="left", maintain_order="left")
    return known.with_columns(pl.coalesce("adj_close", pl.col("close") * pl.col("known"))).drop("known")


def _sum(counts: list[pl.DataFrame], batches: list[str]) -> pl.DataFrame:
    """Return the sums of the counts over the pieces, one row for each batch."""
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


STAGE = Stage(
    "check",
    _compute,
    reads=(RAW_BARS, RAW_ACTIONS, RAW_BATCHES, UNIVERSE),
    writes=_DERIVED,
    sections=("quality", "sources"),
    depends=_due,
    replaces=True,
)
"""Check what landed and merge it into bars."""
