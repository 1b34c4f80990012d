"""What a user can have done to a lake: a run, an import, an evaluation, a training, a change of the watch list.

Each is a run: a row in table `runs`, and a row in `stage_events` for each of its stages.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.clock import utc_today
from pm.errors import InputError, did_you_mean
from pm.lake import Lake
from pm.pipeline.lock import writer_lock
from pm.pipeline.request import Request
from pm.pipeline.runner import Runner, RunResult
from pm.resources import sql_dir
from pm.tables.catalogue import TABLES
from pm.tables.pipeline import RUNS
from pm.tables.vocabulary import RunKind, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from pm.pipeline.events import Observer
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = [
    "add_to_universe",
    "evaluate_history",
    "import_bars",
    "open_lake",
    "read_lake",
    "remove_from_universe",
    "run_pipeline",
    "snapshots_to_keep",
    "train_policy",
]


@contextmanager
def open_lake(workspace: Workspace, settings: Settings) -> Iterator[Lake]:
    """Open the workspace's lake for writing, and create it if it is not there; holds the writer's lock meanwhile."""
    with (
        writer_lock(workspace.lake),
        Lake(workspace.lake, settings.lake, TABLES, views=[sql_dir(), workspace.views]) as lake,
    ):
        yield lake


def read_lake(workspace: Workspace, settings: Settings) -> Lake:
    """Open the workspace's lake for reading."""
    return Lake(workspace.lake, settings.lake, TABLES, read_only=True)


def run_pipeline(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    request: Request,
    resume: str | None = None,
) -> RunResult:
    """Run every stage once, from landing bars to the report.

    Parameters
    ----------
    lake
        Open for writing; see `open_lake`.
    request
        What the run is asked to do.
    resume
        A run that was cut off or failed, to be continued as it was asked; the request then says only what does the
        work. Without it, the newest run is continued if it was cut off and was asked the same.

    Raises
    ------
    PmError
        See docs/errors.md; what was committed before stays.
    """
    from pm.pipeline.run_stages import RUN_STAGES

    _refuse_future(request)
    if resume is not None:
        request = _request_of(lake, resume).with_workers_of(request)
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
    from pm.sources.names import FILES

    stages = (land.importing(paths, tickers), check.STAGE)
    request = Request(FILES, tuple(tickers) if tickers else None)
    return Runner(lake, settings, workspace, observer).run(stages, request, kind=RunKind.IMPORT)


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
    """Forecast from past dates as runs on those days would have, and store the forecasts beside those of the runs.

    Parameters
    ----------
    request
        What the run is asked to do; its day is the last whose bars are read.
    origins
        Number of dates to forecast from.
    steps
        Steps to keep, in sessions ahead.

    Raises
    ------
    InputError
        The history is too short, or the day is in the future.
    """
    from pm.pipeline.stages import check, land
    from pm.pipeline.stages.evaluate import evaluating

    _refuse_future(request)
    stages = (land.STAGE, check.STAGE, evaluating(origins, steps))
    return Runner(lake, settings, workspace, observer).run(stages, request, kind=RunKind.EVALUATE)


def train_policy(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    request: Request,
    cutoff: date | None,
    seed: int,
) -> RunResult:
    """Train a policy of the mSSA-CP forecaster, judge it on later bars, and store it, whether accepted or not.

    Parameters
    ----------
    request
        What the run is asked to do.
    cutoff
        Last date of the training; None for the one that leaves the last 30% of the dates to judge by.
    seed
        Random seed.

    Raises
    ------
    SourceError, UnknownTickerError
        There are no bars, or none of a ticker.
    InputError
        The cutoff leaves too few bars before or after it.
    """
    from pm.pipeline.stages.policy import training

    stages = (training(cutoff=cutoff, seed=seed),)
    return Runner(lake, settings, workspace, observer).run(stages, request, kind=RunKind.POLICY)


def add_to_universe(
    lake: Lake,
    workspace: Workspace,
    settings: Settings,
    observer: Observer,
    *,
    tickers: Sequence[str],
    source: str | None = None,
) -> RunResult:
    """Add tickers to the watch list.

    Parameters
    ----------
    source
        Source that their bars come from; None for the one that their bars in the lake come from.

    Raises
    ------
    UnknownTickerError
        There are no bars of a ticker, and no source is named.
    SettingsError
        There is no source of this name.
    """
    from pm.pipeline.stages.universe import adding

    stages = (adding(tickers, source),)
    return Runner(lake, settings, workspace, observer).run(stages, Request(), kind=RunKind.UNIVERSE)


def remove_from_universe(
    lake: Lake, workspace: Workspace, settings: Settings, observer: Observer, *, tickers: Sequence[str]
) -> RunResult:
    """Remove tickers from the watch list; their bars stay in the lake.

    Raises
    ------
    UnknownTickerError
        A ticker is not on it.
    """
    from pm.pipeline.stages.universe import removing

    return Runner(lake, settings, workspace, observer).run((removing(tickers),), Request(), kind=RunKind.UNIVERSE)


def snapshots_to_keep(lake: Lake) -> list[int]:
    """Return the snapshots that derived rows can be traced to: those that stages have read."""
    rows = lake.rows("SELECT snapshot_id FROM stage_events UNION SELECT snapshot_id FROM policies")
    return [row["snapshot_id"] for row in rows]


def _refuse_future(request: Request) -> None:
    today = utc_today()
    if request.as_of is not None and request.as_of > today:
        raise InputError(
            f"--as-of {request.as_of} is in the future; today is {today}.", where="--as-of", hint="name a past day"
        )


def _cut_off(lake: Lake, request: Request) -> str | None:
    """Return the newest run that was cut off and was asked the same; record others that were cut off as abandoned."""
    running = lake.rows("SELECT * FROM runs WHERE status = 'running' ORDER BY started_at")
    if not running:
        return None
    same = [row["run_id"] for row in running if row["kind"] == RunKind.RUN and _request(row) == request.scope]
    resumed = same[-1] if same else None
    columns = RUNS.polars_schema.names()
    abandoned = [
        {name: row[name] for name in columns} | {"status": RunStatus.ABANDONED.value}
        for row in running
        if row["run_id"] != resumed
    ]
    frame = pl.DataFrame(abandoned, schema=RUNS.polars_schema)
    lake.commit("abandon", lambda transaction: transaction.merge(RUNS, frame))
    return resumed


def _request_of(lake: Lake, run_id: str) -> Request:
    known = {row["run_id"]: row for row in lake.rows("SELECT * FROM runs")}
    found = known.get(run_id)
    if found is None:
        resumable = [name for name, row in known.items() if row["kind"] == RunKind.RUN]
        raise InputError(
            f"There is no run {run_id!r}.{did_you_mean(run_id, resumable)}",
            where="table runs",
            hint="list them with `pm runs`",
        )
    if found["kind"] != RunKind.RUN:
        raise InputError(
            f"Run {run_id} is of kind {found['kind']!r}; only runs of the whole pipeline can be resumed.",
            where="table runs",
            hint="give the command again; what was committed stays",
        )
    if found["status"] == RunStatus.DONE:
        raise InputError(
            f"Run {run_id} is done; there is nothing to resume.",
            where="table runs",
            hint="start a new one: pm run",
        )
    return _request(found)


def _request(row: dict[str, Any]) -> Request:
    tickers = row["tickers"]
    return Request(row["source"], tuple(tickers.split(",")) if tickers else None, row["as_of"])
