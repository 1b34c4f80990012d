"""What good bars change in the lake: which are new, which rewrite the past, which say nothing new."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from pm.tables.quality import BARS

__all__ = ["Classified", "classify"]

_KEY = ("ticker", "date")
_RESTATED = ("open", "high", "low", "close", "volume")
_COMPARED = (*_RESTATED, "adj_factor")
_RELATIVE = 1e-12
_BARS = BARS.unstamped_schema.names()


@dataclass(frozen=True)
class Classified:
    """What good bars change.

    Attributes
    ----------
    inserted
        Bars of a ticker and date that had none; columns of bars but its stamp.
    updated
        Bars that replace one that said otherwise; the same columns.
    counts
        A row a batch: batch_id, inserted, updated, unchanged. Every good row is counted once, in its own batch.
    restatements
        Each price or volume that was rewritten; columns of restatements but its stamp.
    """

    inserted: pl.DataFrame
    updated: pl.DataFrame
    counts: pl.DataFrame
    restatements: pl.DataFrame


def classify(good: pl.DataFrame, current: pl.DataFrame) -> Classified:
    """Compare good bars with the lake's.

    The bar the lake has, and those that landed for its ticker and date in the order they were fetched, make a chain.
    A landed row without a forerunner is inserted; one equal to it (each value within 1e-12, relatively) unchanged;
    any other updated. The lake keeps the last that was not unchanged.

    Parameters
    ----------
    good
        Rows of `Checked.good` with adj_factor.
    current
        The bars of these tickers, with the columns of bars, stamped or not.
    """
    chain = _chain(good, current)
    landed = chain.filter(pl.col("landed"))
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


def _chain(good: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """Put each key's rows one after the other, each beside its forerunner's values (`before_…`)."""
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
    # A key is known to the lake if its chain starts there; and an old value is as old as the row that first said it.
    starts = pl.when("first").then(~pl.col("landed")).forward_fill()
    said = pl.when(pl.col("outcome") != "unchanged")
    return rows.with_columns(
        known=starts,
        before_fetched_at=said.then("fetched_at").forward_fill().shift(1),
        before_batch_id=said.then("batch_id").forward_fill().shift(1),
    )


def _same_key(offset: int) -> pl.Expr:
    """Tell whether the row `offset` before is of the same ticker and date."""
    return pl.all_horizontal((pl.col(name) == pl.col(name).shift(offset)).fill_null(value=False) for name in _KEY)


def _equal(value: pl.Expr, before: pl.Expr) -> pl.Expr:
    """Tell whether a value is its forerunner: both missing, or as near as rounding."""
    near = (value - before).abs() <= _RELATIVE * pl.max_horizontal(value.abs(), before.abs())
    return near.fill_null(value=False) | (value.is_null() & before.is_null())


def _restatements(updated: pl.DataFrame) -> pl.DataFrame:
    """Give a row for each price or volume that an updated bar says otherwise than its forerunner."""
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
