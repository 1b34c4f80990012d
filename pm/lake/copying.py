"""Copy a lake for a rehearsal of changes, into a folder.

Of a lake in a folder the catalog is copied and the data files are linked, since they never change. Of a shared lake the
rows are copied.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from pm.errors import LakeError
from pm.lake.lake import Lake
from pm.lake.layout import CATALOG, DATA
from pm.lake.location import LakeLocation
from pm.lake.shared import holds_lake

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.settings import LakeSettings
    from pm.tables.declaration import Table

__all__ = ["copy_catalog", "copy_lake", "copy_rows"]

_EXPORT = "rows.parquet"


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
        copy_catalog(source / CATALOG, target / CATALOG)
    # After the catalog, so that each file that it names is there.
    for place, _, files in os.walk(source / DATA):
        folder = target / DATA / Path(place).relative_to(source / DATA)
        folder.mkdir(parents=True, exist_ok=True)
        for name in files:
            _link(Path(place) / name, folder / name)


def copy_rows(folder: Path, settings: LakeSettings, tables: Mapping[str, Table], target: Path) -> None:
    """Make a lake in an empty folder that has the rows of a shared one, which is only read.

    Its first snapshot has the number of the newest one of the shared lake, so that later ones have later numbers than
    those that the rows refer to.

    Parameters
    ----------
    folder
        Lake folder of the workspace with the shared lake.
    settings
        Settings of that workspace.
    tables
        The tables of the lake by their names.
    target
        Folder of the new lake. Without a lake at the shared place there is none in it.

    Raises
    ------
    PmError
        The shared lake cannot be read.
    """
    if not holds_lake(LakeLocation.of(folder, settings)):
        return
    own = settings.model_copy(update={"catalog": "", "data": ""})
    source = Lake(folder, settings, tables, read_only=True)
    with source, source.reading():
        Lake(target, own, tables).close()
        _number_from(target / CATALOG, source.snapshot)
        with Lake(target, own, tables) as copy:
            for table in tables.values():
                source.export(table, target / _EXPORT)
                copy.commit("copy", lambda to, table=table: to.append(table, [target / _EXPORT]))  # type: ignore[misc]
    (target / _EXPORT).unlink(missing_ok=True)


def _number_from(catalog: Path, snapshot: int) -> None:
    """Give the newest snapshot of a catalog a number of at least `snapshot`."""
    with closing(sqlite3.connect(catalog)) as connection, connection:
        (newest,) = connection.execute("SELECT max(snapshot_id) FROM ducklake_snapshot").fetchone()
        for table in ("ducklake_snapshot", "ducklake_snapshot_changes"):
            connection.execute(
                f"UPDATE {table} SET snapshot_id = ? WHERE snapshot_id = ?",  # noqa: S608 - names of this list
                (max(newest, snapshot), newest),
            )


def copy_catalog(source: Path, target: Path) -> None:
    """Copy the catalog of a lake in a folder as it is at one moment, whoever writes to it.

    Raises
    ------
    LakeError
        The catalog cannot be read.
    """
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
