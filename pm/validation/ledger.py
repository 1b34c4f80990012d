"""Record trials in a chain of hashes: one when it starts, one when it ends, and one when it is found to be killed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.ledger.journal import START, Head, Journal
from pm.tables.validation import TRIAL_FILLS, TRIAL_RETURNS, TRIALS
from pm.tables.vocabulary import TrialState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["TrialLedger", "content_hash"]

_SAME = ("settings_hash", "code_hash", "universe_hash", "from_date", "to_date", "step", "costs", "cost", "benchmark")
"""Columns that two trials of one configuration have in common."""


class TrialLedger:
    """The rows of table `trials`, and those that are about to be added.

    Parameters
    ----------
    rows
        All rows of the table.
    run_id
        Run that adds rows.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], run_id: str) -> None:
        self._rows = sorted(rows, key=lambda row: row["sequence"])
        head = Head(self._rows[-1]["sequence"], self._rows[-1]["hash"]) if self._rows else START
        self._journal = Journal(head, run_id)

    def newest(self) -> dict[str, Mapping[str, Any]]:
        """Return the newest row of each trial, in the order of their starts."""
        return {row["trial_id"]: row for row in self._rows}

    def unended(self) -> list[Mapping[str, Any]]:
        """Return the rows of trials that started and have not ended."""
        return [row for row in self.newest().values() if row["state"] == TrialState.STARTED]

    def start(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Add the row of a trial that starts, and return it; `parent` is the first trial of the same configuration."""
        same = (row for row in self._rows if all(row[name] == values[name] for name in _SAME))
        parent = next((row["trial_id"] for row in same), None)
        return self._add({**values, "state": TrialState.STARTED.value, "parent": parent})

    def end(self, started: Mapping[str, Any], state: TrialState, **values: object) -> dict[str, Any]:
        """Add the row of a trial that ends, and return it."""
        kept = {
            name: value
            for name, value in started.items()
            if name not in {"recorded_at", "run_id", "sequence", "previous_hash", "hash"}
        }
        return self._add({**kept, **values, "state": state.value})

    def drain(self) -> pl.DataFrame:
        """Return the rows that were added, and begin anew after them: they are about to be committed."""
        frames = dict(self._journal.drain())
        return frames.get(TRIALS, TRIALS.polars_schema.to_frame())

    def _add(self, values: Mapping[str, Any]) -> dict[str, Any]:
        row = self._journal.add(TRIALS, {**values, "previous_hash": self._journal.head.hash})
        self._rows.append(row)
        return row


def content_hash(returns: pl.DataFrame, fills: pl.DataFrame) -> str:
    """Return the SHA-256 of a trial's rows in `trial_returns` and `trial_fills`, in order of date and of fill."""
    digest = hashlib.sha256()
    for table, frame in ((TRIAL_RETURNS, returns.sort("date")), (TRIAL_FILLS, fills.sort("fill"))):
        for name, dtype in table.polars_schema.items():
            if name == "trial_id":
                continue
            column = frame[name]
            digest.update(name.encode())
            if dtype == pl.Float64:
                digest.update(column.fill_null(float("nan")).to_numpy().astype("<f8").tobytes())
            elif dtype == pl.Int64:
                digest.update(column.to_numpy().astype(np.dtype("<i8")).tobytes())
            else:
                digest.update("\x1f".join("" if value is None else str(value) for value in column).encode())
    return digest.hexdigest()
