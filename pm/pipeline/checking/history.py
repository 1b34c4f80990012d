"""Check rows of tickers with all their bars at hand: what is new, restated and flagged, and the factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_today
from pm.sources.names import USER
from pm.sources.symbols import exchange_code
from pm.tables.quality import BAR_FLAGS, BARS, FLAG_BOUNDS, QUARANTINE, REBASINGS, RESTATEMENTS
from pm.tables.sources import RAW_ACTIONS, RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.pipeline.checking.changes import Changes
    from pm.pipeline.checking.origins import Origins
    from pm.pipeline.stage import Context
    from pm.quality import Classified

__all__ = [
    "BARS_READ",
    "OTHER_SOURCE",
    "Rows",
    "check_history",
    "classified_rows",
    "exchanges_of",
    "find_new_rebasings",
    "split_by_source",
    "unusable_ranges",
]

OTHER_SOURCE = "other_source"
"""Rule that refuses a ticker's rows when its bars come from another source."""

BARS_READ = tuple(BARS.unstamped_schema)
"""Columns of bars that the check reads."""

_UNUSABLE_RANGES = """
SELECT ticker, batch_id, row, open, high, low, close
FROM raw.bars
WHERE ticker IN (SELECT unnest($1::VARCHAR[])) AND batch_id >= $3
  AND (
    high < greatest(open, low, close) * (1 - $2) OR low > least(open, high, close) * (1 + $2)
    OR least(open, high, low) = 0
    OR (coalesce(open, high, low) IS NOT NULL AND (open IS NULL OR high IS NULL OR low IS NULL))
  )
"""
"""Query for the rows as they landed whose open, high and low may be unusable; `least` and `greatest` skip nulls."""

_PARTLY_ADJUSTED = """
SELECT ticker FROM raw.bars
WHERE ticker IN (SELECT unnest(?::VARCHAR[]))
GROUP BY ticker HAVING count(adj_close) BETWEEN 1 AND count(*) - 1
"""

_EXCHANGES = "SELECT ticker, exchange FROM universe WHERE exchange IS NOT NULL"

_LANDED_ADJ_CLOSE = """
SELECT batch_id, row, adj_close FROM raw.bars
WHERE ticker IN (SELECT unnest(?::VARCHAR[])) AND batch_id IN (SELECT unnest(?::VARCHAR[]))
"""


@dataclass(frozen=True)
class Rows:
    """Rows that landed for some tickers, as the rules split them.

    Attributes
    ----------
    good
        Rows that keep every rule and come from their ticker's source, with the columns of raw.bars.
    broken
        Rows that break a rule, with the columns of quarantine except its stamp.
    other
        Rows of other sources, with the same columns.
    """

    good: pl.DataFrame
    broken: pl.DataFrame
    other: pl.DataFrame

    @property
    def refused(self) -> pl.DataFrame:
        """All rows for the quarantine."""
        return pl.concat([self.broken, self.other])

    def of(self, tickers: Sequence[str]) -> Rows:
        """Return the rows of some tickers."""
        own = pl.col("ticker").is_in(list(tickers))
        return Rows(self.good.filter(own), self.broken.filter(own), self.other.filter(own))


def split_by_source(origins: Origins, good: pl.DataFrame, broken: pl.DataFrame) -> Rows:
    """Split rows that keep every rule into those of their ticker's source, and those that another source refuses."""
    from pm.quality import original_json

    kept = origins.accepted(good)
    foreign = good.join(kept, on=["batch_id", "row"], how="anti") if kept.height < good.height else good.clear()
    columns = ("batch_id", "row", "ticker", "date", "rule", "original")
    other = foreign.select("batch_id", "row", "ticker", "date", original_json(foreign), rule=pl.lit(OTHER_SOURCE))
    return Rows(kept, broken.select(columns), other.select(columns))


def check_history(
    context: Context, origins: Origins, tickers: Sequence[str], rows: Rows, changes: Changes, *, afresh: bool
) -> pl.DataFrame:
    """Note what rows of some tickers change, and return their counts by batch.

    Parameters
    ----------
    tickers
        The tickers: those of the rows, and others with new dividends and splits.
    rows
        Their rows.
    afresh
        Whether nothing that was derived of them before counts.
    """
    from pm.quality import effective_actions, flag_bars, flag_bounds, flag_odd_bars

    today, settings = utc_today(), context.settings
    named = list(tickers)
    current = context.read(BARS, "NOT ?", [afresh], among={"ticker": named}, columns=BARS_READ)
    actions = origins.effective(context.read(RAW_ACTIONS, among={"ticker": named}))
    certain = origins.certain(actions)
    known = context.read(REBASINGS, "NOT ?", [afresh], among={"ticker": named})
    found = find_new_rebasings(context, origins, rows.good, current, known)
    rebasings = pl.concat([known.select(found.columns).join(found, on=list(REBASINGS.key), how="anti"), found])
    rebased = found.filter(pl.col("ratio") != 1.0)["ticker"]
    unsettled = _unsettled(context, origins, current, actions, named, rebased)
    good, refactored = _with_factors(rows.good, unsettled, actions, rebasings, certain)
    classified = classified_rows(context, good, current, rebasings)
    changed = pl.concat(
        [
            classified.updated,
            refactored.select(classified.updated.columns).join(classified.updated, on=["ticker", "date"], how="anti"),
        ]
    )
    written = context.stamp(pl.concat([classified.inserted, changed]), cutoff=today)
    history = pl.concat([current.join(written, on=["ticker", "date"], how="anti"), written.select(BARS_READ)])
    exchanges = exchanges_of(context, origins, named)
    told = effective_actions(actions)
    flags = flag_bars(
        history,
        actions=told.filter(~pl.col("batch_id").is_in(certain)),
        rebasings=rebasings,
        refused=_refused(context, rows.broken, named, afresh=afresh),
        exchanges=exchanges,
        settings=settings.quality,
    )
    lacking = history.filter(pl.col("open").is_null())["ticker"].unique().to_list()
    unusable = unusable_ranges(context, lacking)
    flags = pl.concat([flags, flag_odd_bars(history, unusable=unusable, exchanges=exchanges)])

    changes.add(BARS, written.head(classified.inserted.height))
    changes.merge(BARS, written.tail(changed.height))
    changes.merge(REBASINGS, context.stamp(found, cutoff=today))
    changes.add(RESTATEMENTS, context.stamp(classified.restatements, cutoff=today))
    changes.add(QUARANTINE, context.stamp(rows.refused, cutoff=today))
    if not current.is_empty():
        changes.forget(BAR_FLAGS, named)
    changes.forget(FLAG_BOUNDS, named)
    changes.add(BAR_FLAGS, context.stamp(flags, cutoff=today))
    uncertain = told.filter(pl.col("source") != USER, ~pl.col("batch_id").is_in(certain))["ticker"]
    moving = pl.concat([origins.adjusted(), rebasings["ticker"], uncertain])
    steady = history.filter(~pl.col("ticker").is_in(moving.unique().implode())).sort("ticker", "date")
    changes.merge(FLAG_BOUNDS, context.stamp(flag_bounds(steady, settings.quality), cutoff=today))
    changes.tally.flagged += flags.height
    return changes.count(classified.counts, rows.refused)


def classified_rows(context: Context, good: pl.DataFrame, current: pl.DataFrame, rebasings: pl.DataFrame) -> Classified:
    """Return what good rows change beside the bars of the lake."""
    from pm.quality import classify

    batches = context.query("SELECT batch_id, decimals, adj_decimals FROM raw.batches")
    return classify(good, current, rebasings, batches)


def exchanges_of(context: Context, origins: Origins, tickers: Sequence[str]) -> dict[str, str]:
    """Return the exchange of each ticker that has one which is known."""
    exchange_of = context.settings.sources.exchanges.exchange_of
    told = {row["ticker"]: exchange_code(row["exchange"]) for row in context.known_rows(_EXCHANGES, ())}
    return {
        ticker: exchange
        for ticker, origin in origins.chosen.filter(pl.col("ticker").is_in(list(tickers))).iter_rows()
        if (exchange := exchange_of(ticker, origin) or told.get(ticker)) is not None
    }


def unusable_ranges(context: Context, tickers: Sequence[str], *, since: str = "") -> pl.DataFrame:
    """Return the rows of tickers, from a batch on, whose open, high and low may be unusable."""
    if not tickers:  # a query with no ticker would read the table all the same
        shape = ("ticker", "batch_id", "row", "open", "high", "low", "close")
        return pl.DataFrame(schema={name: RAW_BARS.polars_schema[name] for name in shape})
    return context.query(_UNUSABLE_RANGES, [list(tickers), context.settings.quality.price_tolerance, since])


def find_new_rebasings(
    context: Context, origins: Origins, good: pl.DataFrame, current: pl.DataFrame, known: pl.DataFrame
) -> pl.DataFrame:
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
        _with_landed(context, origins, past).select(shape),
        known.filter(pl.col("ticker").is_in(suspects.implode())),
    )


def _refused(context: Context, broken: pl.DataFrame, tickers: list[str], *, afresh: bool) -> pl.DataFrame:
    """Return all rows of the tickers that a rule refused, now or before."""
    columns = ("ticker", "date", "batch_id", "rule")
    known = context.read(
        QUARANTINE, "rule <> ? AND NOT ?", [OTHER_SOURCE, afresh], among={"ticker": tickers}, columns=columns
    )
    return pl.concat([known.select(columns), broken.select(columns)])


def _unsettled(
    context: Context,
    origins: Origins,
    current: pl.DataFrame,
    actions: pl.DataFrame,
    tickers: list[str],
    rebased: pl.Series,
) -> pl.DataFrame:
    """Return the lake's bars whose factor depends on other bars or on actions, with the adj_close they landed with.

    These are the bars of tickers with actions, of tickers with an adjusted close on some bars but not on all, and of
    tickers that a delivery brings to another basis.
    """
    of_sources = origins.adjusted()
    adjusted = of_sources.filter(of_sources.is_in(tickers)).to_list()
    names = [actions["ticker"], rebased]
    if adjusted and current.height:
        names.append(context.query(_PARTLY_ADJUSTED, [adjusted])["ticker"])
    return _with_landed(context, origins, current.filter(pl.col("ticker").is_in(pl.concat(names).unique().implode())))


def _with_landed(context: Context, origins: Origins, bars: pl.DataFrame) -> pl.DataFrame:
    """Return bars of the lake with the adj_close that they landed with."""
    adjusted = bars.filter(pl.col("ticker").is_in(origins.adjusted().implode()))
    if adjusted.is_empty():
        return bars.with_columns(adj_close=pl.lit(None, pl.Float64))
    origin = [adjusted[name].unique().to_list() for name in ("ticker", "batch_id")]
    return bars.join(context.query(_LANDED_ADJ_CLOSE, origin), on=["batch_id", "row"], how="left")


def _with_factors(
    good: pl.DataFrame,
    unsettled: pl.DataFrame,
    actions: pl.DataFrame,
    rebasings: pl.DataFrame,
    certain: Sequence[str],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the good rows with their factors, and the lake's bars whose factor they or a new action change."""
    from pm.quality import adjustment_factors

    shape = list(RAW_BARS.polars_schema)
    good = _with_known_factors(good, unsettled, actions, rebasings)
    past = unsettled.join(good, on=["ticker", "date"], how="anti")
    both = adjustment_factors(pl.concat([good.select(shape), past.select(shape)]), actions, rebasings, certain=certain)
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
