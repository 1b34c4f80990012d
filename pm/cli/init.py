"""`pm init`: make a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pm.cli.paths import workspace_path

__all__ = ["init"]


def init(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            parser=workspace_path,
            help="Folder to make the workspace in.",
            show_default="current folder",
        ),
    ] = Path(),
) -> None:
    """Make a workspace in a folder.

    A workspace has commented settings, and folders for the lake, models and your own SQL views. Files that are there
    already are left as they are.
    """
    from pm.cli.render import print_lines
    from pm.workspace import init_workspace

    workspace = init_workspace(folder)
    print_lines(
        f"Workspace: {workspace.root}",
        "Next: `pm import PATH…` to import your own bars, or `pm run` to use the embedded sample.",
    )
