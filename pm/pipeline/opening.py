"""Open the lake of a workspace."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pm.lake import Lake
from pm.lake.connection import refuse_file
from pm.lake.location import LakeLocation
from pm.pipeline.right_to_write import right_to_write
from pm.resources import sql_dir
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["open_lake", "read_lake"]


@contextmanager
def open_lake(
    workspace: Workspace,
    settings: Settings,
    *,
    wait_seconds: float = 0,
    on_wait: Callable[[str], object] | None = None,
) -> Iterator[Lake]:
    """Open the workspace's lake for writing, and create it if it is not there; holds the writer's lock meanwhile.

    Parameters
    ----------
    wait_seconds
        Longest wait for another process that is writing, in seconds.
    on_wait
        Function that is told, in a sentence, which process is waited for.

    Raises
    ------
    LakeBusyError
        Another process is still writing.
    StorageError
        The lake's folder is a file, or cannot be written.
    """
    refuse_file(workspace.lake)
    location = LakeLocation.of(workspace.lake, settings.lake)
    with (
        right_to_write(location, wait_seconds=wait_seconds, on_wait=on_wait) as lock,
        Lake(workspace.lake, settings.lake, TABLES, views=[sql_dir(), workspace.views], lock=lock) as lake,
    ):
        yield lake


def read_lake(workspace: Workspace, settings: Settings) -> Lake:
    """Open the workspace's lake for reading."""
    return Lake(workspace.lake, settings.lake, TABLES, read_only=True)
