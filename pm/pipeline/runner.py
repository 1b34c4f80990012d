"""Run stages in order: skip those whose inputs have not changed, commit each with its record, resume after a cut."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pm.errors import PmError, StageError
from pm.pipeline.events import Notice, Observer, StageEnded, StageProgressed, StageStarted
from pm.pipeline.fingerprint import code_hash, code_reader, fingerprint, packages_of
from pm.pipeline.graph import in_order, producers
from pm.pipeline.meter import Meter
from pm.pipeline.reconciliation import verify_reconciliation
from pm.pipeline.record import RunRecord, StageRecord
from pm.pipeline.stage import Context, Stage, UndeclaredAccessError
from pm.pipeline.writes import Append, Delete, Merge, Write
from pm.tables.vocabulary import RunKind, StageStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from pm.lake import Lake, Transaction
    from pm.parallel import Workers
    from pm.pipeline.request import Request
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["RunResult", "Runner"]


@dataclass(frozen=True)
class RunResult:
    """Outcome of a run.

    Parameters
    ----------
    run_id
        The run.
    worked
        Whether any stage had something to do.
    outputs
        For each stage, the run whose rows stand as its result: this one, or an equal one before.
    seconds
        Wall time.
    """

    run_id: str
    worked: bool
    outputs: dict[str, str]
    seconds: float


class Runner:
    """Runs stages against an open lake, whose only writer it must be.

    Parameters
    ----------
    lake, settings, workspace
        What the stages read, and where they write.
    observer
        Called with each event.
    """

    def __init__(self, lake: Lake, settings: Settings, workspace: Workspace, observer: Observer) -> None:
        self._lake = lake
        self._settings = settings
        self._workspace = workspace
        self._observer = observer
        self._code = code_reader(workspace)

    def run(
        self, stages: Sequence[Stage], request: Request, *, kind: RunKind = RunKind.RUN, resume: str | None = None
    ) -> RunResult:
        """Run the stages in the order that follows from the tables they read and write.

        Each stage is one commit: its rows and its row in stage_events become visible together, so that a run cut off
        anywhere is resumed by running it again. A run that finds nothing to do is one small commit.

        Parameters
        ----------
        kind
            What the run does.
        resume
            A run that was cut off, to be continued under its name.

        Raises
        ------
        PmError
            A stage failed; what earlier stages committed stays, and the failure is recorded.
        """
        shutil.rmtree(self._workspace.spool, ignore_errors=True)  # left by a run that was killed
        stages = in_order(stages)
        record = RunRecord(self._lake, self._settings, request, kind=kind, resume=resume, observer=self._observer)
        outputs: dict[str, str] = {}
        packages = packages_of(stages, self._code)
        with Meter() as meter, request.workers(self._settings.run, packages) as workers:
            for place in range(len(stages)):
                outputs[stages[place].name] = self._run_stage(stages, place, request, record, outputs, workers)
            self._reconcile(record)
            record.finish()
        return RunResult(record.run_id, record.begun, outputs, meter.seconds)

    def _run_stage(
        self,
        stages: Sequence[Stage],
        place: int,
        request: Request,
        record: RunRecord,
        outputs: dict[str, str],
        workers: Workers,
    ) -> str:
        stage = stages[place]
        context = Context(
            stage=stage,
            lake=self._lake,
            settings=self._settings,
            workspace=self._workspace,
            request=request,
            run_id=record.run_id,
            snapshot=self._lake.snapshot,
            outputs=dict(outputs),
            producers=producers(stages[:place]),
            workers=workers,
            code_hash=code_hash(stage, self._settings, self._code),
            previous_code_hash=record.previous_code_hash(stage.name),
            progress=lambda done, total: self._observer(StageProgressed(stage.name, done, total)),
            notify=lambda line: self._observer(Notice(line)),
        )
        self._observer(StageStarted(stage.name))
        entry = StageRecord(stage.name, context.snapshot, context.code_hash)
        try:
            with self._reading(stage):
                entry.fingerprint = fingerprint(stage, context)
                equal = record.equal_result(stage, entry)
                usable = equal is not None and stage.is_intact(context, equal)
            if equal is not None and usable:
                record.skip(entry, equal)
                return equal
            record.begin([later.name for later in stages[place:]])
            with Meter() as meter:
                self._compute_and_commit(replace(context, run_id=record.run_id), record, entry, meter)
            self._observer(StageEnded(stage.name, StageStatus.DONE, meter.seconds, entry.summary))
        except Exception as error:
            failure = error if isinstance(error, PmError) else _unexpected(error, stage, record)
            record.fail(entry, failure)
            if failure is error:
                raise
            raise failure from error
        return record.run_id

    def _compute_and_commit(self, context: Context, record: RunRecord, entry: StageRecord, meter: Meter) -> None:
        stage = context.stage
        try:
            with self._reading(stage):
                entry.snapshot_id = self._lake.snapshot
                result = stage.compute(replace(context, snapshot=entry.snapshot_id))
            _check_declared(stage, result.writes)
            entry.summary = result.summary

            def write(transaction: Transaction) -> None:
                entry.rows = sum(_apply(transaction, change) for change in result.writes)
                entry.seconds, entry.peak_memory_mb = meter.read()
                record.write_done(transaction, entry)

            self._lake.commit(stage.name, write, run_id=record.run_id, stage=stage.name)
        finally:
            shutil.rmtree(context.spool_folder, ignore_errors=True)

    def _reading(self, stage: Stage) -> AbstractContextManager[None]:
        """Return the transaction in which a stage reads, or none for a stage that talks to the network."""
        return nullcontext() if stage.network else self._lake.reading()

    def _reconcile(self, record: RunRecord) -> None:
        """Check that every row that landed is accounted for; a run whose rows are not has failed."""
        entry = StageRecord("reconcile", self._lake.snapshot, code_hash="")
        try:
            with self._lake.reading():
                verify_reconciliation(self._lake)
        except PmError as failure:
            self._observer(StageStarted(entry.stage))
            record.fail(entry, failure)
            raise


def _apply(transaction: Transaction, change: Write) -> int:
    """Apply a change and return how many rows it added or replaced."""
    match change:
        case Append(table, rows):
            return transaction.append(table, rows)
        case Merge(table, rows):
            return transaction.merge(table, rows)
        case Delete(table, where, parameters, frames):
            transaction.delete(table, where, parameters, **frames)
    return 0


def _check_declared(stage: Stage, writes: Sequence[Write]) -> None:
    for change in writes:
        if change.table not in stage.writes:
            raise UndeclaredAccessError(f"Stage {stage.name} writes {change.table.qualified} and does not declare it.")


def _unexpected(error: Exception, stage: Stage, record: RunRecord) -> StageError:
    return StageError(
        f"Stage {stage.name} failed: {type(error).__name__}: {error}",
        where=f"run {record.run_id}",
        hint="run again with --debug for the traceback; nothing of this stage was written",
    )
