"""The global options of the command being run, and the workspace they lead to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pm.errors import WorkspaceError
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from pm.lake import Lake
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["Options", "open_reader", "open_workspace", "options"]


@dataclass(frozen=True)
class Options:
    """What stands before the command."""

    workspace: Path | None = None
    debug: bool = False


options = Options()
"""Set once, by the command line's root."""


def open_workspace(*, create: bool = False) -> tuple[Workspace, Settings]:
    """Find the workspace and read its settings.

    Parameters
    ----------
    create
        Make one, in the folder named or the current one, where there is none.

    Raises
    ------
    WorkspaceError
        There is none, and none is to be made.
    """
    from pm.settings import load_settings
    from pm.workspace import find_workspace, init_workspace

    named = options.workspace
    if named is not None:
        inside = find_workspace(named.resolve())
        found = inside if inside is not None and inside.root == named.resolve() else None
    else:
        found = find_workspace(_here())
    if found is None:
        if not create:
            raise WorkspaceError(
                "There is no workspace here.",
                where=str(named or _here()),
                hint="make one with `pm init` or `pm run`, or name one with --workspace DIR",
            )
        found = init_workspace(named or _here())
    return found, load_settings(found.config)


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise WorkspaceError(
            "The current folder is gone.", where="the shell's current folder", hint="cd to one, or name --workspace DIR"
        ) from None


def open_reader() -> Lake:
    """Open the workspace's lake for reading."""
    from pm.lake import Lake

    workspace, settings = open_workspace()
    return Lake(workspace.lake, settings.lake, TABLES, read_only=True)
