"""`pm init`: make a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.paths import workspace_path

if TYPE_CHECKING:
    from pm.cli.context import Options

__all__ = ["init"]


def init(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            parser=workspace_path,
            help="Folder to make the workspace in.",
            show_default="the folder of --workspace or PM_WORKSPACE, else the current one",
        ),
    ] = None,
) -> None:
    """Make a workspace in a folder.

    A workspace has commented settings, and folders for the lake, models and your own SQL views. Files that are there
    already are left as they are.
    """
    from pm.cli.render import print_lines
    from pm.workspace import absolute, init_workspace

    options: Options = context.obj
    named = options.workspace
    if folder is not None and named is not None and absolute(folder) != absolute(named):
        raise typer.BadParameter(
            f"--workspace or PM_WORKSPACE names another folder, {named}, in which other commands would work; "
            "leave out one of the two",
            param_hint="DIR",
        )
    workspace = init_workspace(folder or named or Path())
    print_lines(
        f"Workspace: {workspace.root}",
        "Next: `pm import PATH…` to import your own bars, or `pm run` to use the embedded sample.",
    )
