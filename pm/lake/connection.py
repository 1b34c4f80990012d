"""Open DuckDB connections that can speak to the lake, and say plainly what went wrong when they cannot."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import duckdb
import duckdb_extensions

from pm.errors import LakeBusyError, LakeError, PmError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.settings import LakeSettings

__all__ = ["CATALOG", "DATA", "attach", "connect", "quote", "retried", "translated"]

CATALOG = "catalog.sqlite"
DATA = "data"

Result = TypeVar("Result")

_EXTENSIONS = ("sqlite_scanner", "ducklake")
_BUSY = ("database is locked", "database table is locked", "transaction conflict", "write-write conflict")
_STORAGE = (
    "no space left",
    "disk quota",
    "file too large",
    "database or disk is full",
    "disk i/o error",
    "permission denied",
    "read-only file system",
    "readonly database",
    "attempt to write a readonly",
    "cannot open file",
    "could not write",
)
_CORRUPT = (
    "file is not a database",
    "disk image is malformed",
    "malformed database",
    "not a valid ducklake",
    "does not exist at",
    "no such table",
    "failed to migrate",
    "too small to be a parquet",
    "no magic bytes",
    "no files found that match",
)


def quote(text: str) -> str:
    """Write a text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def connect() -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with the lake's extensions loaded, in UTC.

    The extensions come from Python packages, so that no network is needed; where those are missing DuckDB's own
    installer is asked.

    Raises
    ------
    LakeError
        The extensions can be had neither way.
    """
    connection = duckdb.connect()
    for name in _EXTENSIONS:
        try:
            duckdb_extensions.import_extension(name, con=connection)
            connection.load_extension(name)
        except (ImportError, OSError, duckdb.Error) as missing:
            try:
                connection.install_extension(name)
                connection.load_extension(name)
            except duckdb.Error:
                raise LakeError(
                    f"DuckDB's extension {name!r} cannot be loaded: {_first_line(missing)}.",
                    where=f"DuckDB {duckdb.__version__}",
                    hint="reinstall: python -m pip install --force-reinstall portfolio-maximizer",
                ) from missing
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def attach(
    connection: duckdb.DuckDBPyConnection, root: Path, *, read_only: bool = False, at: int | None = None
) -> None:
    """Attach the lake in a folder as `lake` and make it the default catalog.

    Parameters
    ----------
    root
        The workspace's lake folder. A lake that has been moved is found where it is now.
    read_only, at
        For readers: refuse writes; see the lake as it was at a snapshot.
    """
    options = [f"DATA_PATH {quote(str(root / DATA) + '/')}", "OVERRIDE_DATA_PATH true", "META_BUSY_TIMEOUT 5000"]
    if read_only:
        options.append("READ_ONLY")
    else:
        options.append("META_JOURNAL_MODE 'WAL'")  # readers are never blocked by the writer
    if at is not None:
        options.append(f"SNAPSHOT_VERSION {at:d}")
    with translated(root):
        connection.execute(
            f"ATTACH {quote(f'ducklake:sqlite:{root / CATALOG}')} AS lake ({', '.join(options)})"  # no identifiers here
        )
        connection.execute("USE lake")


@contextmanager
def translated(root: Path) -> Iterator[None]:
    """Turn DuckDB's and the system's errors about the lake into errors with a remedy."""
    try:
        yield
    except PmError:
        raise
    except (duckdb.Error, OSError) as error:
        raise _explained(error, root) from error


def retried(work: Callable[[], Result], settings: LakeSettings) -> Result:
    """Run a transaction, again after a growing pause while the catalog is locked or another commit came first.

    Raises
    ------
    LakeBusyError
        It stayed locked through every attempt.
    """
    for attempt in range(settings.retry_attempts):
        try:
            return work()
        except LakeBusyError:
            if attempt + 1 == settings.retry_attempts:
                raise
            pause = settings.retry_base_seconds * 2**attempt
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads the attempts out
    raise AssertionError  # pragma: no cover - retry_attempts is at least 1


def _explained(error: Exception, root: Path) -> PmError:
    text = str(error)
    lower = text.lower()
    where = str(root)
    if any(phrase in lower for phrase in _BUSY):
        return LakeBusyError(
            "The lake is locked by another writer.", where=where, hint="wait for it to finish, then run this again"
        )
    if any(phrase in lower for phrase in _STORAGE) or isinstance(error, OSError):
        return StorageError(
            f"The lake cannot be written or read: {_first_line(error)}",
            where=where,
            hint="free some space, or mend the folder's permissions; what was committed before is safe",
        )
    if any(phrase in lower for phrase in _CORRUPT):
        return LakeError(
            f"The lake's catalog or data is damaged: {_first_line(error)}",
            where=where,
            hint="restore lake/ from a backup, or move it away and import or fetch the bars again",
        )
    if "unable to open database file" in lower:
        return StorageError(
            "The lake's catalog cannot be opened.", where=str(root / CATALOG), hint="check the folder's permissions"
        )
    return LakeError(_first_line(error), where=where, hint="run again with --debug and report it")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
