"""Global options, and the workspace and lake that a command works on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pm.errors import WorkspaceError

if TYPE_CHECKING:
    import typer

    from pm.lake import Lake
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["Options", "open_reader", "open_workspace"]


@dataclass(frozen=True)
class Options:
    """Global options of the command line; a command finds them as `context.obj`.

    Parameters
    ----------
    workspace
        Folder of the workspace; None to look for one in the current folder and its parents.
    """

    workspace: Path | None = None


def open_workspace(context: typer.Context, *, create: bool = False) -> tuple[Workspace, Settings]:
    """Find the workspace and read its settings.

    Parameters
    ----------
    context
        Context of the command, which holds the global options.
    create
        Make a workspace in the named or current folder if there is none.

    Raises
    ------
    WorkspaceError
        There is no workspace and `create` is false.
    """
    from pm.settings import load_settings
    from pm.workspace import find_workspace, init_workspace

    options: Options = context.obj
    named = options.workspace
    if named is not None:
        inside = find_workspace(named.resolve())
        found = inside if inside is not None and inside.root == named.resolve() else None
    else:
        found = find_workspace(_current_folder())
    if found is None:
        if not create:
            raise WorkspaceError(
                "There is no workspace here.",
                where=str(named or _current_folder()),
                hint="make one with `pm init` or `pm run`, or name one with --workspace DIR",
            )
        found = init_workspace(named or _current_folder())
    return found, load_settings(found.config)


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise WorkspaceError(
            "The current folder no longer exists.",
            where="the shell's current folder",
            hint="change to another folder, or name a workspace: --workspace DIR",
        ) from None


def open_reader(context: typer.Context) -> Lake:
    """Open the workspace's lake for reading."""
    from pm.pipeline import read_lake

    return read_lake(*open_workspace(context))
