"""Compare good bars with those of the lake: which are new, which change a past bar, which change nothing."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pm.tables.quality import BARS

__all__ = ["Classified", "classify"]

_KEY = ("ticker", "date")
_RESTATED = ("open", "high", "low", "close", "volume")
_COMPARED = (*_RESTATED, "adj_factor")
_RELATIVE_TOLERANCE = 1e-12
"""Relative difference up to which two values are equal."""
_BARS = BARS.unstamped_schema.names()


@dataclass(frozen=True)
class Classified:
    """The changes that good bars make to table bars.

    Attributes
    ----------
    inserted
        Bars of a ticker and date that had no bar, with the columns of bars except its stamp.
    updated
        Bars that replace a bar with other values, with the columns of bars except its stamp.
    counts
        One row a batch: batch_id, inserted, updated, unchanged. Every good row is counted once, in its own batch.
    restatements
        Each price or volume that was changed, with the columns of restatements except its stamp.
    """

    inserted: pl.DataFrame
    updated: pl.DataFrame
    counts: pl.DataFrame
    restatements: pl.DataFrame


def classify(good: pl.DataFrame, current: pl.DataFrame) -> Classified:
    """Classify good bars as inserted, updated or unchanged.

    For each ticker and date, the bar of the lake and the delivered bars, in the order in which they were fetched, form
    a sequence. A delivered bar without a predecessor is inserted; one equal to its predecessor (each value within a
    relative 1e-12) is unchanged; any other is updated. The lake keeps the last bar that is not unchanged.

    Parameters
    ----------
    good
        Rows of `Checked.good`, with adj_factor.
    current
        Bars of these tickers in the lake, with the columns of bars; the stamp can be absent.
    """
    sequence = _sequence(good, current)
    landed = sequence.filter(pl.col("landed"))
    changing = landed.filter(pl.col("outcome") != "unchanged")
    last = changing.filter(~_same_key(-1)).select(*_BARS, "known")
    return Classified(
        inserted=last.filter(~pl.col("known")).select(_BARS),
        updated=last.filter("known").select(_BARS),
        counts=landed.group_by("batch_id", maintain_order=True).agg(
            (pl.col("outcome") == outcome).sum().cast(pl.Int64).alias(outcome)
            for outcome in ("inserted", "updated", "unchanged")
        ),
        restatements=_restatements(landed.filter(pl.col("outcome") == "updated")),
    )


def _sequence(good: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """Return each key's rows in sequence, each with the values of its predecessor in columns `before_…`."""
    rows = pl.concat(
        [
            current.select(*_BARS, landed=pl.lit(value=False)),
            good.select(*_BARS, landed=pl.lit(value=True)),
        ]
    ).sort("ticker", "date", "landed", "fetched_at", "batch_id", "row")
    follows = _same_key(1)
    outcome = (
        pl.when(~follows)
        .then(pl.lit("inserted"))
        .when(pl.all_horizontal(_equal(pl.col(name), pl.col(name).shift(1)) for name in _COMPARED))
        .then(pl.lit("unchanged"))
        .otherwise(pl.lit("updated"))
    )
    rows = rows.with_columns(
        *(pl.col(name).shift(1).alias(f"before_{name}") for name in _RESTATED), outcome=outcome, first=~follows
    )
    # The lake has a key if the sequence starts with its bar. An old value dates from the first row that had it.
    starts = pl.when("first").then(~pl.col("landed")).forward_fill()
    changed = pl.when(pl.col("outcome") != "unchanged")
    return rows.with_columns(
        known=starts,
        before_fetched_at=changed.then("fetched_at").forward_fill().shift(1),
        before_batch_id=changed.then("batch_id").forward_fill().shift(1),
    )


def _same_key(offset: int) -> pl.Expr:
    """Return whether the row `offset` rows before has the same ticker and date."""
    return pl.all_horizontal((pl.col(name) == pl.col(name).shift(offset)).fill_null(value=False) for name in _KEY)


def _equal(value: pl.Expr, before: pl.Expr) -> pl.Expr:
    """Return whether a value equals its predecessor: both are missing, or they differ by rounding only."""
    near = (value - before).abs() <= _RELATIVE_TOLERANCE * pl.max_horizontal(value.abs(), before.abs())
    return near.fill_null(value=False) | (value.is_null() & before.is_null())


def _restatements(updated: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each price or volume in which an updated bar differs from its predecessor."""
    pieces = [
        updated.filter(~_equal(pl.col(name), pl.col(f"before_{name}"))).select(
            *_KEY,
            field=pl.lit(name),
            old_value=f"before_{name}",
            new_value=name,
            first_seen="before_fetched_at",
            seen_at="fetched_at",
            old_batch_id="before_batch_id",
            new_batch_id="batch_id",
        )
        for name in _RESTATED
    ]
    return pl.concat(pieces).sort("ticker", "date", "seen_at", "field")
