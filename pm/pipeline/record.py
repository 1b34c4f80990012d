"""Keep the record of a run: its row in runs, and a row in stage_events for each stage."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from pm import __version__
from pm.errors import PmError
from pm.lake import utc_now
from pm.pipeline.events import Observer, RunStarted, StageEnded
from pm.pipeline.universe import last_date
from pm.tables.catalogue import TABLES
from pm.tables.pipeline import RUNS, STAGE_EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pm.lake import Lake, Transaction
    from pm.pipeline.stage import Request, Stage
    from pm.settings import Settings

__all__ = ["RunRecord", "StageRecord", "new_run_id"]


def new_run_id() -> str:
    """Give a new run's name: its time, so that names sort, and four letters of chance."""
    return f"{utc_now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


@dataclass
class StageRecord:
    """A stage's row in stage_events, filled while it runs."""

    stage: str
    snapshot_id: int
    recipe: str
    started_at: datetime = field(default_factory=utc_now)
    fingerprint: str | None = None
    rows: int = 0
    seconds: float = 0.0
    peak_memory_mb: float | None = None
    summary: str = ""


class RunRecord:
    """The record of one run.

    Nothing is written until a stage has something to do, or the run ends: a night on which nothing is new costs one
    commit.

    Parameters
    ----------
    resume
        A run that was cut off: it goes on under its name, as its next attempt, unless what it did must be done again.
    """

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        request: Request,
        *,
        kind: str,
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
        self._results: dict[tuple[str, str], str] = {}
        self._newest: dict[str, str | None] = {}
        self._done: set[str] = set()
        self._before: dict[str, Any] | None = None
        self.run_id = resume or new_run_id()
        self.begun = False
        done = "SELECT stage, fingerprint, run_id FROM stage_events WHERE status = 'done' ORDER BY finished_at"
        for stage, known, run_id in (row.values() for row in lake.rows(done)):
            self._newest[stage] = known
            if known is not None:
                self._results[stage, known] = run_id
            if run_id == resume:
                self._done.add(stage)
        if resume is not None:
            self._before = lake.read(RUNS, "run_id = ?", [resume]).row(0, named=True)
            self._started_at, self._attempt = self._before["started_at"], self._before["attempts"] + 1

    def begin(self, ahead: Sequence[str]) -> None:
        """Make the run visible as running, once.

        A run that was cut off goes on under its name from where it stopped. If a stage it had done must be done
        again, because what it read or the settings have changed since, a new run takes its place: a run's name
        stands for one result.

        Parameters
        ----------
        ahead
            The stage that has something to do, and those after it.
        """
        if self.begun:
            return
        overtaken = self._before if self._done.intersection(ahead) else None
        if overtaken is not None:
            self.run_id, self._attempt, self._started_at = new_run_id(), 1, utc_now()

        def write(transaction: Transaction) -> None:
            if overtaken is not None and overtaken["status"] == "running":
                transaction.merge(RUNS, _frame("runs", [{**overtaken, "status": "abandoned"}]))
            self._write_row(transaction, "running")

        self._lake.commit("begin", write, run_id=self.run_id, stage="begin")
        self.begun = True
        self._observer(RunStarted(self.run_id, resumed=self._attempt > 1))

    def equal_result(self, stage: Stage, entry: StageRecord) -> str | None:
        """Give the run whose result an equal stage left, the newest; None if there is none."""
        if entry.fingerprint is None or (stage.replaces and self._newest.get(stage.name) != entry.fingerprint):
            return None
        return self._results.get((stage.name, entry.fingerprint))

    def skip(self, entry: StageRecord, output_run_id: str) -> None:
        """Note that a stage had nothing to do."""
        entry.summary = (
            "done before the run was cut off" if output_run_id == self.run_id else "nothing it reads has changed"
        )
        self._skipped.append((entry, output_run_id))
        self._observer(StageEnded(entry.stage, "skipped", 0.0, entry.summary))

    def write_done(self, transaction: Transaction, entry: StageRecord) -> None:
        """Write a stage's row in the commit of its result."""
        transaction.append(STAGE_EVENTS, _frame("stage_events", [self._event(entry, "done", self.run_id)]))

    def fail(self, entry: StageRecord, failure: PmError) -> None:
        """Record a failed stage and its run, if the lake can still be written, and tell."""
        self._observer(StageEnded(entry.stage, "failed", 0.0, failure.what))
        event = {**self._event(entry, "failed", None), "error": str(failure)}

        def write(transaction: Transaction) -> None:
            self._write_skipped(transaction)
            transaction.append(STAGE_EVENTS, _frame("stage_events", [event]))
            self._write_row(transaction, "failed", error=str(failure))

        try:
            self._lake.commit("failed", write, run_id=self.run_id, stage=entry.stage)
        except PmError as unwritten:  # a full disk, say: the failure itself is what the user must read
            failure.add_note(f"(the failure could not be recorded either: {unwritten.what})")

    def finish(self) -> None:
        """Record the end of the run."""

        def write(transaction: Transaction) -> None:
            self._write_skipped(transaction)
            self._write_row(transaction, "done")

        self._lake.commit("end", write, run_id=self.run_id, stage="end")

    def _write_skipped(self, transaction: Transaction) -> None:
        events = [self._event(entry, "skipped", output_run_id) for entry, output_run_id in self._skipped]
        transaction.append(STAGE_EVENTS, _frame("stage_events", events))

    def _write_row(self, transaction: Transaction, status: str, *, error: str | None = None) -> None:
        row = self._row(status, error=error)
        if self.begun or self._attempt > 1:
            transaction.merge(RUNS, row)
        else:
            transaction.append(RUNS, row)

    def _row(self, status: str, *, error: str | None = None) -> pl.DataFrame:
        request = self._request
        return _frame(
            "runs",
            [
                {
                    "run_id": self.run_id,
                    "kind": self._kind,
                    "status": status,
                    "started_at": self._started_at,
                    "finished_at": None if status == "running" else utc_now(),
                    "source": request.source,
                    "tickers": ",".join(request.tickers) if request.tickers else None,
                    # A run that is not done keeps what it was asked, so that it can be resumed as it was asked.
                    "as_of": last_date(self._lake, request) if status == "done" else request.as_of,
                    "attempts": self._attempt,
                    "version": __version__,
                    "settings": self._settings.model_dump_json(),
                    "error": error,
                }
            ],
        )

    def _event(self, entry: StageRecord, status: str, output_run_id: str | None) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "stage": entry.stage,
            "attempt": self._attempt,
            "status": status,
            "started_at": entry.started_at,
            "finished_at": entry.started_at if status == "skipped" else utc_now(),
            "seconds": entry.seconds,
            "rows": entry.rows,
            "peak_memory_mb": entry.peak_memory_mb,
            "snapshot_id": entry.snapshot_id,
            "fingerprint": entry.fingerprint,
            "recipe": entry.recipe,
            "output_run_id": output_run_id,
            "summary": entry.summary,
            "error": None,
        }


def _frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TABLES[name].polars_schema)
