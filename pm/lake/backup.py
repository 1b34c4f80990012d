"""Copy a lake into a folder while others read and write it: a catalog of one moment, and every file that it names."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pm.errors import InputError, LakeError, StorageError
from pm.lake.copying import copy_catalog
from pm.lake.lake import Lake
from pm.lake.layout import CATALOG, DATA
from pm.lake.location import LakeLocation
from pm.lake.store import checksum_of
from pm.tables.lake import FILE_CHECKSUMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pm.lake.integrity import CatalogFile
    from pm.settings import LakeSettings
    from pm.tables.declaration import Table

__all__ = ["Backup", "back_up", "restore_whole"]

_ATTEMPTS = 5
"""Number of attempts to copy a catalog with all files that it names: a compaction can remove one in between."""


@dataclass(frozen=True)
class Backup:
    """What a backup holds.

    Attributes
    ----------
    snapshot
        Newest snapshot in it.
    files
        Number of data files that its catalog names.
    copied
        Number of those that were copied now; the others were there from an earlier backup.
    bytes
        Bytes of all data files.
    """

    snapshot: int
    files: int
    copied: int
    bytes: int


def back_up(
    folder: Path,
    settings: LakeSettings,
    tables: Mapping[str, Table],
    target: Path,
    *,
    on_files: Callable[[list[CatalogFile]], object] = lambda _: None,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Backup:
    """Copy a lake into a folder, and verify the copy by the checksums that were recorded when each file was written.

    The copy is a lake of its own. A folder that has an older backup of the same lake is brought up to date: a data file
    never changes, so that only new ones are copied. Files that the new catalog no longer names are left.

    Parameters
    ----------
    folder
        Folder of the lake.
    settings, tables
        Settings of the lake, and its tables.
    target
        Folder of the backup; it is made if it does not exist.
    on_files, on_progress
        Functions that are called with the files to copy, and with the bytes of each that is there.

    Raises
    ------
    LakeError
        There is no lake, it is a shared one, or a file of it is damaged.
    InputError
        The target is the lake itself, or a folder with something else in it.
    StorageError
        The target cannot be written.
    """
    if LakeLocation.of(folder, settings).is_shared:
        raise LakeError(
            "A shared lake is backed up where it is.",
            where=LakeLocation.of(folder, settings).where,
            hint="back up the database with pg_dump, and after that the object store; docs/scaling.md",
        )
    if not (folder / CATALOG).is_file():
        from pm.lake.connection import no_lake

        raise no_lake(folder)
    _refuse_target(folder, target)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".part-") as draft:
            return _copy(folder, settings, tables, target, Path(draft), on_files, on_progress)
    except OSError as error:
        raise StorageError(
            f"The backup cannot be written: {error.strerror or error}.",
            where=str(error.filename or target),
            hint="free some space, or name another folder; a backup that was there is as it was",
        ) from None


def _copy(
    folder: Path,
    settings: LakeSettings,
    tables: Mapping[str, Table],
    target: Path,
    draft: Path,
    on_files: Callable[[list[CatalogFile]], object],
    on_progress: Callable[[int], object],
) -> Backup:
    own = settings.model_copy(update={"catalog": "", "data": ""})
    for attempt in range(1, _ATTEMPTS + 1):
        (draft / CATALOG).unlink(missing_ok=True)
        copy_catalog(folder / CATALOG, draft / CATALOG)
        # The files are taken from the copy of the catalog: the lake can have others by now.
        with Lake(draft, own, tables, read_only=True) as lake:
            files, snapshot = lake.files(), lake.snapshot
            checksums = _checksums(lake, files)
        on_files(files)
        try:
            copied = sum(_copy_file(folder, target, file, on_progress) for file in files)
        except FileNotFoundError:
            if attempt == _ATTEMPTS:
                raise LakeError(
                    "A data file that the catalog names is not there.",
                    where=str(folder),
                    hint="pm lake verify lists what is missing",
                ) from None
            continue
        break
    damaged = [path for path, known in checksums.items() if not _is_whole(target / DATA / path, known)]
    if damaged:
        raise LakeError(
            f"{len(damaged):,} data files are damaged, and the backup was not finished. The first: {damaged[0]}.",
            where=str(folder / DATA),
            hint="pm lake verify lists them; pm lake restore DIR repairs them from an older backup",
        )
    _put_catalog(draft / CATALOG, target / CATALOG)
    return Backup(snapshot, len(files), copied, sum(file.bytes for file in files))


def _copy_file(folder: Path, target: Path, file: CatalogFile, on_progress: Callable[[int], object]) -> bool:
    """Copy a data file unless it is there; return whether it was copied."""
    source, copy = folder / DATA / file.path, target / DATA / file.path
    is_there = copy.is_file() and copy.stat().st_size == file.bytes
    if not is_there:
        copy.parent.mkdir(parents=True, exist_ok=True)
        part = copy.with_name(f".{copy.name}.part")
        shutil.copyfile(source, part)
        part.replace(copy)
    on_progress(file.bytes)
    return not is_there


def _checksums(lake: Lake, files: list[CatalogFile]) -> dict[str, set[str]]:
    """Return the checksums recorded for the files that the catalog names; they are in the catalog itself."""
    named = {file.path for file in files}
    recorded: dict[str, set[str]] = {}
    for row in lake.rows(f"SELECT path, checksum FROM {FILE_CHECKSUMS.qualified}"):  # noqa: S608 - a declared name
        if row["path"] in named:
            recorded.setdefault(row["path"], set()).add(row["checksum"])
    return recorded


def _is_whole(file: Path, known: set[str]) -> bool:
    return file.is_file() and checksum_of(file) in known


def restore_whole(backup: Path, folder: Path) -> int:
    """Make a lake from a backup, in a folder that has none, and return its number of data files.

    Parameters
    ----------
    backup
        Folder of a backup, or of a copy of a workspace.
    folder
        Folder of the new lake.

    Raises
    ------
    InputError
        There is no backup.
    StorageError
        The folder cannot be written. The lake is not there then.
    """
    source = next((place for place in (backup, backup / "lake") if (place / CATALOG).is_file()), None)
    if source is None:
        raise InputError(
            f"There is no {CATALOG} in this folder.",
            where=str(backup),
            hint="name the folder that pm lake backup wrote",
        )
    count = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted((source / DATA).rglob("*.parquet")):
            copy = folder / DATA / file.relative_to(source / DATA)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            count += 1
        # The catalog comes last: without it there is no lake.
        part = folder / f".{CATALOG}.part"
        part.unlink(missing_ok=True)
        copy_catalog(source / CATALOG, part)
        part.replace(folder / CATALOG)
    except OSError as error:
        raise StorageError(
            f"The lake cannot be written: {error.strerror or error}.",
            where=str(error.filename or folder),
            hint="free some space, or correct the permissions",
        ) from None
    return count


def _put_catalog(draft: Path, target: Path) -> None:
    """Move a new catalog to the place of the one before, with what belongs to it."""
    for ending in ("-wal", "-shm"):
        target.with_name(target.name + ending).unlink(missing_ok=True)
    draft.replace(target)


def _refuse_target(folder: Path, target: Path) -> None:
    lake, place = folder.resolve(), target.resolve()
    if place == lake or lake in place.parents or place in lake.parents:
        raise InputError(
            "The backup would be inside the lake, or around it.", where=str(target), hint="name another folder"
        )
    if target.exists() and not target.is_dir():
        raise InputError("A backup must be a folder, and this is a file.", where=str(target), hint="name a folder")
    if target.is_dir() and any(target.iterdir()) and not (target / CATALOG).is_file():
        raise InputError(
            "The folder has something else in it than a backup.",
            where=str(target),
            hint="name an empty or a new folder",
        )
