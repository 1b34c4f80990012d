"""Runs that were cut off: which one a run continues, and as what it was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from pm.errors import InputError, did_you_mean
from pm.pipeline.request import Request
from pm.tables.pipeline import RUNS
from pm.tables.vocabulary import RunKind, RunStatus

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["continued_run", "request_of_run"]


def continued_run(lake: Lake, request: Request, kind: RunKind = RunKind.RUN) -> str | None:
    """Return the newest run that was cut off and was asked the same; record others that were cut off as abandoned.

    A refresh is never continued under its name, since the next one asks for what is due. It leaves other runs alone.
    """
    running = lake.rows("SELECT * FROM runs WHERE status = 'running' ORDER BY started_at")
    if kind is RunKind.REFRESH:
        running = [row for row in running if row["kind"] == kind]
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


def request_of_run(lake: Lake, run_id: str) -> Request:
    """Return what a run that is to be resumed was asked to do.

    Raises
    ------
    InputError
        There is no such run, it is done, or it is of a kind that is not resumed.
    """
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
