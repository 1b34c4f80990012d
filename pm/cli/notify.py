"""`pm notify`: tell how the last night went, by mail, webhook or ntfy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_workspace
from pm.errors import InputError, SourceError

if TYPE_CHECKING:
    from pm.notify.outbox import Outbox
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["app"]

app = typer.Typer(help="Tell how the nights went: by mail, to a webhook, or to ntfy.", no_args_is_help=True)


@app.command()
def night(context: typer.Context) -> None:
    """Tell how the last scheduled night went, as every night does at its end. What was told is not told again.

    Messages that could not be sent before are sent too.
    """
    from pm.cli.render import print_lines
    from pm.notify.message import is_told, night_message
    from pm.notify.outbox import Outbox
    from pm.pipeline.night_result import night_result
    from pm.schedule.record import NightRecord
    from pm.schedule.times import local_zone

    workspace, settings, channels = _set_up(context)
    record = NightRecord.read(workspace.logs)
    if record is None:
        raise InputError("There was no scheduled night yet.", where=str(workspace.logs), hint="pm schedule install")
    outbox = Outbox(workspace.logs)
    result = night_result(workspace, settings, record, local_zone())
    if is_told(result, settings.notify.when):
        message = night_message(result)
        if not outbox.plan(message, channels):
            print_lines(f"Told before: {message.subject}")
    else:
        print_lines(f"Nothing to tell (notify.when: {settings.notify.when}).")
    _deliver(workspace, settings, outbox)


@app.command()
def test(context: typer.Context) -> None:
    """Send a test message on every channel that is set up."""
    from datetime import UTC, datetime

    from pm.notify.message import Message
    from pm.notify.outbox import Outbox

    workspace, settings, channels = _set_up(context)
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    outbox = Outbox(workspace.logs)
    body = "This is a test. Messages about the nights of this workspace will come this way.\n"
    outbox.plan(Message(f"test {now}", f"{workspace.root.name}: test message", body, urgent=False), channels)
    _deliver(workspace, settings, outbox)


@app.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Maximum number of messages to list.")] = 20,
) -> None:
    """List the newest messages, and what became of each.

    One that is `sending` was being sent when its process ended: whether it arrived is not known.
    """
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.notify.outbox import Outbox

    workspace, _ = open_workspace(context)
    entries = Outbox(workspace.logs).newest(limit)
    if not entries:
        print_lines("There are no messages yet.")
        return
    names = ("created_at", "channel", "state", "attempts", "subject", "problem")
    print_frame(pl.DataFrame([{name: str(getattr(entry, name) or "") for name in names} for entry in entries]))


def _set_up(context: typer.Context) -> tuple[Workspace, Settings, tuple[str, ...]]:
    """Return the workspace, its settings, and the ways of messages that are set up, at least one."""
    from pm.notify.channels import channels_of
    from pm.settings import load_keys

    workspace, settings = open_workspace(context)
    channels = channels_of(settings.notify, load_keys(workspace.root))
    if not channels:
        raise InputError(
            "No way of messages is set up.",
            where=f"{workspace.config / 'notify.yml'} and keys.yml",
            hint="set mail_to there, or webhook_url or ntfy_url in keys.yml; docs/operations.md",
        )
    return workspace, settings, channels


def _deliver(workspace: Workspace, settings: Settings, outbox: Outbox) -> None:
    """Send what is planned, and say what became of it.

    Raises
    ------
    SourceError
        A message was not delivered.
    """
    from pm.cli.render import print_lines
    from pm.notify.delivery import deliver
    from pm.settings import load_keys

    problems = []
    for done in deliver(outbox, settings.notify, load_keys(workspace.root)):
        if done.problem is None:
            print_lines(f"Sent by {done.entry.channel}: {done.entry.subject}")
        else:
            problems.append(f"{done.entry.channel}: {done.problem}")
    if problems:
        raise SourceError(
            f"Not every message was delivered. {'; '.join(problems)}.",
            where="config/notify.yml",
            hint="the next night tries again; pm notify list shows what became of each message",
        )
