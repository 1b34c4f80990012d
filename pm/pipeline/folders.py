"""Land what is new or changed in the folders that are watched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError
from pm.sources.folders import MISSING, folder_state
from pm.tables.sources import FOLDERS

if TYPE_CHECKING:
    from pm.pipeline.watch_list import Rows

__all__ = ["changed_folders", "folder_states", "missing", "seen"]

_WATCHED = "SELECT path, state FROM folders ORDER BY path"


def folder_states(rows: Rows) -> list[list[str]]:
    """Return each folder that is watched, and the state of its files now."""
    return [[row["path"], folder_state(Path(row["path"]))] for row in rows(_WATCHED, ())]


def changed_folders(rows: Rows) -> dict[Path, str]:
    """Return the folders whose files are others than those that were read last, each with the state of its files."""
    states = {row["path"]: folder_state(Path(row["path"])) for row in rows(_WATCHED, ())}
    read = {row["path"]: row["state"] for row in rows(_WATCHED, ())}
    return {Path(path): state for path, state in states.items() if state != read[path]}


def seen(folders: pl.DataFrame, states: dict[Path, str]) -> pl.DataFrame:
    """Return the rows of table folders whose files have been read, in the state that they had then."""
    named = {str(path): state for path, state in states.items()}
    rows = folders.filter(pl.col("path").is_in(list(named)))
    state = pl.col("path").replace_strict(named, return_dtype=pl.String)
    return FOLDERS.conform(rows.with_columns(state=state))


def missing(states: dict[Path, str]) -> list[InputError]:
    """Return an error for each folder that is not there."""
    return [
        InputError(
            "The folder that is watched is not there.",
            where=str(path),
            hint=f"put it back, or watch it no more: pm universe remove --files {path}",
        )
        for path, state in states.items()
        if state == MISSING
    ]
