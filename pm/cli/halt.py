"""`pm halt` and `pm resume`: stop trading at once, and let it go on."""

from __future__ import annotations

from typing import Annotated

import typer

from pm.cli.context import open_workspace
from pm.cli.options import NoWait  # noqa: TC001 - Typer reads annotations
from pm.cli.trading import change_ledger, user

__all__ = ["halt", "resume"]


def halt(
    context: typer.Context,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = "by command",
    no_wait: NoWait = False,
) -> None:
    """Stop trading: no order is sent from now on, also by a command that is just sending some.

    The file HALT in the workspace stops it at once, and on a shared lake a sign in the catalog's database, which all
    machines look for. The row in the ledger follows when no other command is writing.
    """
    from pm.broker.halts import HALT_FILE
    from pm.cli.render import print_lines
    from pm.lake.location import LakeLocation
    from pm.pipeline.stages.account import halting

    workspace, settings = open_workspace(context)
    file = workspace.root / HALT_FILE
    if not file.is_dir():  # which stops trading just as well
        file.write_text(f"{reason}\n", encoding="utf-8")
    print_lines(f"This file stops all orders: {file}")
    location = LakeLocation.of(workspace.lake, settings.lake)
    if location.is_shared:
        from pm.lake.signs import set_sign

        if set_sign(location, HALT_FILE, f"{reason} ({user()})"):
            print_lines("It is halted on all machines that share the lake.")
    change_ledger(context, halting(reason, user()), no_wait=no_wait)


def resume(
    context: typer.Context,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why trading can go on.", show_default=False)],
    no_wait: NoWait = False,
) -> None:
    """Let trading go on after a halt, for a reason.

    A file HALT in the workspace of another machine stays, and is removed there.
    """
    from pm.broker.halts import HALT_FILE
    from pm.errors import StorageError
    from pm.lake.location import LakeLocation
    from pm.open_files import delete
    from pm.pipeline.stages.account import resuming

    workspace, settings = open_workspace(context)
    if (workspace.root / HALT_FILE).is_dir():
        raise StorageError(
            "A folder named HALT stops trading, and is not removed by pm.",
            where=str(workspace.root / HALT_FILE),
            hint="remove it, then run pm resume again",
        )
    change_ledger(context, resuming(reason, user()), no_wait=no_wait)
    location = LakeLocation.of(workspace.lake, settings.lake)
    if location.is_shared:
        from pm.lake.signs import remove_sign

        remove_sign(location, HALT_FILE)
    delete(workspace.root / HALT_FILE)
