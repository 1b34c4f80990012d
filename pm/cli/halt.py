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

    The file HALT in the workspace stops it at once; the row in the ledger follows when no other command is writing.
    """
    from pm.broker.halts import HALT_FILE
    from pm.cli.render import print_lines
    from pm.pipeline.stages.account import halting

    workspace, _ = open_workspace(context)
    file = workspace.root / HALT_FILE
    file.write_text(f"{reason}\n", encoding="utf-8")
    print_lines(f"Trading is halted by {file}.")
    change_ledger(context, halting(reason, user()), no_wait=no_wait)


def resume(
    context: typer.Context,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why trading can go on.", show_default=False)],
    no_wait: NoWait = False,
) -> None:
    """Let trading go on after a halt, for a reason."""
    from pm.broker.halts import HALT_FILE
    from pm.open_files import delete
    from pm.pipeline.stages.account import resuming

    workspace, _ = open_workspace(context)
    change_ledger(context, resuming(reason, user()), no_wait=no_wait)
    delete(workspace.root / HALT_FILE)
