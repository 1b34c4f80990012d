"""Global options, and the workspace and lake that a command works on."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pm.errors import LakeBusyError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import typer

    from pm.lake import Lake
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["Options", "find_settings", "open_reader", "open_workspace", "open_writer", "require_workspace"]


@dataclass(frozen=True)
class Options:
    """Global options of the command line; a command finds them as `context.obj`.

    Parameters
    ----------
    workspace
        Folder of the workspace; None to look for one in the current folder and its parents.
    log_level
        Lowest level of the lines of the log; None for the setting run.log_level.
    """

    workspace: Path | None = None
    log_level: str | None = None


def open_workspace(
    context: typer.Context, *, create: bool = False, check: Callable[[Settings], object] | None = None
) -> tuple[Workspace, Settings]:
    """Find the workspace and read its settings.

    Parameters
    ----------
    context
        Context of the command, which holds the global options.
    create
        Make a workspace in the named or current folder if there is none. A named folder must exist.
    check
        Function that is called with the default settings before a workspace is made. If it raises, none is.

    Raises
    ------
    WorkspaceError
        There is no workspace and `create` is false, or the named folder does not exist.
    SettingsError
        A setting is wrong. No workspace is made then.
    """
    from pm.settings import load_settings, with_values
    from pm.workspace import init_workspace, require_folder

    found, folder = _find(context)
    if found is None:
        if not create:
            raise _no_workspace(folder)
        require_folder(folder)
        settings = load_settings()
        if check is not None:
            check(settings)
        found = init_workspace(folder)
    settings = load_settings(found.config)
    options: Options = context.obj
    if options.log_level is not None:
        settings = with_values(settings, "run", {"log_level": options.log_level}, where="--log-level")
    return found, settings


def require_workspace(context: typer.Context) -> Workspace:
    """Find the workspace, without reading its settings.

    Raises
    ------
    WorkspaceError
        There is none, or the named folder does not exist.
    """
    found, folder = _find(context)
    if found is None:
        raise _no_workspace(folder)
    return found


def _no_workspace(folder: Path) -> WorkspaceError:
    from pm.workspace import require_folder

    require_folder(folder)
    return WorkspaceError(
        "There is no workspace here.",
        where=str(folder),
        hint="make one with `pm init` or `pm run`, or name one with --workspace DIR",
    )


def find_settings(context: typer.Context) -> tuple[Workspace | None, Settings]:
    """Return the workspace and its settings; None and the default settings where there is no workspace."""
    from pm.settings import load_settings

    found, _ = _find(context)
    return found, load_settings(found.config) if found is not None else load_settings()


def _find(context: typer.Context) -> tuple[Workspace | None, Path]:
    """Return the workspace, or None, and the folder in which it was looked for."""
    from pm.workspace import absolute, find_workspace

    options: Options = context.obj
    folder = absolute(options.workspace or Path())
    return find_workspace(folder, parents=options.workspace is None), folder


def open_reader(context: typer.Context) -> Lake:
    """Open the workspace's lake for reading."""
    from pm.pipeline import read_lake

    return read_lake(*open_workspace(context))


@contextmanager
def open_writer(workspace: Workspace, settings: Settings, *, no_wait: bool) -> Iterator[Lake]:
    """Open the workspace's lake for writing, after a wait for another process that is writing.

    Parameters
    ----------
    no_wait
        Do not wait: the command is refused while another process is writing.

    Raises
    ------
    LakeBusyError
        Another process is still writing.
    """
    import typer

    from pm.cli.visible import visible
    from pm.pipeline import open_lake

    opening = open_lake(
        workspace,
        settings,
        wait_seconds=0 if no_wait else settings.lake.wait_seconds,
        on_wait=lambda sentence: typer.echo(visible(sentence), err=True),
    )
    with ExitStack() as stack:
        try:
            lake = stack.enter_context(opening)
        except LakeBusyError as busy:
            if not no_wait:
                raise
            hint = "leave out --no-wait to wait until it has finished; reading (pm sql, pm signals, …) works meanwhile"
            raise LakeBusyError(busy.what, where=busy.where, hint=hint) from None
        yield lake
