"""Rehearse what changes a lake: on a copy that is deleted in the end."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pm.lake import Lake
from pm.lake.copying import copy_lake, copy_rows
from pm.resources import sql_dir
from pm.tables.catalogue import TABLES
from pm.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.settings import Settings

__all__ = ["rehearsal"]


@contextmanager
def rehearsal(
    workspace: Workspace | None, settings: Settings, *, views: bool = True
) -> Iterator[tuple[Workspace, Lake]]:
    """Open a copy of a workspace's lake for writing; the workspace is only read, and the copy is deleted in the end.

    Parameters
    ----------
    workspace
        The workspace; None for one with an empty lake.
    views
        Whether the lake has its views. Creating them takes half of the time that a new lake takes.
    """
    with TemporaryDirectory(prefix="pm-", ignore_cleanup_errors=True) as folder:
        copy = Workspace(Path(folder))
        folders = [sql_dir()]
        if workspace is not None:
            if settings.lake.catalog:
                copy_rows(workspace.lake, settings.lake, TABLES, copy.lake)
            else:
                copy_lake(workspace.lake, copy.lake)
            folders.append(workspace.views)
        own = settings.lake.model_copy(update={"catalog": "", "data": ""})
        with Lake(copy.lake, own, TABLES, views=folders if views else None) as lake:
            yield copy, lake
