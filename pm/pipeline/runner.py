"""Run stages in order: skip what has not changed, commit each stage with its record, resume what was cut off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pm.errors import PmError, StageError
from pm.pipeline.events import Observer, StageEnded, StageProgressed, StageStarted, Told
from pm.pipeline.ledger import verify_reconciliation
from pm.pipeline.meter import Meter
from pm.pipeline.record import RunRecord, StageRecord
from pm.pipeline.stage import Context, Request, Stage, fingerprint, recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.lake import Lake, Transaction
    from pm.parallel import Workers
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["RunResult", "Runner"]


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

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
    """Runs a request's stages against an open lake, whose only writer it must be.

    Parameters
    ----------
    lake, settings, workspace
        What the stages read and write.
    observer
        Told what happens.
    """

    def __init__(self, lake: Lake, settings: Settings, workspace: Workspace, observer: Observer) -> None:
        self._lake = lake
        self._settings = settings
        self._workspace = workspace
        self._observer = observer

    def run(
        self, stages: Sequence[Stage], request: Request, *, kind: str = "run", resume: str | None = None
    ) -> RunResult:
        """Run the stages.

        Each stage is one commit: its rows and its row in stage_events become visible together, so that a run cut off
        anywhere is resumed by running it again. A run that finds nothing to do is one small commit.

        Parameters
        ----------
        kind
            'run', 'import' or 'evaluate'.
        resume
            A run that was cut off, to go on under its name.

        Raises
        ------
        PmError
            A stage failed; what earlier stages committed stays, and the failure is recorded.
        """
        record = RunRecord(self._lake, self._settings, request, kind=kind, resume=resume, observer=self._observer)
        outputs: dict[str, str] = {}
        with Meter() as meter, request.workers(self._settings.run) as workers:
            for place, stage in enumerate(stages):
                ahead = [later.name for later in stages[place:]]
                outputs[stage.name] = self._run_stage(stage, request, record, outputs, ahead, workers)
            self._reconcile(record)
            record.finish()
        return RunResult(record.run_id, record.begun, outputs, meter.seconds)

    def _run_stage(
        self,
        stage: Stage,
        request: Request,
        record: RunRecord,
        outputs: dict[str, str],
        ahead: Sequence[str],
        workers: Workers,
    ) -> str:
        context = Context(
            lake=self._lake,
            settings=self._settings,
            workspace=self._workspace,
            request=request,
            run_id=record.run_id,
            snapshot=self._lake.snapshot,
            outputs=dict(outputs),
            workers=workers,
            recipe=recipe(stage, self._settings),
            progress=lambda done, total: self._observer(StageProgressed(stage.name, done, total)),
            tell=lambda line: self._observer(Told(line)),
        )
        self._observer(StageStarted(stage.name))
        entry = StageRecord(stage.name, context.snapshot, context.recipe)
        try:
            entry.fingerprint = fingerprint(stage, context)
            equal = record.equal_result(stage, entry)
            if equal is not None and stage.stands(context, equal):
                record.skip(entry, equal)
                return equal
            record.begin(ahead)
            context = replace(context, run_id=record.run_id, snapshot=self._lake.snapshot)
            entry.snapshot_id = context.snapshot
            with Meter() as meter:
                outcome = stage.run(context)

                def write(transaction: Transaction) -> None:
                    entry.rows = outcome.write(transaction)
                    entry.summary = outcome.summary()
                    entry.seconds, entry.peak_memory_mb = meter.read()
                    record.write_done(transaction, entry)

                self._lake.commit(stage.name, write, run_id=record.run_id, stage=stage.name)
            self._observer(StageEnded(stage.name, "done", meter.seconds, entry.summary))
        except Exception as error:
            failure = error if isinstance(error, PmError) else _unexpected(error, stage, record)
            record.fail(entry, failure)
            if failure is error:
                raise
            raise failure from error
        return record.run_id

    def _reconcile(self, record: RunRecord) -> None:
        """Prove that no row is lost; a run that cannot has failed."""
        entry = StageRecord("reconcile", self._lake.snapshot, recipe="")
        try:
            verify_reconciliation(self._lake)
        except PmError as failure:
            self._observer(StageStarted(entry.stage))
            record.fail(entry, failure)
            raise


def _unexpected(error: Exception, stage: Stage, record: RunRecord) -> StageError:
    return StageError(
        f"Stage {stage.name} failed: {type(error).__name__}: {error}",
        where=f"run {record.run_id}",
        hint="run again with --debug for the traceback; nothing of this stage was written",
    )
