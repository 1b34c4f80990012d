"""The things that write to a lake: a night's run, an import, and an evaluation of past nights."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError, did_you_mean
from pm.lake import Lake, utc_now
from pm.pipeline.lock import writer_lock
from pm.pipeline.runner import Runner, RunResult
from pm.pipeline.stage import Request
from pm.resources import sql_dir
from pm.tables.catalogue import TABLES
from pm.tables.pipeline import RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pm.pipeline.events import Observer
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["default_source", "evaluate_history", "import_bars", "nightly_run", "open_for_writing", "snapshots_read"]


@contextmanager
def open_for_writing(workspace: Workspace, settings: Settings) -> Iterator[Lake]:
    """Hold the workspace's lock and give its lake, made if it is not there."""
    with (
        writer_lock(workspace.lake),
        Lake(workspace.lake, settings.lake, TABLES, views=[sql_dir(), workspace.views]) as lake,
    ):
        yield lake


def nightly_run(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    request: Request,
    resume: str | None = None,
) -> RunResult:
    """Run the whole pipeline once.

    Parameters
    ----------
    lake
        Open for writing, by its only writer: see `open_for_writing`.
    request
        What is asked.
    resume
        A run that was cut off or failed, to go on with as it was asked (the request then says only what does the work).
        Without it, the newest run is gone on with if it was cut off and was asked the same.

    Raises
    ------
    PmError
        See docs/errors.md; what was committed before stays.
    """
    from pm.pipeline.stages import RUN_STAGES

    _refuse_future(request)
    if resume is not None:
        request = _request_of(lake, resume).done_as(request)
    else:
        resume = _cut_off(lake, request)
    return Runner(lake, settings, workspace, observer).run(RUN_STAGES, request, resume=resume)


def import_bars(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    paths: Sequence[Path],
    tickers: Sequence[str] | None = None,
) -> RunResult:
    """Land the bars of files, those of some tickers only if named, and check them: all of the files, or none.

    Raises
    ------
    InputError
        A file cannot be read as bars; the lake is as it was.
    """
    from pm.pipeline.stages import check, land

    stages = (land.importing(paths, tickers), check.STAGE)
    request = Request("files", tuple(tickers) if tickers else None)
    return Runner(lake, settings, workspace, observer).run(stages, request, kind="import")


def evaluate_history(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    request: Request,
    origins: int,
    steps: Sequence[int],
) -> RunResult:
    """Forecast from past dates as a night's run would have, and store the forecasts beside those of the nights.

    Parameters
    ----------
    request
        What is asked; its day is the last that is looked at.
    origins
        Dates to forecast from.
    steps
        Sessions ahead to keep.

    Raises
    ------
    InputError
        The history is too short, or the day is ahead of today.
    """
    from pm.pipeline.stages import check, land
    from pm.pipeline.stages.evaluate import evaluating

    _refuse_future(request)
    stages = (land.STAGE, check.STAGE, evaluating(origins, steps))
    return Runner(lake, settings, workspace, observer).run(stages, request, kind="evaluate")


def snapshots_read(lake: Lake) -> list[int]:
    """Return the snapshots that a stage of a run has read, or that a policy was trained on."""
    rows = lake.rows("SELECT snapshot_id FROM stage_events UNION SELECT snapshot_id FROM policies")
    return [row["snapshot_id"] for row in rows]


def default_source(lake: Lake) -> str:
    """Name the source of a run that names none: 'files' where any were imported, however bad, else 'sample'."""
    return "files" if lake.scalar("SELECT 1 FROM raw.batches WHERE origin = 'files' LIMIT 1") else "sample"


def _refuse_future(request: Request) -> None:
    today = utc_now().date()
    if request.as_of is not None and request.as_of > today:
        raise InputError(
            f"--as-of {request.as_of} is ahead of today, {today}.", where="the day asked for", hint="name a past day"
        )


def _cut_off(lake: Lake, asked: Request) -> str | None:
    """Give the newest run's name if it was cut off and was asked the same; another that was cut off is abandoned."""
    running = lake.rows("SELECT * FROM runs WHERE status = 'running' ORDER BY started_at")
    if not running:
        return None
    same = [row["run_id"] for row in running if row["kind"] == "run" and _request(row) == asked.asked]
    resumed = same[-1] if same else None
    abandoned = [row | {"status": "abandoned"} for row in running if row["run_id"] != resumed]
    frame = pl.DataFrame(abandoned, schema=RUNS.polars_schema)
    lake.commit("abandon", lambda transaction: transaction.merge(RUNS, frame))
    return resumed


def _request_of(lake: Lake, run_id: str) -> Request:
    every = lake.rows("SELECT * FROM runs")
    rows = [row for row in every if row["kind"] == "run"]
    found = [row for row in rows if row["run_id"] == run_id]
    if not found:
        other = next((row["kind"] for row in every if row["run_id"] == run_id), None)
        if other is not None:
            raise InputError(
                f"Run {run_id} is of kind {other!r}; only a night's run is resumed.",
                where="table runs",
                hint="give the command again; what was committed stays",
            )
        raise InputError(
            f"There is no run {run_id!r}.{did_you_mean(run_id, [row['run_id'] for row in rows])}",
            where="table runs",
            hint="list them with `pm runs`",
        )
    if found[0]["status"] == "done":
        raise InputError(
            f"Run {run_id} came to its end; there is nothing to resume.",
            where="table runs",
            hint="start a new one: pm run",
        )
    return _request(found[0])


def _request(row: dict[str, object]) -> Request:
    tickers = row["tickers"]
    return Request(
        source=str(row["source"]),
        tickers=tuple(str(tickers).split(",")) if tickers else None,
        as_of=row["as_of"],  # type: ignore[arg-type]
    )
