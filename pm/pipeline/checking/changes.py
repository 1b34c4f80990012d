"""Collect what the check of some tickers changes, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.pipeline.writes import Delete, Merge, Write
from pm.tables.quality import (
    BAR_FLAGS,
    BARS,
    FLAG_BOUNDS,
    QUARANTINE,
    REBASINGS,
    RECONCILIATION,
    RESTATEMENTS,
    TICKER_SOURCES,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.pipeline.stage import Context
    from pm.tables.declaration import Table

__all__ = ["DERIVED", "PARTS", "Changes", "Tally"]

DERIVED = (BARS, QUARANTINE, BAR_FLAGS, RECONCILIATION, RESTATEMENTS, REBASINGS, TICKER_SOURCES, FLAG_BOUNDS)
"""Tables that the check writes."""
PARTS = ("inserted", "updated", "unchanged", "quarantined")
"""What becomes of a row that landed."""
_OF_TICKERS = "ticker IN (SELECT unnest(?::VARCHAR[]))"


@dataclass
class Tally:
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


class Changes:
    """What the check of some tickers changes, piece by piece.

    Parameters
    ----------
    context
        The stage's context.
    afresh
        Whether everything derived before is deleted first.
    """

    def __init__(self, context: Context, *, afresh: bool) -> None:
        self.tally = Tally()
        self.counts: list[pl.DataFrame] = []
        """Counts of rows by batch, of new batches."""
        self.corrections: list[pl.DataFrame] = []
        """What to add to the accounts of batches that were checked before, by batch."""
        self._context = context
        self._afresh = afresh
        self._added = {table: context.spool(table) for table in (BARS, RESTATEMENTS, QUARANTINE, BAR_FLAGS)}
        self._merged: dict[Table, list[pl.DataFrame]] = {
            table: [] for table in (BARS, REBASINGS, TICKER_SOURCES, FLAG_BOUNDS)
        }
        self._deletes: list[Delete] = []

    def add(self, table: Table, rows: pl.DataFrame) -> None:
        """Add rows to a table."""
        self._added[table].add(rows)

    def merge(self, table: Table, rows: pl.DataFrame) -> None:
        """Add rows to a table, or replace those of the same key."""
        if not rows.is_empty():
            self._merged[table].append(rows)

    def forget(self, table: Table, tickers: Sequence[str]) -> None:
        """Delete the rows of tickers before those added here."""
        if tickers:
            self._deletes.append(Delete(table, _OF_TICKERS, [list(tickers)]))

    def forget_flags(self, flags: pl.DataFrame) -> None:
        """Delete flags before those added here: columns ticker, date and rule; of a null rule, all from the date on."""
        if flags.is_empty():
            return
        listed = {"replaced": flags.select("ticker", "date", "rule")}
        tickers = flags["ticker"].unique().to_list()
        same_day = "r.rule = bar_flags.rule AND r.date = bar_flags.date"
        for condition in ("r.rule IS NULL AND r.date <= bar_flags.date", same_day):
            where = f"{_OF_TICKERS} AND EXISTS (FROM replaced r WHERE r.ticker = bar_flags.ticker AND {condition})"
            self._deletes.append(Delete(BAR_FLAGS, where, [tickers], listed))

    def writes(self) -> list[Write]:
        """Return the changes, in order."""
        first: list[Write] = [Delete(table) for table in DERIVED] if self._afresh else []
        merged = {table: Merge(table, pl.concat(frames)) for table, frames in self._merged.items() if frames}
        bars, *others = (spool.append() for spool in self._added.values())
        changed = [merged.pop(BARS)] if BARS in merged else []
        return [*first, *self._deletes, bars, *changed, *others, *merged.values()]

    def count(self, classified: pl.DataFrame, refused: pl.DataFrame) -> pl.DataFrame:
        """Add rows to the tally, and return their counts by batch.

        Parameters
        ----------
        classified
            Columns batch_id, inserted, updated and unchanged.
        refused
            Rows for the quarantine.
        """
        quarantined = refused.group_by("batch_id").agg(quarantined=pl.len().cast(pl.Int64))
        self.tally.inserted += int(classified["inserted"].sum())
        self.tally.updated += int(classified["updated"].sum())
        self.tally.unchanged += int(classified["unchanged"].sum())
        self.tally.quarantined += refused.height
        return pl.concat([classified, quarantined], how="diagonal")
