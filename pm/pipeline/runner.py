"""Run stages in order: skip those whose inputs have not changed, commit each with its record, resume after a cut."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pm.errors import PmError, StageError, is_failure
from pm.lake.integrity import refuse_faults
from pm.llm.opening import ModelOfRun
from pm.pipeline.event_log import logged
from pm.pipeline.events import Notice, Observer, StageEnded, StageProgressed, StageStarted
from pm.pipeline.fingerprint import code_hash, code_reader, fingerprint, packages_of
from pm.pipeline.graph import in_order, producers
from pm.pipeline.meter import Meter
from pm.pipeline.reconciliation import RECONCILED, verify_reconciliation
from pm.pipeline.record import RunRecord, StageRecord
from pm.pipeline.run_scope import run_scope
from pm.pipeline.stage import Context, Stage, UndeclaredAccessError
from pm.pipeline.watch_list import run_day
from pm.pipeline.writes import Append, Delete, Merge, Result, Write
from pm.tables.vocabulary import RunKind, StageStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import date

    from pm.lake import Lake, Transaction
    from pm.parallel import Workers
    from pm.pipeline.request import Request
    from pm.settings import RunSettings, Settings
    from pm.workspace import Workspace

__all__ = ["RunResult", "Runner", "workers_of"]


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


@dataclass(frozen=True)
class _Shared:
    """What the stages of a run share: nothing of it starts before a stage needs it."""

    workers: Workers
    model: ModelOfRun


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
        self._observer = logged(observer, workspace.logs, settings.run.log_level)
        self._code = code_reader(workspace)
        self._verified: set[str] = set()
        self._start = 0

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
        self._start = self._lake.snapshot
        stages = in_order(stages)
        record = RunRecord(self._lake, self._settings, request, kind=kind, resume=resume, observer=self._observer)
        outputs: dict[str, str] = {}
        packages = packages_of(stages, self._code)
        started = time.perf_counter()
        with (
            workers_of(request, self._settings.run, packages) as workers,
            ModelOfRun(self._workspace.models, self._settings.llm) as model,
        ):
            shared = _Shared(workers, model)
            try:
                while (due := self._skip_unchanged(stages, request, record, outputs, shared)) is not None:
                    outputs[due[0].stage.name] = self._run_stage(*due, stages, record)
                as_of = self._reconcile(request, worked=record.begun)
                scope = run_scope(self._lake.known_rows, request) if kind is RunKind.RUN else None
            except _FailedError as failed:
                error = failed.error
                failure = error if isinstance(error, PmError) else _unexpected(error, failed.entry.stage, record)
                record.fail(failed.entry, failure)
                raise failure from (error.__cause__ if failure is error else error)
            record.finish(as_of, scope)
        return RunResult(record.run_id, record.begun, outputs, time.perf_counter() - started)

    def _skip_unchanged(
        self,
        stages: Sequence[Stage],
        request: Request,
        record: RunRecord,
        outputs: dict[str, str],
        shared: _Shared,
    ) -> tuple[Context, StageRecord] | None:
        """Skip the stages next in order that have nothing to do, and return the first that has; None after the last.

        All is read in one transaction. The run whose result stands for a skipped stage is added to `outputs`.
        """
        with self._lake.reading():
            for place in range(len(outputs), len(stages)):
                stage = stages[place]
                context = self._context(stage, stages[:place], request, record, outputs, shared)
                entry = StageRecord(stage.name, context.snapshot, context.code_hash)
                self._observer(StageStarted(stage.name))
                with _failing_as(entry):
                    entry.fingerprint = fingerprint(stage, context)
                    reason = stage.idle(context) if entry.fingerprint is None else None
                    # A stage that has never had anything to do has no rows, which stand under the name of this run.
                    newest = record.newest_result(stage.name) or record.run_id
                    equal = record.equal_result(stage, entry) if reason is None else newest
                    if equal is None or not stage.is_intact(context, equal):
                        return context, entry
                    record.skip(entry, equal, reason)
                outputs[stage.name] = equal
        return None

    def _context(
        self,
        stage: Stage,
        before: Sequence[Stage],
        request: Request,
        record: RunRecord,
        outputs: dict[str, str],
        shared: _Shared,
    ) -> Context:
        return Context(
            stage=stage,
            lake=self._lake,
            settings=self._settings,
            workspace=self._workspace,
            request=request,
            run_id=record.run_id,
            snapshot=self._lake.snapshot,
            outputs=dict(outputs),
            producers=producers(before),
            workers=shared.workers,
            model=shared.model,
            code_hash=code_hash(stage, self._settings, self._code),
            previous_code_hash=record.previous_code_hash(stage.name),
            progress=lambda done, total: self._observer(StageProgressed(stage.name, done, total)),
            notify=lambda line: self._observer(Notice(line)),
        )

    def _run_stage(self, context: Context, entry: StageRecord, stages: Sequence[Stage], record: RunRecord) -> str:
        """Run a stage, and return the run under whose name its rows stand."""
        stage = context.stage
        with _failing_as(entry):
            record.begin([later.name for later in stages[stages.index(stage) :]])
            with Meter() as meter:
                self._compute_and_commit(replace(context, run_id=record.run_id), record, entry, meter)
            self._observer(StageEnded(stage.name, StageStatus.DONE, meter.seconds, entry.summary))
        return record.run_id

    def _compute_and_commit(self, context: Context, record: RunRecord, entry: StageRecord, meter: Meter) -> None:
        stage = context.stage
        try:
            with self._reading(stage):
                entry.snapshot_id = self._lake.snapshot
                self._verify({table.qualified for table in (*stage.reads, *stage.writes)})
                result = stage.compute(replace(context, snapshot=entry.snapshot_id, fingerprint=entry.fingerprint))
            last = result if isinstance(result, Result) else self._commit_pieces(stage, result, entry, record.run_id)
            _check_declared(stage, last.writes)
            entry.summary, entry.degraded = _told(last), last.degraded
            landed = entry.rows

            def write(transaction: Transaction) -> None:
                entry.rows = landed + _apply_all(last, transaction)
                entry.seconds, entry.peak_memory_mb = meter.read()
                record.write_done(transaction, entry)

            self._lake.commit(stage.name, write, run_id=record.run_id, stage=stage.name)
        finally:
            shutil.rmtree(context.spool_folder, ignore_errors=True)

    def _commit_pieces(self, stage: Stage, pieces: Iterator[Result], entry: StageRecord, run_id: str) -> Result:
        """Commit each result that a stage yields, and return what is left for the commit of the stage's record.

        The stage computes the next result between two commits, so that no network is used inside of one.
        """
        summary = ""
        for piece in pieces:
            _check_declared(stage, piece.writes)
            summary = piece.summary
            entry.rows += self._lake.commit(stage.name, partial(_apply_all, piece), run_id=run_id, stage=stage.name)
        return Result([], summary)

    def _verify(self, names: Collection[str]) -> None:
        """Refuse damaged files of tables that are about to be read or merged into.

        Each is read once in a run, but for those that the run itself has written and taken the checksums of.
        """
        found = self._lake.files(names, current=True)
        files = [file for file in found if file.begin <= self._start and file.path not in self._verified]
        refuse_faults(self._lake.verify(files, quick=True), self._lake.location)
        self._verified |= {file.path for file in files}

    def _reading(self, stage: Stage) -> AbstractContextManager[None]:
        """Return the transaction in which a stage reads, or none for a stage that talks to the network."""
        return nullcontext() if stage.network else self._lake.reading()

    def _reconcile(self, request: Request, *, worked: bool) -> date | None:
        """Check that every row that landed is accounted for, and return the day of the run, now that all is there.

        The files of the rows are compared with their checksums unless no stage had anything to do: then none is.
        """
        entry = StageRecord("reconcile", self._lake.snapshot, code_hash="")
        with _failing_as(entry), self._lake.reading():
            try:
                if worked:
                    self._verify(RECONCILED)
                verify_reconciliation(self._lake)
            except PmError:
                self._observer(StageStarted(entry.stage))
                raise
            return run_day(self._lake.known_rows, request)


class _FailedError(Exception):
    """A stage failed; the error is its cause. It is raised so that the failure is recorded when no reading is open."""

    def __init__(self, entry: StageRecord, error: BaseException) -> None:
        super().__init__(entry.stage)
        self.entry = entry
        self.error = error


@contextmanager
def _failing_as(entry: StageRecord) -> Iterator[None]:
    """Raise any error of a stage as the failure of that stage."""
    try:
        yield
    except BaseException as error:
        if not is_failure(error):
            raise
        raise _FailedError(entry, error) from error


def _told(result: Result) -> str:
    """Return the result of a stage in one line."""
    if result.degraded is None:
        return result.summary
    return "; ".join(part for part in (result.summary, result.degraded, "the next run tries again") if part)


def _apply_all(result: Result, transaction: Transaction) -> int:
    """Apply the changes of a result and return how many rows they added or replaced."""
    return sum(_apply(transaction, change) for change in result.writes)


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


def _unexpected(error: BaseException, stage: str, record: RunRecord) -> StageError:
    return StageError(
        f"Stage {stage} failed: {type(error).__name__}: {error}",
        where=f"run {record.run_id}",
        hint="run again with --debug for the traceback; nothing of this stage was written",
    )


def workers_of(request: Request, settings: RunSettings, packages: Sequence[str] = ()) -> Workers:
    """Return the workers that compute a run; no process starts before there is work.

    Settings decide what the request leaves open. The packages must have the same versions on the workers of a cluster.
    """
    from pm.parallel import Workers

    engine = request.engine or settings.engine
    address = request.address or (settings.address if engine == settings.engine else None)
    jobs = request.jobs or settings.jobs
    return Workers(engine, address=address, jobs=jobs, memory_mb=settings.worker_memory_mb, packages=packages)
