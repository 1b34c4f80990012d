"""Record a checksum of every data file at the commit that names it, and find files that have changed since.

Parquet files have no checksums that DuckDB checks: a flipped bit can change numbers without an error. A file is never
changed after its commit, so that a checksum of its bytes stays right for as long as the catalog names it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pm.errors import LakeError
from pm.lake.binding import literal, quote
from pm.lake.store import checksum_of, is_readable
from pm.tables.lake import FILE_CHECKSUMS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    import duckdb

    from pm.lake.location import LakeLocation
    from pm.lake.store import DataStore

__all__ = [
    "CatalogFile",
    "Fault",
    "FileFault",
    "catalog_files",
    "create_checksums",
    "faults_of",
    "forget_checksums",
    "inline_all_checksums",
    "record_checksums",
    "recorded_checksums",
    "refuse_faults",
    "restore_files",
]

_INLINED_ROWS = 1_000_000_000
"""Number of rows up to which a commit's checksums stay in the catalog: in a Parquet file they would need one of their
own."""

_FILES = """
WITH place AS (
    SELECT t.table_id, arg_max(s.schema_name, t.begin_snapshot) AS schema_name,
        arg_max(t.table_name, t.begin_snapshot) AS table_name,
        arg_max(CASE WHEN t.path_is_relative THEN s.path ELSE '' END || t.path, t.begin_snapshot) AS folder
    FROM __ducklake_metadata_lake.ducklake_table t JOIN __ducklake_metadata_lake.ducklake_schema s USING (schema_id)
    GROUP BY t.table_id
), file AS (
    SELECT table_id, path, path_is_relative, file_size_bytes, begin_snapshot, end_snapshot
    FROM __ducklake_metadata_lake.ducklake_data_file
    UNION ALL
    SELECT table_id, path, path_is_relative, file_size_bytes, begin_snapshot, end_snapshot
    FROM __ducklake_metadata_lake.ducklake_delete_file
)
SELECT
    CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '.' END || table_name AS table_name,
    replace(CASE WHEN path_is_relative THEN folder ELSE '' END || path, '\\', '/') AS path,
    file_size_bytes, begin_snapshot, end_snapshot
FROM file JOIN place USING (table_id)
ORDER BY ALL
"""
"""Query for the files of all snapshots that are kept, with their paths below the folder of the data."""


class Fault(StrEnum):
    """What is wrong with a data file."""

    MISSING = "missing"
    CHANGED = "changed"
    UNRECORDED = "no checksum"


@dataclass(frozen=True)
class CatalogFile:
    """A data file that the catalog names.

    Attributes
    ----------
    table
        Table whose rows, or deletions of rows, it holds.
    path
        Path below the folder of the lake's data, with '/' between folders on every system.
    bytes
        Its size, in bytes.
    begin
        First snapshot that reads it.
    end
        First snapshot that no longer reads it; None for a file of the newest.
    """

    table: str
    path: str
    bytes: int
    begin: int
    end: int | None


@dataclass(frozen=True)
class FileFault:
    """A data file, and what is wrong with it."""

    file: CatalogFile
    fault: Fault


def create_checksums(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the table of checksums where it is missing."""
    columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in FILE_CHECKSUMS.columns)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {FILE_CHECKSUMS.qualified} ({columns})")


def inline_all_checksums(connection: duckdb.DuckDBPyConnection) -> None:
    """Have the rows of the table of checksums stored in the catalog, however many they are.

    DuckLake cannot set an option of a table in the transaction that creates it.
    """
    connection.execute(
        f"CALL lake.set_option('data_inlining_row_limit', {_INLINED_ROWS}, table_name => '{FILE_CHECKSUMS.name}')"
    )


def record_checksums(connection: duckdb.DuckDBPyConnection, store: DataStore, paths: Iterable[str]) -> None:
    """Record the checksums of new files, in the caller's transaction, which is the one that names them.

    A file that another process is still writing can be among them. Its own commit records it again, and one right
    checksum is enough.

    Parameters
    ----------
    store
        What keeps the files.
    paths
        Paths of the files below the folder of the data.
    """
    rows = []
    for path in paths:
        with suppress(FileNotFoundError):  # of a transaction of another process that was rolled back
            size, digest = store.checksum(path)
            rows.append(f"({quote(path)}, {size:d}, {quote(digest)})")
    if rows:
        connection.execute(f"INSERT INTO {FILE_CHECKSUMS.qualified} VALUES {', '.join(rows)}")  # noqa: S608 - quoted


def forget_checksums(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> None:
    """Delete the checksums of files that are gone, in the caller's transaction."""
    connection.execute(f"DELETE FROM {FILE_CHECKSUMS.qualified} WHERE path IN (SELECT unnest({literal(list(paths))}))")  # noqa: S608


def catalog_files(connection: duckdb.DuckDBPyConnection) -> list[CatalogFile]:
    """Return the data files of every snapshot that is kept, in the order of their tables."""
    return [CatalogFile(*row) for row in connection.execute(_FILES).fetchall()]


def recorded_checksums(connection: duckdb.DuckDBPyConnection) -> dict[str, set[tuple[int, str]]]:
    """Return the sizes and checksums recorded for each path; none of a lake that an older version made."""
    recorded: dict[str, set[tuple[int, str]]] = {}
    known = connection.execute(
        "SELECT 1 FROM __ducklake_metadata_lake.ducklake_table WHERE table_name = ? AND end_snapshot IS NULL".replace(
            "?", quote(FILE_CHECKSUMS.name)
        )
    ).fetchone()
    if known is not None:
        for path, size, digest in connection.execute(
            f"SELECT path, bytes, checksum FROM {FILE_CHECKSUMS.qualified}"  # noqa: S608 - a declared name
        ).fetchall():
            recorded.setdefault(path, set()).add((size, digest))
    return recorded


def faults_of(
    connection: duckdb.DuckDBPyConnection,
    store: DataStore,
    files: Collection[CatalogFile],
    *,
    quick: bool = False,
    on_progress: Callable[[int], object] = lambda _: None,
) -> list[FileFault]:
    """Read files, and return those that are missing, changed, or without a checksum to compare with.

    Parameters
    ----------
    connection
        The lake, attached.
    store
        What keeps the files.
    files
        The files to read.
    quick
        Compare only sizes where the store itself guards the bytes of its files.
    on_progress
        Function that is called with the number of bytes of each file when it has been read.
    """
    if not files:
        return []
    if quick and store.guards_bytes:
        sizes = store.sizes()
        return [
            FileFault(file, Fault.CHANGED if file.path in sizes else Fault.MISSING)
            for file in files
            if sizes.get(file.path) != file.bytes
        ]
    recorded = recorded_checksums(connection)

    def compared(file: CatalogFile) -> Fault | None:
        return _fault(store, file, recorded.get(file.path, set()))

    faults = []
    with ThreadPoolExecutor(store.readers) as threads:  # neither reading nor hashing holds Python's lock
        for file, fault in zip(files, threads.map(compared, files), strict=True):
            if fault is not None:
                faults.append(FileFault(file, fault))
            on_progress(file.bytes)
    return faults


def _fault(store: DataStore, file: CatalogFile, recorded: set[tuple[int, str]]) -> Fault | None:
    try:
        if recorded:
            # The size tells most damage without reading the file.
            whole = store.size(file.path) == file.bytes and store.checksum(file.path) in recorded
            return None if whole else Fault.CHANGED
        if store.size(file.path) != file.bytes:
            return Fault.CHANGED
        return Fault.UNRECORDED if store.is_readable(file.path) else Fault.CHANGED
    except FileNotFoundError:
        return Fault.MISSING


def refuse_faults(faults: Iterable[FileFault], location: LakeLocation) -> None:
    """Refuse to go on with damaged files; files without a checksum pass.

    Raises
    ------
    LakeError
        A file is missing or changed.
    """
    damaged = [found for found in faults if found.fault is not Fault.UNRECORDED]
    if not damaged:
        return
    first = damaged[0]
    others = f", and {len(damaged) - 1:,} more are damaged" if len(damaged) > 1 else ""
    fault = "is missing" if first.fault is Fault.MISSING else "has changed since it was written"
    raise LakeError(
        f"The lake is damaged: a data file of table {first.file.table} {fault}{others}.",
        where=location.place_of(first.file.path),
        hint="list all damage with `pm lake verify`; with a backup, `pm lake restore DIR` repairs it",
    )


def restore_files(
    connection: duckdb.DuckDBPyConnection, store: DataStore, faults: Iterable[FileFault], backup: Path
) -> list[FileFault]:
    """Replace damaged files by the same files of a backup, and return the faults that remain.

    Parameters
    ----------
    store
        What keeps the files.
    backup
        A folder with a copy of the lake's data anywhere below it, of any time since the files were written. Only a
        copy with the recorded checksum is taken, or, for a file without one, a copy of its size that can be read.

    Raises
    ------
    StorageError
        A folder is in the place of a file.
    """
    recorded = recorded_checksums(connection)
    copies: dict[str, list[Path]] = {}
    for copy in backup.rglob("*.parquet"):
        copies.setdefault(copy.name, []).append(copy)
    remaining: list[FileFault] = []
    for found in faults:
        if found.fault is Fault.UNRECORDED:
            continue
        file = found.file
        known = recorded.get(file.path, set())
        whole = (copy for copy in copies.get(file.path.rpartition("/")[2], ()) if _is_whole(copy, file, known))
        chosen = next(whole, None)
        if chosen is None:
            remaining.append(found)
            continue
        store.put(chosen, file.path)
    return remaining


def _is_whole(copy: Path, file: CatalogFile, recorded: set[tuple[int, str]]) -> bool:
    """Return whether a copy of a file has its recorded checksum; if there is none, its size, and can be read."""
    try:
        size = copy.stat().st_size
        return size == file.bytes and ((size, checksum_of(copy)) in recorded if recorded else is_readable(copy))
    except FileNotFoundError:
        return False
