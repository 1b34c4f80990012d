"""Record trials in a chain of hashes: one when it starts, one when it ends, and one when it is found to be killed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.audit.chain import Fault, verify_chain
from pm.errors import AuditError
from pm.ledger.journal import START, Head, Journal
from pm.plural import plural
from pm.tables.validation import TRIAL_FILLS, TRIAL_RETURNS, TRIALS
from pm.tables.vocabulary import TrialState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["TrialLedger", "check_known", "content_hash", "verify_trials"]

_SAME = ("settings_hash", "code_hash", "universe_hash", "from_date", "to_date", "step", "costs", "cost", "benchmark")
"""Columns that two trials of one configuration have in common."""


_RESTORE = "restore a backup: docs/damage.md. All trials count, so that none is run or judged without the others"


class TrialLedger:
    """The rows of table `trials`, and those that are about to be added.

    Parameters
    ----------
    rows
        All rows of the table.
    run_id
        Run that adds rows.

    Raises
    ------
    AuditError
        A row was changed or removed. Nothing is added to a chain that is broken.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], run_id: str) -> None:
        _, fault = verify_chain({TRIALS.qualified: rows}, tables=(TRIALS,))
        if fault is not None:
            raise AuditError(fault.reason, where=f"position {fault.sequence} of the chain of trials", hint=_RESTORE)
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


def check_known(trials: Collection[str], named: Iterable[str]) -> None:
    """Check that table `trials` has all trials that another table names.

    Raises
    ------
    AuditError
        It has not: their rows were removed.
    """
    missing = sorted(set(named) - set(trials))
    if missing:
        raise AuditError(_removed(missing), where="table trials", hint=_RESTORE)


def _removed(missing: Sequence[str]) -> str:
    others = f" and {plural(len(missing) - 1, 'other trial')}" if len(missing) > 1 else ""
    return f"The rows of trial {missing[0]}{others} are missing: they were removed."


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


def verify_trials(
    rows: Sequence[Mapping[str, Any]], returns: pl.DataFrame, fills: pl.DataFrame, named: Iterable[str] = ()
) -> tuple[Head, Fault | None]:
    """Return the end of the chain of trials, and the first place at which it, or what a trial made, was changed.

    The chain alone does not show that its last rows are missing, or all: then tables name trials that it has not.

    Parameters
    ----------
    rows
        Table `trials`.
    returns, fills
        Tables `trial_returns` and `trial_fills`.
    named
        Trials that other tables name, such as those that a judgement or a finished stage is about.
    """
    head, fault = verify_chain({TRIALS.qualified: rows}, tables=(TRIALS,))
    if fault is not None:
        return head, fault
    missing = sorted({*returns["trial_id"], *fills["trial_id"], *named} - {row["trial_id"] for row in rows})
    if missing:
        return head, Fault(None, head.sequence + 1, _removed(missing))
    ended = {row["trial_id"] for row in rows if row["returns_hash"] is not None}
    without = sorted({*returns["trial_id"], *fills["trial_id"]} - ended)
    if without:
        detail = f"Trial {without[0]} has returns or fills, and its rows say that it has not ended."
        return head, Fault(TRIAL_RETURNS.qualified, head.sequence + 1, detail)
    made = {trial: own for (trial,), own in returns.partition_by("trial_id", as_dict=True).items()}
    traded = {trial: own for (trial,), own in fills.partition_by("trial_id", as_dict=True).items()}
    for row in sorted(rows, key=lambda row: row["sequence"]):
        if row["returns_hash"] is None:
            continue
        own = made.get(row["trial_id"], returns.clear()), traded.get(row["trial_id"], fills.clear())
        if content_hash(*own) != row["returns_hash"]:
            detail = f"Returns or fills of trial {row['trial_id']} were changed."
            return head, Fault(TRIAL_RETURNS.qualified, row["sequence"], detail)
    return head, None
