"""`pm runs`: list the runs, or show one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.completion import complete_run
from pm.cli.context import open_reader
from pm.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from pm.lake import Lake

__all__ = ["app"]

_LISTED = ("run_id", "kind", "status", "scope", "source", "tickers", "as_of", "attempts", "error")
_EVENT = (
    "stage",
    "attempt",
    "status",
    "seconds",
    "rows",
    "peak_memory_mb",
    "snapshot_id",
    "output_run_id",
    "summary",
    "error",
)

app = typer.Typer(help="List the runs, or show one.", invoke_without_command=True)


@app.callback()
def runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Maximum number of runs to list.")] = 20,
) -> None:
    """List the runs, newest first, or show one."""
    if context.invoked_subcommand is not None:
        return
    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake:
        listed = _newest_runs(lake, limit)
    if listed.is_empty():
        print_lines("There are no runs yet: pm run")
        return
    print_frame(_without_empty(listed, "scope", "source", "tickers", "error"), formats={"seconds": ",.1f"})


def _newest_runs(lake: Lake, limit: int) -> pl.DataFrame:
    """Return the newest runs; one that is recorded as running while no process is writing was cut off."""
    import polars as pl

    from pm.pipeline.right_to_write import is_being_written

    status = pl.col("status") if is_being_written(lake.location) else pl.col("status").replace("running", "cut off")
    return lake.select(
        "runs",
        columns=(*_LISTED, "started_at", "finished_at"),
        order=("started_at", "run_id"),
        descending=("started_at", "run_id"),
        limit=limit,
    ).select(
        "run_id",
        "kind",
        status,
        ((pl.col("finished_at") - pl.col("started_at")).dt.total_milliseconds() / 1000).round(1).alias("seconds"),
        "scope",
        "source",
        "tickers",
        "as_of",
        "attempts",
        pl.col("error").str.split("\n").list.first(),
    )


@app.command("show")
def show(
    context: typer.Context,
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="Name of the run, as `pm runs` lists it.", autocompletion=complete_run)
    ],
) -> None:
    """Show a run: what it was asked to do, and each of its stages."""
    from pm.cli.render import SECONDS, print_frame, print_lines

    with open_reader(context) as lake:
        known = sorted(lake.select("runs", columns=("run_id",))["run_id"])
        if run_id not in known:
            raise InputError(
                f"There is no run {run_id!r}.{did_you_mean(run_id, known)}",
                where="table runs",
                hint="list the runs with `pm runs`",
            )
        for name, value in lake.select("runs", run_id=run_id).drop("settings").row(0, named=True).items():
            if value is not None:
                print_lines(
                    f"{name:<12} {value:{SECONDS} UTC}" if isinstance(value, datetime) else f"{name:<12} {value}"
                )
        events = lake.select("stage_events", columns=_EVENT, order=("attempt", "finished_at"), run_id=run_id)
        print_lines("")
        print_frame(_without_empty(events, "error"), formats={"seconds": ".2f", "rows": ",d", "peak_memory_mb": ",.0f"})


def _without_empty(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Drop those of some columns that have no value."""
    return frame.drop(name for name in columns if frame[name].is_null().all())
