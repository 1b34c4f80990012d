"""Show how a workspace's nights went and when the next one is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.cli.render import print_lines

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    import typer

    from pm.schedule.job import Installed, Job
    from pm.schedule.record import NightRecord
    from pm.workspace import Workspace

__all__ = ["describe_job", "print_status", "serve_nights", "shown_time", "wants_messages"]

_MINUTE = "%Y-%m-%d %H:%M"
_SECOND = "%Y-%m-%d %H:%M:%S"


def shown_time(moment: datetime, here: ZoneInfo) -> str:
    """Return a moment in its own zone, and in that of the machine where it differs."""
    local = moment.astimezone(here)
    own = f"{moment:{_MINUTE}} {getattr(moment.tzinfo, 'key', '')}".rstrip()
    return own if moment.utcoffset() == local.utcoffset() else f"{own} ({local:{_MINUTE}} {here.key}, here)"


def wants_messages(workspace: Workspace) -> bool:
    """Return whether the settings have a way of messages; settings that are wrong have none."""
    from pm.errors import PmError
    from pm.notify.channels import channels_of
    from pm.settings import load_keys, load_settings

    try:
        return bool(channels_of(load_settings(workspace.config).notify, load_keys(workspace.root)))
    except PmError:
        return False


def describe_job(job: Job, here: ZoneInfo) -> str:
    """Return what a job does and when, in a few words."""
    return f"`pm {job.task}` every day at {job.at:%H:%M} {job.zone or here.key}"


def print_status(context: typer.Context, workspace: Workspace, now: datetime) -> bool:
    """Print what is wrong, the schedule, the last night and run, and the next; return whether all is well.

    Parameters
    ----------
    context
        Context of the command, for the workspace's lake.
    workspace
        The workspace.
    now
        The present moment, in the machine's time zone.
    """
    from pm.schedule.backends import find_everywhere
    from pm.schedule.health import find_problems
    from pm.schedule.job import job_key
    from pm.schedule.record import LOG_NAME, NightRecord, is_under_way
    from pm.schedule.times import find_zone, local_zone

    here = local_zone()
    present, refusals = find_everywhere(job_key(workspace.root))
    installed = [one for _, one in present]
    zones = [find_zone(one.job.zone) if one.job is not None and one.job.zone else here for one in installed]
    record, under_way = NightRecord.read(workspace.logs), is_under_way(workspace.logs)
    problems = find_problems(record, installed, under_way=under_way, now=now, zones=zones)
    print_lines(*problems)
    if record is not None and problems:
        print_lines(f"Log: {workspace.logs / LOG_NAME}")
    if problems:
        print_lines("")
    _print_schedule(installed, zones, here, now)
    print_lines(*(f"Not asked:   {refusal.what}" for refusal in refusals))
    _print_last(context, record, here, under_way=under_way)
    _print_compaction(record, here, now)
    for backend, _ in present:
        print_lines(*backend.hints())
    return not problems


def _print_schedule(installed: Sequence[Installed], zones: Sequence[ZoneInfo], here: ZoneInfo, now: datetime) -> None:
    from pm.schedule.times import next_time

    if not installed:
        print_lines("Nothing is scheduled on this machine for this workspace: pm schedule install --at 22:30")
    for one, zone in zip(installed, zones, strict=True):
        if one.job is None:
            continue
        print_lines(f"Schedule:    {describe_job(one.job, here)}, by {one.where}")
        if one.job.on_failure is not None:
            print_lines(f"On failure:  {one.job.on_failure}")
        print_lines(f"Next night:  {shown_time(next_time(one.job.at, zone, now), here)}")


def _print_last(context: typer.Context, record: NightRecord | None, here: ZoneInfo, *, under_way: bool) -> None:
    if record is None:
        print_lines("Last night:  none yet")
        return
    began = f"{record.started_at.astimezone(here):{_SECOND}} {here.key}"
    if under_way:
        print_lines(f"This night:  under way since {began}")
    elif record.finished_at is None:
        print_lines(f"Last night:  {began}, cut off")
    else:
        seconds = (record.finished_at - record.started_at).total_seconds()
        print_lines(f"Last night:  {began}, {seconds:,.0f} s, exit code {record.exit_code}")
    print_lines(f"Last run:    {_last_run(context, record.task)}")


def _last_run(context: typer.Context, kind: str) -> str:
    """Return the newest row of table runs of a kind, as a line."""
    from pm.cli.context import open_reader
    from pm.errors import PmError

    columns = ("run_id", "status", "started_at", "finished_at", "error")
    try:
        with open_reader(context) as lake:
            rows = lake.select_rows(
                "runs",
                columns=columns,
                order=("started_at", "run_id"),
                descending=("started_at", "run_id"),
                limit=1,
                kind=kind,
            )
    except PmError as error:
        return f"cannot be read: {error.what}"
    if not rows:
        return "none is recorded"
    row = rows[0]
    end = f" to {row['finished_at']:%H:%M:%S}" if row["finished_at"] is not None else ""
    reason = f": {row['error'].splitlines()[0]}" if row["error"] else ""
    return f"{row['run_id']}, {row['status']}, {row['started_at']:{_SECOND}}{end} UTC{reason}"


def _print_compaction(record: NightRecord | None, here: ZoneInfo, now: datetime) -> None:
    from pm.schedule.night import next_compaction

    if record is not None and record.compacted_at is not None:
        due = next_compaction(record, now).astimezone(here)
        print_lines(
            f"Compaction:  {record.compacted_at.astimezone(here):%Y-%m-%d}, the next with the first night from "
            f"{due:{_MINUTE}} on"
        )


def serve_nights(workspace: Workspace, job: Job, zone: ZoneInfo, now: datetime) -> signal.Signals:
    """Hold the nights of a job until a signal ends that, and return the signal.

    A night that was missed since the last one, while nothing was serving, is held at once.
    """
    from pm.errors import PmError
    from pm.schedule.night import Night, call_for_help
    from pm.schedule.record import NightRecord
    from pm.schedule.serve import serve
    from pm.schedule.times import local_zone, previous_time

    here = local_zone()
    under_way: list[Night] = []

    def hold() -> None:
        night = Night(
            workspace,
            job.program,
            task=job.task,
            on_failure=job.on_failure,
            echo=True,
            messages=wants_messages(workspace),
        )
        under_way.append(night)
        try:
            night.hold()
        except PmError as error:  # the night did not begin
            print_lines(f"error: {error}")
            if job.on_failure is not None:
                call_for_help(job.on_failure, workspace.root, error.exit_code, print_lines)
        finally:
            under_way.clear()

    def interrupt() -> None:
        for night in under_way:
            night.interrupt()

    last = NightRecord.read(workspace.logs)
    missed = last is not None and last.started_at < previous_time(job.at, zone, now)
    print_lines(f"Serving: {describe_job(job, here)} in {workspace.root}")
    return serve(
        job.at,
        zone,
        hold,
        interrupt,
        at_once=missed,
        on_next=lambda moment: print_lines(f"Next night: {shown_time(moment, here)}"),
    )
