"""`pm schedule`: let the nights take place at a time of day, and see how they went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import Options, require_workspace

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from pm.schedule.backends import Backend
    from pm.schedule.job import Job
    from pm.workspace import Workspace

__all__ = ["app"]

app = typer.Typer(help="Run every night at a time of day, and see how the nights went.", no_args_is_help=True)

_At = Annotated[str, typer.Option(metavar="HH:MM", help="Time of day, of 24 hours.", show_default=False)]
_Zone = Annotated[
    str | None,
    typer.Option(
        "--tz", metavar="ZONE", help="Time zone of that time, such as America/New_York. [default: the machine's]"
    ),
]
_Only = Annotated[
    str | None,
    typer.Option(metavar="TASK", help="`refresh`: only fetch and check bars. [default: the whole `pm run`]"),
]
_OnFailure = Annotated[
    str | None,
    typer.Option(
        metavar="CMD",
        help="Command for the system's shell if a night fails. Its variable NIGHT_EXIT_CODE has the exit code, "
        "NIGHT_LOG the path of the log, NIGHT_FOLDER that of the workspace.",
    ),
]
_Backend = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="systemd, cron or schtasks. [default: the first of them that answers]"),
]


@app.command()
def install(
    context: typer.Context,
    at: _At,
    tz: _Zone = None,
    only: _Only = None,
    on_failure: _OnFailure = None,
    backend: _Backend = None,
    show: Annotated[bool, typer.Option("--print", help="Show what would be written, and write nothing.")] = False,
) -> None:
    """Run every night at a time of day, by the machine's scheduler.

    A night is `pm run`, and once a week `pm lake compact` after it. Installed again, the new times replace the old
    ones. Each workspace has times of its own.
    """
    from pm.cli.nights import describe_job, shown_time
    from pm.cli.render import print_lines
    from pm.schedule.backends import BACKENDS, choose_backend, remove_everywhere
    from pm.schedule.times import local_zone, next_time
    from pm.settings import setting_variables

    job, zone = _read_job(require_workspace(context), at, tz, only, on_failure)
    chosen = choose_backend(backend, must_be_there=not show)
    now, here = _now(), local_zone()
    job = _in_zone_of(chosen, job, zone, now)
    if show:
        typer.echo(chosen.preview(job, now), nl=False)  # not folded to the terminal's width
        return
    known = chosen.find(job.key)
    if known is not None and known.is_current(job, now):
        print_lines(f"Nothing to change: {describe_job(job, here)}, by {known.where}.")
    else:
        chosen.install(job, now)
        former = known.job if known is not None else None
        was = f" It was {describe_job(former, here)}." if former is not None and former != job else ""
        print_lines(f"Installed: {describe_job(job, here)}, by {chosen.name}.{was}")
    removed, _ = remove_everywhere([other for other in BACKENDS if other is not chosen], job.key)
    print_lines(*(f"Removed: what {name} had for this workspace." for name in removed))
    print_lines(f"Next night: {shown_time(next_time(job.at, zone, now), here)}", *chosen.hints())
    for variable in setting_variables():
        place = "keys.yml" if variable.upper().startswith("PM_KEYS_") else "a file of config/"
        print_lines(f"{variable} is set here and will not be set at night: write its value into {place}.")
    print_lines("How the nights went: pm schedule status")


@app.command()
def status(context: typer.Context) -> None:
    """Show what is wrong with the nights, the last night and run, and the next night.

    The exit code is 18 if the last night failed, was cut off or did not take place, or if what is scheduled no longer
    exists; 0 otherwise.
    """
    from pm.cli.nights import print_status
    from pm.errors import ScheduleError

    if not print_status(context, require_workspace(context), _now()):
        raise typer.Exit(ScheduleError.exit_code)


@app.command()
def remove(context: typer.Context) -> None:
    """Remove this workspace's nights from the machine's schedulers. The lake and the logs stay.

    A workspace that was deleted or moved can still have nights: name its former folder with --workspace.
    """
    from pm.cli.render import print_lines
    from pm.schedule.backends import BACKENDS, remove_everywhere
    from pm.schedule.job import job_key
    from pm.workspace import absolute

    options: Options = context.obj
    root = absolute(options.workspace) if options.workspace is not None else require_workspace(context).root
    removed, refusals = remove_everywhere(BACKENDS, job_key(root))
    if refusals and not removed:
        raise refusals[0]
    print_lines(
        f"Removed from {' and '.join(removed)}: {root} has no more nights."
        if removed
        else f"Nothing was scheduled for {root}."
    )


@app.command()
def night(context: typer.Context, only: _Only = None, on_failure: _OnFailure = None) -> None:
    """Hold a night now, as the schedule does.

    What it prints goes to logs/night.log in the workspace, and to a terminal. The exit code is that of `pm run`.
    """
    import sys

    from pm.cli.nights import wants_messages
    from pm.errors import PmError
    from pm.schedule.night import Night, call_for_help
    from pm.schedule.program import own_program
    from pm.schedule.record import LOG_NAME
    from pm.schedule.serve import on_signals

    task, command = _read_task(only), _read_command(on_failure)
    try:
        workspace = require_workspace(context)
        held = Night(
            workspace,
            own_program(),
            task=task,
            on_failure=command,
            echo=sys.stdout.isatty(),
            messages=wants_messages(workspace),
        )
        with on_signals(lambda _: held.interrupt()):
            code = held.hold()
    except PmError as error:  # the night did not begin
        if command is not None:
            options: Options = context.obj
            call_for_help(command, options.workspace, error.exit_code, typer.echo)
        raise
    if code:
        typer.echo(f"The night failed with exit code {code}: {workspace.logs / LOG_NAME}", err=True)
        raise typer.Exit(code)


@app.command()
def serve(context: typer.Context, at: _At, tz: _Zone = None, only: _Only = None, on_failure: _OnFailure = None) -> None:
    """Stay in the foreground and hold the nights from here, as in a container.

    At SIGTERM or Ctrl-C a night that is under way is interrupted, as Ctrl-C interrupts `pm run`; then the command ends.
    """
    import signal

    from pm.cli.nights import serve_nights

    workspace = require_workspace(context)
    job, zone = _read_job(workspace, at, tz, only, on_failure)
    if serve_nights(workspace, job, zone, _now()) is signal.SIGINT:
        raise typer.Exit(130)


def _read_job(
    workspace: Workspace, at: str, tz: str | None, only: str | None, on_failure: str | None
) -> tuple[Job, ZoneInfo]:
    """Return the job that the options describe, and the time zone of its time."""
    from pm.schedule.job import Job
    from pm.schedule.program import own_program
    from pm.schedule.times import find_zone, local_zone, parse_time

    zone = find_zone(tz) if tz is not None else local_zone()
    task, command = _read_task(only), _read_command(on_failure)
    return Job(workspace.root, own_program(), parse_time(at), tz, task, command), zone


def _in_zone_of(backend: Backend, job: Job, zone: ZoneInfo, now: datetime) -> Job:
    """Return the job as a scheduler that knows only the machine's zone takes it; refuse a job in another zone."""
    from dataclasses import replace

    from pm.cli.nights import shown_time
    from pm.errors import ScheduleError
    from pm.schedule.times import local_zone, next_time, same_clock

    here = local_zone()
    if not backend.own_zone_only or job.zone is None:
        return job
    if not same_clock(zone, here, now):
        night = shown_time(next_time(job.at, zone, now), here)
        raise ScheduleError(
            f"{backend.name} knows no other time zone than the machine's, {here.key}.",
            where=f"--tz {job.zone}",
            hint=f"leave out --tz and name the time here (the next night is {night}), or keep a process running, which "
            "knows time zones: pm schedule serve",
        )
    return replace(job, zone=None)


def _read_task(only: str | None) -> str:
    from pm.errors import InputError, did_you_mean
    from pm.schedule.job import TASKS

    if only is not None and only not in TASKS:
        raise InputError(
            f"There is no task {only!r}.{did_you_mean(only, TASKS)}",
            where="--only",
            hint="`--only refresh`, or leave it out for the whole run",
        )
    return only or TASKS[0]


def _read_command(on_failure: str | None) -> str | None:
    if on_failure is not None and not on_failure.strip():
        raise typer.BadParameter("the command is empty; name one, or leave the option out", param_hint="--on-failure")
    return on_failure


def _now() -> datetime:
    from datetime import UTC, datetime

    from pm.schedule.times import local_zone

    return datetime.now(UTC).astimezone(local_zone())
