"""Where the data files of a lake are: in a folder, or in an object store. Each is found by its path below the data."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import duckdb

from pm.errors import StorageError
from pm.lake.binding import quote
from pm.lake.durability import DataFiles, sync
from pm.open_files import patiently, replace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pm.lake.location import LakeLocation

__all__ = ["DataStore", "FolderStore", "ObjectStore", "checksum_of", "is_readable", "store_of"]


class DataStore(Protocol):
    """What keeps the data files of a lake.

    Attributes
    ----------
    readers
        Number of files that it is worth reading at once.
    guards_bytes
        Whether the store itself keeps checksums of its files and repairs them, as object stores do.
    """

    readers: int
    guards_bytes: bool

    def watch(self) -> None:
        """Take the files that exist now for known; see `new`."""

    def new(self) -> list[str]:
        """Wait until every file made since the last call, or since `watch`, is kept for good; return them, sorted."""

    def sizes(self) -> dict[str, int]:
        """Return every Parquet file with its size in bytes."""

    def size(self, path: str) -> int:
        """Return the size of a file in bytes; raise `FileNotFoundError` if it is missing."""

    def checksum(self, path: str) -> tuple[int, str]:
        """Return a file's size in bytes and its SHA-256; raise `FileNotFoundError` if it is missing."""

    def is_readable(self, path: str) -> bool:
        """Return whether a file is Parquet that can be read to its end; its numbers can still be wrong."""

    def put(self, source: Path, path: str) -> None:
        """Copy a file from a folder into the place of one of the store: never does a part of it stand there."""


def store_of(location: LakeLocation, connection: duckdb.DuckDBPyConnection) -> DataStore:
    """Return what keeps the data files of a lake.

    Parameters
    ----------
    connection
        A connection that can use the lake's object store, if its data is in one.
    """
    if location.is_in_object_store:
        return ObjectStore(connection, location.data_path)
    return FolderStore(location.data_folder)


class FolderStore:
    """Data files in a folder.

    Parameters
    ----------
    folder
        The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.readers = os.cpu_count() or 1
        self.guards_bytes = False
        self._folder = folder
        self._files: DataFiles | None = None

    def watch(self) -> None:
        """Take the files that exist now for known."""
        self._files = DataFiles(self._folder)

    def new(self) -> list[str]:
        """Wait until the disk has every file made since the last call, and return them."""
        assert self._files is not None  # noqa: S101 - `watch` comes first
        return [file.relative_to(self._folder).as_posix() for file in self._files.sync_new()]

    def sizes(self) -> dict[str, int]:
        """Return every Parquet file with its size in bytes."""
        files = self._folder.rglob("*.parquet")
        return {file.relative_to(self._folder).as_posix(): file.stat().st_size for file in files}

    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""
        return (self._folder / path).stat().st_size

    def checksum(self, path: str) -> tuple[int, str]:
        """Return a file's size in bytes and its SHA-256."""
        return self.size(path), checksum_of(self._folder / path)

    def is_readable(self, path: str) -> bool:
        """Return whether a file is Parquet that can be read to its end."""
        return is_readable(self._folder / path)

    def put(self, source: Path, path: str) -> None:
        """Copy a file under a name of its own first, so that nothing but a whole copy is ever in its place.

        Raises
        ------
        StorageError
            A folder is in the place of the file.
        """
        target = self._folder / path
        if target.is_dir():
            raise StorageError(
                "A folder is in the place of a data file.", where=str(target), hint="move it away, then run this again"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{target.name}.part")
        try:
            shutil.copyfile(source, draft)
            sync(draft)
            replace(draft, target)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
        sync(target.parent)


class ObjectStore:
    """Data files in an object store, which DuckDB reads and writes.

    An object is in its place whole or not at all, and for good once its writing is answered.

    Parameters
    ----------
    connection
        A connection that can use the store.
    address
        Address of the data, with a slash at its end.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, address: str) -> None:
        self.readers = 4  # each holds a whole file
        self.guards_bytes = True
        self._connection = connection
        self._address = address
        self._known: set[str] = set()

    def watch(self) -> None:
        """Take the files that exist now for known."""
        self._known = set(self._listed())

    def new(self) -> list[str]:
        """Return every file made since the last call."""
        present = set(self._listed())
        made = sorted(present - self._known)
        self._known = present
        return made

    def sizes(self) -> dict[str, int]:
        """Return every Parquet file with its size in bytes."""
        return dict(self._blobs([self._address + "**/*.parquet"], "size"))

    def size(self, path: str) -> int:
        """Return the size of a file in bytes."""
        return int(self._blob(path, "size"))

    def checksum(self, path: str) -> tuple[int, str]:
        """Return a file's size in bytes and its SHA-256; the file is read."""
        found = self._blob(path, "{'size': octet_length(content), 'hash': sha256(content)}")
        return int(found["size"]), str(found["hash"])

    def is_readable(self, path: str) -> bool:
        """Return whether a file is Parquet that can be read to its end."""
        try:
            self._fetch(f"SELECT count(COLUMNS(*)) FROM read_parquet({quote(self._address + path)})")  # noqa: S608 - quoted
        except duckdb.Error:
            return False
        return True

    def put(self, source: Path, path: str) -> None:
        """Copy a file into the store."""
        blob = f"SELECT content FROM read_blob({quote(str(source))})"  # noqa: S608 - quoted
        self._fetch(f"COPY ({blob}) TO {quote(self._address + path)} (FORMAT blob)")

    def _listed(self) -> Iterable[str]:
        found = self._fetch(f"SELECT file FROM glob({quote(self._address + '**/*.parquet')})")  # noqa: S608 - quoted
        return [str(file).removeprefix(self._address) for (file,) in found]

    def _blob(self, path: str, value: str) -> Any:  # noqa: ANN401 - any SQL value
        try:
            ((_, found),) = self._blobs([self._address + path], value)
        except duckdb.Error as error:
            if "404" in str(error) and "NoSuchBucket" not in str(error):
                raise FileNotFoundError(path) from error
            raise
        except ValueError:
            raise FileNotFoundError(path) from None
        return found

    def _blobs(self, patterns: list[str], value: str) -> list[tuple[str, Any]]:
        listed = ", ".join(quote(pattern) for pattern in patterns)
        found = self._fetch(f"SELECT filename, {value} FROM read_blob([{listed}])")  # noqa: S608 - quoted
        return [(str(name).removeprefix(self._address), result) for name, result in found]

    def _fetch(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:  # beside the transaction of the connection, and in any thread
            return cursor.execute(sql).fetchall()


def checksum_of(file: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with patiently(lambda: file.open("rb")) as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def is_readable(file: Path) -> bool:
    """Return whether a Parquet file can be read to its end; its numbers can still be wrong."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            for _ in opened.iter_batches():
                pass
    except (pa.ArrowException, OSError, ValueError):
        return False
    return True
