"""Land what is new or changed in the folders that are watched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError
from pm.sources.folders import MISSING, folder_state
from pm.tables.sources import FOLDERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.pipeline.watch_list import Rows

__all__ = ["changed_folders", "folder_problems", "folder_states", "seen"]

_WATCHED = "SELECT path, state FROM folders ORDER BY path"


def folder_states(rows: Rows) -> list[list[str]]:
    """Return each folder that is watched, and the state of its files now."""
    return [[row["path"], folder_state(Path(row["path"]))] for row in rows(_WATCHED, ())]


def changed_folders(rows: Rows) -> dict[Path, str]:
    """Return the folders whose files are others than those that were read last, each with the state of its files."""
    watched = rows(_WATCHED, ())
    states = {row["path"]: (row["state"], folder_state(Path(row["path"]))) for row in watched}
    return {Path(path): now for path, (before, now) in states.items() if now != before}


def folder_problems(states: Mapping[Path, str], refused: Sequence[InputError]) -> dict[Path, str]:
    """Return what could not be read of folders, each as a text of one line for each file.

    Parameters
    ----------
    states
        The folders, each with the state of its files.
    refused
        The errors of their files that did not land.
    """
    found: dict[Path, list[str]] = {}
    for error in [*_missing(states), *refused]:
        folder = next((path for path in states if Path(error.where).is_relative_to(path)), next(iter(states)))
        line = f"{error.where}: {error.what.rstrip('.')} ({error.hint})"
        found.setdefault(folder, []).append(" ".join(line.split()))
    return {folder: "\n".join(lines) for folder, lines in found.items()}


def seen(folders: pl.DataFrame, states: Mapping[Path, str], problems: Mapping[Path, str]) -> pl.DataFrame:
    """Return the rows of table folders whose files have been read, in the state that they had then.

    Parameters
    ----------
    folders
        Table folders.
    states
        The folders that have been read, each with the state of its files.
    problems
        What could not be read of some of them.
    """
    rows = folders.filter(pl.col("path").is_in([str(path) for path in states]))
    paths = [Path(path) for path in rows["path"]]
    return FOLDERS.conform(
        rows.with_columns(
            pl.Series("state", [states[path] for path in paths], pl.String),
            pl.Series("problem", [problems.get(path) for path in paths], pl.String),
        )
    )


def _missing(states: Mapping[Path, str]) -> list[InputError]:
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
