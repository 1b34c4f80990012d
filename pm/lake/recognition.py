"""Tell what errors of DuckDB, DuckLake, SQLite and the system mean for a lake: errors with a remedy."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import duckdb

from pm.errors import LakeBusyError, LakeError, PmError, StorageError
from pm.lake.layout import CATALOG
from pm.lake.location import LakeLocation, located
from pm.open_files import delete, is_held

__all__ = [
    "CATALOG_HINT",
    "DAMAGED_HINT",
    "SHARED_CATALOG_HINT",
    "discard_half_written",
    "first_line",
    "recognised",
]

DAMAGED_HINT = (
    "list the damage with `pm lake verify`; restore lake/ from a backup, or move it away, then import or fetch its "
    "data again"
)
CATALOG_HINT = (
    "replace the whole folder lake, catalog.sqlite and data together, by that of a backup; without one, move it away, "
    "then import your files again"
)
"""Remedy where the catalog is damaged: neither `pm lake verify` nor `pm lake restore` can do without it."""
SHARED_CATALOG_HINT = "restore the schema of the catalog from a backup of its database, made with pg_dump"

_BUSY, _BUSY_HINT = "The lake is locked by another writer.", "wait for it to finish, then run this again"
_HALF_READ = ("Failed to commit DuckLake transaction", "Failed to load DuckLake")
"""Phrases of the error of a commit that read the catalog again while another writer was changing it."""
_CLOSED_HINT = "correct the permissions of the lake's folder and of each file in it; what was committed before is safe"

_KNOWN: tuple[tuple[tuple[str, ...], type[PmError], str, str], ...] = (
    (
        ("database is locked", "database table is locked", "transaction conflict", "write-write conflict"),
        LakeBusyError,
        _BUSY,
        _BUSY_HINT,
    ),
    (
        ("creating a new ducklake is explicitly disabled",),
        LakeError,
        "The lake's catalog is empty.",
        "create the lake with `pm run` or `pm import`",
    ),
    (
        ("catalog version mismatch",),
        LakeError,
        "Another version of pm made this lake: {}",
        "upgrade pm: python -m pip install --upgrade portfolio-maximizer, or `.` in a newer checkout",
    ),
    (
        ("no snapshot found in ducklake",),
        LakeError,
        "The lake's catalog is damaged, its snapshots are lost: {}",
        CATALOG_HINT,
    ),
    (
        ("no snapshot found",),
        LakeError,
        "There is no such snapshot: {}",
        "list the snapshots kept with `pm lake snapshots`",
    ),
    (
        (
            "file is not a database",
            "disk image is malformed",
            "malformed database",
            "not a valid ducklake",
            "no such table",
            "failed to migrate",
        ),
        LakeError,
        "The lake's catalog is damaged: {}",
        CATALOG_HINT,
    ),
    (
        (
            "too small to be a parquet",
            "no magic bytes",
            "invalid footer",
            "out of buffer",
            "invalid ttype",
            "tprotocol",
            "failed to decompress",
            "no files found that match",
            "no such file or directory",
        ),
        LakeError,
        "The lake's data is damaged: {}",
        DAMAGED_HINT,
    ),
    (
        (
            "permission denied",
            "access is denied",
            "read-only file system",
            "attempt to write a readonly",
            "unable to open database file",
        ),
        StorageError,
        "The lake cannot be read or written: {}",
        _CLOSED_HINT,
    ),
    (
        (
            "no space left",
            "disk quota",
            "file too large",
            "database or disk is full",
            "disk i/o error",
            "cannot open file",
            "could not write",
        ),
        StorageError,
        "The lake cannot be read or written: {}",
        "free some space, or correct the folder's permissions; what was committed before is safe",
    ),
)
"""Phrases in the messages of DuckDB, DuckLake and SQLite, in lower case; and the error raised for them, its message, in
which {} stands for the original one, and its hint. The first entry that matches applies."""

_NAMED_FILE = re.compile(r'"([^"\n]+\.parquet)"', re.IGNORECASE)
_HALF_WRITTEN = re.compile(r'could not write[^"]*"(?P<file>[^"]+\.parquet)"', re.IGNORECASE)


def recognised(error: duckdb.Error | OSError, place: Path | LakeLocation) -> PmError | None:
    """Return the error with a remedy for an error about a lake; None if it is of no known kind."""
    location = located(place)
    if isinstance(error, OSError):
        return _about_folder(error, location.folder)
    if location.is_shared:
        from pm.lake.shared_errors import recognised_shared

        return recognised_shared(str(error), location) or _phrased(error, location)
    return _phrased(error, location)


def discard_half_written(error: BaseException) -> None:
    """Remove the file whose writing failed: the catalog does not list it, and it takes up a disk that may be full."""
    named = _HALF_WRITTEN.search(str(error))
    if named is not None:
        with suppress(OSError):  # compaction removes it later
            delete(Path(named["file"]))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind if it has no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _about_folder(error: OSError, root: Path) -> PmError:
    """Return the error with a remedy for an error of the system about a lake's folder or a file in it."""
    if error.filename is not None and is_held(Path(os.fsdecode(error.filename))):
        return _open_elsewhere(Path(os.fsdecode(error.filename)))
    return StorageError(
        f"The lake's folder cannot be used: {error.strerror or error}.",
        where=str(error.filename or root),
        hint="correct its permissions, or choose another workspace: pm --workspace DIR",
    )


def _phrased(error: duckdb.Error, location: LakeLocation) -> PmError | None:
    """Return the error with a remedy for a message that names a file, or has a known phrase; None for any other."""
    if all(phrase in str(error) for phrase in _HALF_READ):
        return LakeBusyError(_BUSY, where=location.where, hint=_BUSY_HINT)
    about_file = _about_named_file(error)
    if about_file is not None:
        return about_file
    for phrases, kind, what, hint in _KNOWN:
        for line in str(error).splitlines():
            if any(phrase in line.lower() for phrase in phrases):
                where = str(_closed(location.folder)) if hint is _CLOSED_HINT else location.where
                remedy = SHARED_CATALOG_HINT if hint is CATALOG_HINT and location.is_shared else hint
                return kind(what.format(line), where=where, hint=remedy)
    return None


def _closed(root: Path) -> Path:
    """Return the file of the catalog that may not be read or written, such as another user's; else the folder."""
    files = [root / f"{CATALOG}{ending}" for ending in ("-shm", "-wal", "")]
    return next((file for file in files if os.path.lexists(file) and not os.access(file, os.R_OK | os.W_OK)), root)


def _open_elsewhere(file: Path) -> StorageError:
    return StorageError(
        "A file of the lake is open in another program.",
        where=str(file),
        hint="run it again later, when that program has closed the file",
    )


def _about_named_file(error: duckdb.Error) -> PmError | None:
    """Return the error for a data file that a message names and that is missing or held; None if there is none.

    The files themselves are asked, since the system words its reason in the user's language.
    """
    if not isinstance(error, duckdb.IOException):
        return None
    message = str(error)
    for file in (Path(name) for name in _NAMED_FILE.findall(message)):
        if is_held(file):
            return _open_elsewhere(file)
        # Where the folder cannot be written, the file may be one that was to be made.
        if not file.exists() and os.access(file.parent, os.W_OK) and not _HALF_WRITTEN.search(message):
            return LakeError("The lake is damaged: a data file is missing.", where=str(file), hint=DAMAGED_HINT)
    return None
