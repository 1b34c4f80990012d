"""The record of a run: its row in runs, and a row in stage_events for each stage."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from pm import __version__
from pm.clock import utc_now
from pm.errors import PmError
from pm.pipeline.events import Notice, Observer, RunStarted, StageEnded
from pm.tables.pipeline import RUNS, STAGE_EVENTS
from pm.tables.vocabulary import RunStatus, StageStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from pm.lake import Lake, Transaction
    from pm.pipeline.request import Request
    from pm.pipeline.stage import Stage
    from pm.settings import Settings
    from pm.tables.declaration import Table
    from pm.tables.vocabulary import RunKind, RunScope

__all__ = ["RunRecord", "StageRecord", "new_run_id"]


def new_run_id() -> str:
    """Return a new run's name: its time, so that names sort, and four random letters."""
    return f"{utc_now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


@dataclass
class StageRecord:
    """A stage's row in stage_events, filled while the stage runs."""

    stage: str
    snapshot_id: int
    code_hash: str
    started_at: datetime = field(default_factory=utc_now)
    fingerprint: str | None = None
    rows: int = 0
    seconds: float = 0.0
    peak_memory_mb: float | None = None
    summary: str = ""
    degraded: str | None = None


@dataclass(frozen=True)
class _Done:
    """What is known of stages that earlier runs have done.

    Attributes
    ----------
    results
        For a stage and a fingerprint, the newest run with this result; a degraded one counts only for the run that is
        resumed.
    newest
        For a stage, the fingerprint of its newest result.
    code_hashes
        For a stage, the code hash of its newest result; '' where an older version recorded none.
    runs
        For a stage, the run of its newest result.
    of_resumed
        Stages that the run to be resumed has done.
    """

    results: dict[tuple[str, str], str]
    newest: dict[str, str | None]
    code_hashes: dict[str, str]
    runs: dict[str, str]
    of_resumed: set[str]


class RunRecord:
    """The record of one run.

    Nothing is written until a stage has something to do, or the run ends: a run that finds nothing to do costs one
    commit.

    Parameters
    ----------
    kind
        What the run does.
    resume
        A run that was cut off, to be continued under its name as its next attempt. If a stage that it had done must be
        computed again, the run gets a new name instead.
    observer
        Called with the events of beginning, skipping and failing.
    """

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        request: Request,
        *,
        kind: RunKind,
        resume: str | None,
        observer: Observer,
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._request = request
        self._kind = kind
        self._observer = observer
        self._started_at = utc_now()
        self._attempt = 1
        self._skipped: list[tuple[StageRecord, str]] = []
        self._resumed: dict[str, Any] | None = None
        self._done = _read_done(lake, resume)
        self.run_id = resume or new_run_id()
        self.begun = False
        if resume is not None:
            self._resumed = lake.read(RUNS, "run_id = ?", [resume]).row(0, named=True)
            self._started_at, self._attempt = self._resumed["started_at"], self._resumed["attempts"] + 1

    def previous_code_hash(self, stage: str) -> str | None:
        """Return the code hash of the stage's newest result; None if it was never done."""
        return self._done.code_hashes.get(stage)

    def begin(self, ahead: Sequence[str]) -> None:
        """Make the run visible as running, once.

        A run that was cut off continues under its name from where it stopped. If a stage that it had done must be
        computed again, because its inputs or the settings have changed since, a new run takes its place: the name of a
        run belongs to one result.

        Parameters
        ----------
        ahead
            The stage that has something to do, and those after it.
        """
        if self.begun:
            return
        replaced = self._resumed if self._done.of_resumed.intersection(ahead) else None
        if replaced is not None:
            self.run_id, self._attempt, self._started_at = new_run_id(), 1, utc_now()

        def write(transaction: Transaction) -> None:
            if replaced is not None and replaced["status"] == RunStatus.RUNNING:
                transaction.merge(RUNS, _frame(RUNS, [{**replaced, "status": RunStatus.ABANDONED.value}]))
            self._write_row(transaction, RunStatus.RUNNING)

        self._lake.commit("begin", write, run_id=self.run_id, stage="begin")
        self.begun = True
        self._observer(RunStarted(self.run_id, resumed=self._attempt > 1))
        if replaced is not None:
            self._observer(
                Notice(
                    f"Run {replaced['run_id']} is not continued: what its finished stages depend on has changed. "
                    f"Run {self.run_id} takes its place."
                )
            )

    def equal_result(self, stage: Stage, entry: StageRecord) -> str | None:
        """Return the newest run with a result of the same fingerprint; None if there is none."""
        if entry.fingerprint is None:
            return None
        if stage.replaces and self._done.newest.get(stage.name) != entry.fingerprint:
            return None
        return self._done.results.get((stage.name, entry.fingerprint))

    def newest_result(self, stage: str) -> str | None:
        """Return the newest run that has done a stage; None if none has."""
        return self._done.runs.get(stage)

    def skip(self, entry: StageRecord, output_run_id: str, reason: str | None = None) -> None:
        """Note that a stage had nothing to do, and why."""
        entry.summary = reason or (
            "done before the run was cut off" if output_run_id == self.run_id else "nothing it reads has changed"
        )
        self._skipped.append((entry, output_run_id))
        self._observer(StageEnded(entry.stage, StageStatus.SKIPPED, 0.0, entry.summary))

    def write_done(self, transaction: Transaction, entry: StageRecord) -> None:
        """Write a stage's row in the commit of its result."""
        event = self._event(entry, StageStatus.DONE, self.run_id)
        transaction.append(STAGE_EVENTS, _frame(STAGE_EVENTS, [event]))

    def fail(self, entry: StageRecord, failure: PmError) -> None:
        """Report a failed stage, and record it and its run if the lake can still be written."""
        self._observer(StageEnded(entry.stage, StageStatus.FAILED, 0.0, failure.what))
        event = {**self._event(entry, StageStatus.FAILED, None), "error": str(failure)}

        def write(transaction: Transaction) -> None:
            self._write_skipped(transaction)
            transaction.append(STAGE_EVENTS, _frame(STAGE_EVENTS, [event]))
            self._write_row(transaction, RunStatus.FAILED, error=str(failure))

        try:
            self._lake.commit("failed", write, run_id=self.run_id, stage=entry.stage)
        except PmError as unwritten:  # a full disk, say: the failure itself is what the user must read
            failure.add_note(f"(the failure could not be recorded either: {unwritten.what})")

    def finish(self, as_of: date | None, scope: RunScope | None) -> None:
        """Record the end of the run, the day that it took for today, and the scope of a run of the whole pipeline."""

        def write(transaction: Transaction) -> None:
            self._write_skipped(transaction)
            self._write_row(transaction, RunStatus.DONE, as_of=as_of, scope=scope)

        self._lake.commit("end", write, run_id=self.run_id, stage="end")

    def _write_skipped(self, transaction: Transaction) -> None:
        events = [self._event(entry, StageStatus.SKIPPED, output_run_id) for entry, output_run_id in self._skipped]
        transaction.append(STAGE_EVENTS, _frame(STAGE_EVENTS, events))

    def _write_row(
        self,
        transaction: Transaction,
        status: RunStatus,
        *,
        as_of: date | None = None,
        scope: RunScope | None = None,
        error: str | None = None,
    ) -> None:
        row = _frame(RUNS, [self._row(status, as_of, error) | {"scope": scope.value if scope else None}])
        if self.begun or self._attempt > 1:
            transaction.merge(RUNS, row)
        else:
            transaction.append(RUNS, row)

    def _row(self, status: RunStatus, as_of: date | None, error: str | None) -> dict[str, Any]:
        request = self._request
        return {
            "run_id": self.run_id,
            "kind": self._kind.value,
            "status": status.value,
            "started_at": self._started_at,
            "finished_at": None if status is RunStatus.RUNNING else utc_now(),
            "source": request.source,
            "tickers": ",".join(request.tickers) if request.tickers else None,
            # A run that is not done keeps the day that was asked for, so that it can be resumed as it was asked.
            "as_of": as_of or request.as_of,
            "attempts": self._attempt,
            "version": __version__,
            "settings": self._settings.recorded(),
            "error": error,
        }

    def _event(self, entry: StageRecord, status: StageStatus, output_run_id: str | None) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "stage": entry.stage,
            "attempt": self._attempt,
            "status": status.value,
            "started_at": entry.started_at,
            "finished_at": entry.started_at if status is StageStatus.SKIPPED else utc_now(),
            "seconds": entry.seconds,
            "rows": entry.rows,
            "peak_memory_mb": entry.peak_memory_mb,
            "snapshot_id": entry.snapshot_id,
            "fingerprint": entry.fingerprint,
            "code_hash": entry.code_hash,
            "output_run_id": output_run_id,
            "summary": entry.summary,
            "degraded": entry.degraded,
            "error": None,
        }


def _read_done(lake: Lake, resume: str | None) -> _Done:
    done = _Done({}, {}, {}, {}, set())
    events = lake.rows(
        "SELECT stage, fingerprint, code_hash, run_id, degraded FROM stage_events WHERE status = 'done' "
        "ORDER BY finished_at"
    )
    for event in events:
        stage, known = event["stage"], event["fingerprint"]
        done.newest[stage] = known
        done.code_hashes[stage] = event["code_hash"] or ""
        done.runs[stage] = event["run_id"]
        if known is not None and (event["degraded"] is None or event["run_id"] == resume):
            done.results[stage, known] = event["run_id"]
        if event["run_id"] == resume:
            done.of_resumed.add(stage)
    return done


def _frame(table: Table, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=table.polars_schema)
