"""Check the nights: how the last one ended, how long its stages took, and whether the schedule holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.errors import IncompleteError, StaleError
from pm.monitor.finding import Finding
from pm.plural import plural
from pm.tables.vocabulary import HealthStatus, RunStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

__all__ = ["check_last_night", "check_schedule", "check_times"]

_PARTIAL = {
    IncompleteError.exit_code: "some tickers could not be fetched",
    StaleError.exit_code: "the bars of some tickers are old",
}
"""Exit codes of a run that is done and has something to tell."""
_TIMES, _SECONDS = 3.0, 30.0
"""A stage is slow if it takes more than this many times the median of earlier runs, and this many seconds more."""
_RUNS = 5
"""Number of earlier runs from which the usual time of a stage is known."""


def check_last_night(run: Mapping[str, Any] | None, night_exit_code: int | None, *, being_written: bool) -> Finding:
    """Check how the newest run or refresh ended.

    Parameters
    ----------
    run
        Row of table `runs` of the newest run or refresh: run_id, kind, status, started_at, finished_at, error; None for
        none.
    night_exit_code
        Exit code of the last scheduled night; None if there was none, or it has not ended.
    being_written
        Whether a process is writing to the lake: a run that is recorded as running was cut off if not.
    """
    rule = (
        "runs, logs/night.json: failing if the newest run or refresh, or the last scheduled night, failed or was cut "
        "off; degraded if it ended with exit code 17 or 19 (some tickers could not be fetched, or are old)."
    )
    if run is None:
        detail = "No run is recorded yet; there will be one after `pm run`."
        return Finding("last night", HealthStatus.NO_DATA, detail, rule, "pm run")
    name, started = run["run_id"], f"{run['started_at']:%Y-%m-%d %H:%M} UTC"
    hint = f"pm runs show {name}"
    if run["status"] == RunStatus.RUNNING and being_written:
        return Finding("last night", HealthStatus.HEALTHY, f"Run {name} is under way since {started}.", rule)
    if run["status"] != RunStatus.DONE:
        reason = f": {str(run['error']).splitlines()[0]}" if run["error"] else "."
        how = "failed" if run["status"] == RunStatus.FAILED else "was cut off"
        detail = f"Run {name} of {started} {how}{reason}"
        return Finding("last night", HealthStatus.FAILING, detail, rule, hint)
    seconds = (run["finished_at"] - run["started_at"]).total_seconds()
    values = {"seconds": seconds, "finished_timestamp_seconds": _timestamp(run["finished_at"])}
    detail = f"Run {name} of {started} is done, in {seconds:,.0f} s"
    if night_exit_code in _PARTIAL:
        detail += f"; {_PARTIAL[night_exit_code]} (exit code {night_exit_code})."
        return Finding("last night", HealthStatus.DEGRADED, detail, rule, "pm data health --problems", values)
    if night_exit_code:
        detail = f"The last scheduled night ended with exit code {night_exit_code}."
        return Finding("last night", HealthStatus.FAILING, detail, rule, "pm schedule status", values)
    return Finding("last night", HealthStatus.HEALTHY, f"{detail}.", rule, "", values)


def _timestamp(moment: datetime) -> float:
    from datetime import UTC

    return moment.replace(tzinfo=UTC).timestamp()


def check_times(stages: pl.DataFrame) -> Finding:
    """Check whether a stage of the newest run took much longer than usual.

    Parameters
    ----------
    stages
        run_id, stage, seconds: the stages that were computed, of runs in order, the newest last.
    """
    rule = (
        f"stage_events: degraded if a stage of the newest run took more than {_TIMES:g} times the median of at least "
        f"{_RUNS} earlier runs that computed it, and at least {_SECONDS:g} s more."
    )
    if stages.is_empty():
        return Finding("stages", HealthStatus.NO_DATA, "No stage was computed yet.", rule, "pm run")
    newest = stages["run_id"][-1]
    usual = (
        stages.filter(pl.col("run_id") != newest)
        .group_by("stage")
        .agg(pl.col("seconds").median().alias("usual"), pl.len().alias("runs"))
        .filter(pl.col("runs") >= _RUNS)
    )
    own = stages.filter(run_id=newest).join(usual, on="stage", how="inner", maintain_order="left")
    if own.is_empty():
        earlier = stages["run_id"].n_unique() - 1
        detail = (
            f"The usual times are not known: {plural(earlier, 'earlier run')} of at least {_RUNS} computed a stage. "
            f"They will be after {plural(max(1, _RUNS - earlier), 'more night')}."
        )
        return Finding("stages", HealthStatus.NO_DATA, detail, rule)
    slow = own.filter((pl.col("seconds") > _TIMES * pl.col("usual")) & (pl.col("seconds") > pl.col("usual") + _SECONDS))
    if slow.height:
        parts = ", ".join(
            f"{row['stage']} {row['seconds']:,.0f} s (usually {row['usual']:,.1f} s)" for row in slow.to_dicts()
        )
        return Finding("stages", HealthStatus.DEGRADED, f"Slower than usual: {parts}.", rule, f"pm runs show {newest}")
    detail = f"{plural(own.height, 'stage')} of run {newest} took no longer than usual: {own['seconds'].sum():,.1f} s."
    return Finding("stages", HealthStatus.HEALTHY, detail, rule, "", {"seconds": float(own["seconds"].sum())})


def check_schedule(problems: Sequence[str], scheduled: int) -> Finding:
    """Check whether the nights take place.

    Parameters
    ----------
    problems
        Sentences of `pm.schedule.health.find_problems`.
    scheduled
        Number of schedulers that hold nights of the workspace.
    """
    rule = "pm schedule status: failing if the last night failed, or was not held within 15 minutes of its time."
    if problems:
        return Finding("schedule", HealthStatus.FAILING, " ".join(problems), rule, "pm schedule status")
    if not scheduled:
        detail = (
            "Nothing is scheduled on this machine for this workspace; there will be nights after pm schedule install."
        )
        return Finding("schedule", HealthStatus.NO_DATA, detail, rule, "pm schedule install --at 22:30")
    return Finding("schedule", HealthStatus.HEALTHY, "The nights take place.", rule)
