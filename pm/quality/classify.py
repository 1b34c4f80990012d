"""Compare good bars with those of the lake: which are new, which change a past bar, which change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from pm.quality.rebasing import BEFORE
from pm.quality.rebasing import PRICES as PRICES_FIELD
from pm.tables.quality import BARS, REBASINGS, RESTATEMENTS
from pm.tables.vocabulary import RestatementKind

__all__ = ["Classified", "classify"]

_KEY = ("ticker", "date")
_RESTATED = ("open", "high", "low", "close", "volume")
_COMPARED = (*_RESTATED, "adj_factor")
_RELATIVE_TOLERANCE = 1e-6
"""Relative difference up to which two values are equal: vendors compute prices anew, and their last digits vary."""
_JUST_ENDED = timedelta(days=3)
"""Time after a session, a weekend included, within which its volume can be incomplete."""
_INSERTED, _UNCHANGED, _UPDATED = range(3)
"""What becomes of a delivered bar."""
_OUTCOMES = ("inserted", "unchanged", "updated")
_EXACT = pl.DataFrame(schema={"batch_id": pl.String, "decimals": pl.Int64, "adj_decimals": pl.Int64})
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


def classify(
    good: pl.DataFrame,
    current: pl.DataFrame,
    rebasings: pl.DataFrame | None = None,
    batches: pl.DataFrame = _EXACT,
) -> Classified:
    """Classify good bars as inserted, updated or unchanged.

    For each ticker and date, the bar of the lake and the delivered bars, in the order in which they were fetched, form
    a sequence. The first is kept. A delivered bar without a kept one is inserted; one equal to the kept one is
    unchanged; any other is updated, and so is one whose delivery has another basis than the bars before it; then it is
    the one that is kept. Many small changes therefore add up until they are one.

    Two values are equal if they differ by at most a relative 1e-6, if the later one is the earlier price rounded to the
    decimals of its delivery, or if the later one is missing.

    Parameters
    ----------
    good
        Rows of `Checked.good`, with adj_factor.
    current
        Bars of these tickers in the lake, with the columns of bars; the stamp can be absent.
    rebasings
        Rebasings of these deliveries, with the columns of rebasings; none if absent.
    batches
        Numbers of decimals of the deliveries: batch_id, decimals, adj_decimals. One that is absent is exact.
    """
    if current.is_empty() and good.n_unique(_KEY) == good.height:  # no bar is there twice
        return _all_inserted(good)
    empty = REBASINGS.polars_schema.to_frame()
    sequence = _sequence(good, current, empty if rebasings is None else rebasings, batches)
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


def _all_inserted(good: pl.DataFrame) -> Classified:
    nothing = good.clear().select(_BARS)
    counts = good.group_by("batch_id", maintain_order=True).agg(inserted=pl.len().cast(pl.Int64))
    return Classified(
        inserted=good.select(_BARS).sort(_KEY),
        updated=nothing,
        counts=counts.with_columns(updated=pl.lit(0, pl.Int64), unchanged=pl.lit(0, pl.Int64)),
        restatements=RESTATEMENTS.unstamped_schema.to_frame(),
    )


def _sequence(
    good: pl.DataFrame, current: pl.DataFrame, rebasings: pl.DataFrame, batches: pl.DataFrame
) -> pl.DataFrame:
    """Return each key's rows in sequence, each with the values of the one kept before it in columns `before_…`."""
    moved = rebasings.filter(pl.col("ratio") != 1.0, pl.col("scope") == BEFORE)
    basis = good.join(moved.select("ticker", "batch_id", "field", until="date"), on=["ticker", "batch_id"], how="left")
    rebased = (pl.col("date") < pl.col("until")).fill_null(value=False)
    known = current.join(good.select(_KEY), on=_KEY, how="semi")
    rows = pl.concat(
        [
            known.select(*_BARS, landed=pl.lit(value=False), rebased=pl.lit(value=False), split=pl.lit(value=False)),
            basis.select(
                *_BARS,
                landed=pl.lit(value=True),
                rebased=rebased,
                split=rebased & (pl.col("field") == PRICES_FIELD),
            ),
        ]
    ).sort("ticker", "date", "landed", "fetched_at", "batch_id", "row")
    units = rows.select("batch_id").join(
        batches.select(
            "batch_id",
            *((pl.lit(10.0) ** -pl.col(name).cast(pl.Float64)).alias(name) for name in ("decimals", "adj_decimals")),
        ),
        on="batch_id",
        how="left",
        maintain_order="left",
    )
    comparison = _Comparison(rows, units.fill_null(0.0))
    outcome, kept, first = comparison.run(rows["rebased"].to_numpy())
    before = rows.select(*_RESTATED, "fetched_at", "batch_id")[kept]
    return rows.with_columns(
        *(before[name].alias(f"before_{name}") for name in before.columns),
        *(pl.Series(f"same_{name}", comparison.is_kept(name, np.arange(rows.height), kept)) for name in _RESTATED),
        outcome=pl.Series(np.array(_OUTCOMES)[outcome], dtype=pl.String),
        # The lake has a key if the sequence starts with its bar.
        known=~rows["landed"][first],
    )


class _Comparison:
    """Rows in sequence, compared with the row of their key that was kept last.

    Parameters
    ----------
    rows
        Rows sorted by key and then by time, with the columns of bars and `landed`.
    units
        For each row, the smallest difference that its delivery can write: `decimals` of prices, and `adj_decimals` of
        adjusted closes; 0 if unknown.
    """

    def __init__(self, rows: pl.DataFrame, units: pl.DataFrame) -> None:
        self._values = {name: rows[name].to_numpy() for name in _COMPARED}
        self._values["adj_close"] = self._values["close"] * self._values["adj_factor"]
        self._unit, self._adj_unit = units["decimals"].to_numpy(), units["adj_decimals"].to_numpy()
        is_same = rows.select(_same_key(1)).to_series().to_numpy()
        self._starts = np.flatnonzero(~is_same)
        self._sizes = np.diff(np.append(self._starts, rows.height))
        self._landed = rows["landed"].to_numpy()

    def run(self, rebased: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each row's outcome, the place of the row kept before it, and the place of its key's first row."""
        height = self._landed.size
        outcome = np.full(height, _INSERTED)
        before = np.arange(height)
        kept = self._starts.copy()
        for step in range(1, int(self._sizes.max(initial=1))):
            longer = np.flatnonzero(self._sizes > step)
            row = self._starts[longer] + step
            before[row] = kept[longer]
            equal = ~rebased[row]
            for name in _COMPARED:
                equal &= self.equal(name, row, kept[longer])
            outcome[row] = np.where(equal, _UNCHANGED, _UPDATED)
            kept[longer] = np.where(equal, kept[longer], row)
        return outcome, before, np.repeat(self._starts, self._sizes)

    def equal(self, name: str, row: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return whether a value says nothing new beside that of an earlier row.

        It is missing, or differs by noise or rounding only.
        A file of closes alone does not take back the volume and the range that another file had.
        """
        if name == "volume":
            return self._near(name, row, other, np.zeros(row.size))
        if name == "adj_factor":
            by_factor = self._near(name, row, other, np.zeros(row.size))
            return np.asarray(by_factor | self._near("adj_close", row, other, self._adj_unit[row]))
        return self._near(name, row, other, self._unit[row])

    def is_kept(self, name: str, row: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return whether a bar that replaces an earlier one keeps its value: a missing value takes one back."""
        new, old = self._values[name][row], self._values[name][other]
        return np.asarray(self.equal(name, row, other) & (np.isnan(old) | ~np.isnan(new)))

    def _near(self, name: str, row: np.ndarray, other: np.ndarray, unit: np.ndarray) -> np.ndarray:
        new, old = self._values[name][row], self._values[name][other]
        allowed = np.maximum(_RELATIVE_TOLERANCE * np.maximum(np.abs(new), np.abs(old)), 0.5 * unit * (1 + 1e-9))
        return np.asarray((np.abs(new - old) <= allowed) | np.isnan(new))


def _same_key(offset: int) -> pl.Expr:
    """Return whether the row `offset` rows before has the same ticker and date."""
    return pl.all_horizontal((pl.col(name) == pl.col(name).shift(offset)).fill_null(value=False) for name in _KEY)


def _kind(name: str) -> pl.Expr:
    """Return what a value of an updated bar was changed for."""
    if name == "volume":
        same_prices = pl.all_horizontal(f"same_{other}" for other in _RESTATED if other != name)
        was_new = pl.col("before_fetched_at").dt.date() <= pl.col("date") + _JUST_ENDED
        is_late = same_prices & was_new
    else:
        is_late = pl.lit(value=False)
    return (
        pl.when("split")
        .then(pl.lit(RestatementKind.SPLIT.value))
        .when(is_late)
        .then(pl.lit(RestatementKind.LATE_VOLUME.value))
        .otherwise(pl.lit(RestatementKind.CORRECTION.value))
    )


def _restatements(updated: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each price or volume in which an updated bar differs from its predecessor."""
    pieces = [
        updated.filter(~pl.col(f"same_{name}")).select(
            *_KEY,
            field=pl.lit(name),
            kind=_kind(name),
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
