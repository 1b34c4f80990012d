"""Record trials in a chain of hashes: rows when one starts and ends or is found killed, and when all are judged."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.audit.chain import Fault, verify_chain
from pm.errors import AuditError
from pm.ledger.journal import Head, Journal
from pm.plural import plural
from pm.tables.validation import (
    OVERFITTING_TESTS,
    TRIAL_FILLS,
    TRIAL_JUDGEMENTS,
    TRIAL_RETURNS,
    TRIAL_TARGETS,
    TRIAL_TESTS,
    TRIALS,
)
from pm.tables.vocabulary import TrialState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pm.tables.declaration import Table

__all__ = ["TRIAL_CHAIN", "RecordedTrials", "TrialLedger", "check_known", "content_hash", "rows_hash", "verify_trials"]

TRIAL_CHAIN = (TRIALS, TRIAL_JUDGEMENTS)
"""Tables whose rows are the chain of trials."""

_SAME = ("settings_hash", "code_hash", "universe_hash", "from_date", "to_date", "step", "costs", "cost", "benchmark")
"""Columns that two trials of one configuration have in common."""


_RESTORE = "restore a backup: docs/damage.md. All trials count, so that none is run or judged without the others"


class TrialLedger:
    """The rows of the chain of trials, and those that are about to be added.

    Parameters
    ----------
    rows
        All rows of table `trials`.
    run_id
        Run that adds rows.
    judgements
        All rows of table `trial_judgements`.

    Raises
    ------
    AuditError
        A row was changed or removed. Nothing is added to a chain that is broken.
    """

    def __init__(
        self, rows: Sequence[Mapping[str, Any]], run_id: str, judgements: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        head, fault = _verified(rows, judgements)
        if fault is not None:
            raise AuditError(fault.reason, where=f"position {fault.sequence} of the chain of trials", hint=_RESTORE)
        self._rows = sorted(rows, key=lambda row: row["sequence"])
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

    def judge(self, tests: pl.DataFrame, splits: pl.DataFrame) -> pl.DataFrame:
        """Add the row of a judgement, and return the rows of table `trial_judgements` that were added.

        Parameters
        ----------
        tests, splits
            Rows of tables `trial_tests` and `overfitting_tests` that are about to be committed.
        """
        self._journal.add(
            TRIAL_JUDGEMENTS,
            {
                "trials": len(self.newest()),
                "tests_hash": rows_hash(TRIAL_TESTS, tests),
                "overfitting_hash": rows_hash(OVERFITTING_TESTS, splits),
                "previous_hash": self._journal.head.hash,
            },
        )
        return dict(self._journal.drain())[TRIAL_JUDGEMENTS]

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


def rows_hash(table: Table, frame: pl.DataFrame) -> str:
    """Return the SHA-256 of rows of a table, whatever their order; numbers count to the last bit."""
    rows = table.conform(frame).sort(table.key)
    digest = hashlib.sha256()
    for name, dtype in table.polars_schema.items():
        digest.update(name.encode())
        if dtype == pl.Float64:
            digest.update(rows[name].is_null().to_numpy().tobytes())
            digest.update(rows[name].fill_null(0.0).to_numpy().astype("<f8").tobytes())
        else:
            digest.update(json.dumps(rows[name].to_list(), default=str).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class RecordedTrials:
    """All that a lake has of trials.

    Attributes
    ----------
    trials, judgements
        Rows of tables `trials` and `trial_judgements`.
    returns, fills, targets, tests, splits
        Tables `trial_returns`, `trial_fills`, `trial_targets`, `trial_tests` and `overfitting_tests`.
    named
        Further trials that other tables name, such as those that a finished stage is about.
    """

    trials: Sequence[Mapping[str, Any]]
    returns: pl.DataFrame
    fills: pl.DataFrame
    targets: pl.DataFrame = field(default_factory=TRIAL_TARGETS.polars_schema.to_frame)
    judgements: Sequence[Mapping[str, Any]] = ()
    tests: pl.DataFrame = field(default_factory=TRIAL_TESTS.polars_schema.to_frame)
    splits: pl.DataFrame = field(default_factory=OVERFITTING_TESTS.polars_schema.to_frame)
    named: Collection[str] = ()

    @property
    def made(self) -> set[str]:
        """Trials that have returns, fills or targets."""
        return {*self.returns["trial_id"], *self.fills["trial_id"], *self.targets["trial_id"]}


def verify_trials(recorded: RecordedTrials) -> tuple[Head, Fault | None]:
    """Return the end of the chain of trials, and the first place at which it, or what it is about, was changed.

    The chain alone does not show that its last rows are missing, or all: then tables name trials that it has not, or
    have tests without a judgement. What trials and judgements of older versions found has no hash in the chain.
    """
    head, fault = _verified(recorded.trials, recorded.judgements)
    if fault is not None:
        return head, fault
    known = {row["trial_id"] for row in recorded.trials}
    missing = sorted({*recorded.made, *recorded.tests["trial_id"], *recorded.named} - known)
    if missing:
        return head, Fault(None, head.sequence + 1, _removed(missing))
    without = sorted(recorded.made - {row["trial_id"] for row in recorded.trials if row["returns_hash"] is not None})
    if without:
        detail = f"Trial {without[0]} has returns, fills or targets, and its rows say that it has not ended."
        return head, Fault(TRIAL_RETURNS.qualified, head.sequence + 1, detail)
    return head, _changed_trial(recorded) or _changed_judgement(recorded, head)


def _verified(rows: Sequence[Mapping[str, Any]], judgements: Sequence[Mapping[str, Any]]) -> tuple[Head, Fault | None]:
    return verify_chain({TRIALS.qualified: rows, TRIAL_JUDGEMENTS.qualified: judgements}, tables=TRIAL_CHAIN)


def _changed_trial(recorded: RecordedTrials) -> Fault | None:
    """Return the first trial whose returns, fills or targets are not those of its row."""
    returns, fills, targets = (_by(frame, "trial_id") for frame in (recorded.returns, recorded.fills, recorded.targets))
    for row in sorted(recorded.trials, key=lambda row: row["sequence"]):
        trial = row["trial_id"]
        if row["returns_hash"] is None:
            continue
        own = returns.get(trial, recorded.returns.clear()), fills.get(trial, recorded.fills.clear())
        if content_hash(*own) != row["returns_hash"]:
            detail = f"Returns or fills of trial {trial} were changed."
            return Fault(TRIAL_RETURNS.qualified, row["sequence"], detail)
        told = row.get("targets_hash")
        if told is not None and rows_hash(TRIAL_TARGETS, targets.get(trial, recorded.targets.clear())) != told:
            return Fault(TRIAL_TARGETS.qualified, row["sequence"], f"Targets of trial {trial} were changed.")
    return None


def _changed_judgement(recorded: RecordedTrials, head: Head) -> Fault | None:
    """Return the first judgement whose tests are not those of its row, or that has no row."""
    tests, splits = _by(recorded.tests, "run_id"), _by(recorded.splits, "run_id")
    for row in sorted(recorded.judgements, key=lambda row: row["sequence"]):
        run_id = row["run_id"]
        for table, found, told in (
            (TRIAL_TESTS, tests.get(run_id, recorded.tests.clear()), row["tests_hash"]),
            (OVERFITTING_TESTS, splits.get(run_id, recorded.splits.clear()), row["overfitting_hash"]),
        ):
            if rows_hash(table, found) != told:
                detail = f"Rows of {table.name} that run {run_id} found were changed."
                return Fault(table.qualified, row["sequence"], detail)
    # The first run of this version, or a later one: all judgements from it on are in the chain.
    chained = [row["run_id"] for row in recorded.judgements]
    chained += [row["run_id"] for row in recorded.trials if row.get("targets_hash") is not None]
    for run_id in sorted({*tests, *splits}):
        if chained and run_id >= min(chained) and run_id not in {row["run_id"] for row in recorded.judgements}:
            detail = f"Run {run_id} judged trials, and the row of its judgement is missing: it was removed."
            return Fault(TRIAL_JUDGEMENTS.qualified, head.sequence + 1, detail)
    return None


def _by(frame: pl.DataFrame, column: str) -> dict[str, pl.DataFrame]:
    """Return the rows of a frame by the text in a column."""
    return {str(value): own for (value,), own in frame.partition_by(column, as_dict=True).items()}
