"""Copy a lake for a rehearsal of changes: its catalog is copied, its data files are linked, since they never change."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from pm.errors import LakeError
from pm.lake.layout import CATALOG, DATA

__all__ = ["copy_lake"]


def copy_lake(source: Path, target: Path) -> None:
    """Make a lake in an empty folder that is equal to another one, which is only read.

    What is done to the copy does not change the lake that it was made from. Other processes can write to that lake
    meanwhile.

    Parameters
    ----------
    source, target
        Folders of the two lakes. Without a catalog in `source` there is none in `target`.

    Raises
    ------
    LakeError
        The catalog cannot be read.
    """
    target.mkdir(parents=True, exist_ok=True)
    if (source / CATALOG).exists():
        _copy_catalog(source / CATALOG, target / CATALOG)
    # After the catalog, so that each file that it names is there.
    for place, _, files in os.walk(source / DATA):
        folder = target / DATA / Path(place).relative_to(source / DATA)
        folder.mkdir(parents=True, exist_ok=True)
        for name in files:
            _link(Path(place) / name, folder / name)


def _copy_catalog(source: Path, target: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.Error as error:
        raise LakeError(
            f"The lake's catalog cannot be copied: {error}.",
            where=str(source),
            hint="look whether other commands can read the lake, such as `pm tables`",
        ) from None


def _link(source: Path, target: Path) -> None:
    """Link a file, or copy it where the file systems or the user's rights allow no link."""
    try:
        target.hardlink_to(source)
    except OSError:
        try:
            target.symlink_to(source.resolve())
        except OSError:
            shutil.copyfile(source, target)
