"""Open DuckDB connections to the lake, and turn DuckDB's errors about it into errors with a remedy."""

from __future__ import annotations

import random
import re
import time
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb

from pm.errors import LakeBusyError, LakeError, PmError, StorageError
from pm.lake.binding import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pm.settings import LakeSettings

__all__ = ["CATALOG", "DATA", "INTERRUPTED", "attach", "connect", "no_lake", "recognised", "retried", "translated"]

CATALOG = "catalog.sqlite"
"""File in the lake's folder that holds DuckLake's catalog."""
DATA = "data"
"""Folder in the lake's folder that holds the Parquet files."""
INTERRUPTED = "Query interrupted"
"""Message of the RuntimeError that DuckDB raises after Ctrl-C."""

Result = TypeVar("Result")

_EXTENSIONS = ("sqlite_scanner", "ducklake")
_DAMAGED_HINT = "restore lake/ from a backup, or move it away, then import or fetch its data again"

_KNOWN: tuple[tuple[tuple[str, ...], type[PmError], str, str], ...] = (
    (
        ("database is locked", "database table is locked", "transaction conflict", "write-write conflict"),
        LakeBusyError,
        "The lake is locked by another writer.",
        "wait for it to finish, then run this again",
    ),
    (
        ("creating a new ducklake is explicitly disabled",),
        LakeError,
        "The lake's catalog is empty.",
        "create the lake with `pm run` or `pm import`",
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
        "The lake's catalog or data is damaged: {}",
        _DAMAGED_HINT,
    ),
    (
        (
            "no space left",
            "disk quota",
            "file too large",
            "database or disk is full",
            "disk i/o error",
            "permission denied",
            "read-only file system",
            "attempt to write a readonly",
            "unable to open database file",
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

_HALF_WRITTEN = re.compile(r'could not write[^"]*"(?P<file>[^"]+\.parquet)"', re.IGNORECASE)


def connect(*, threads: int = 0) -> duckdb.DuckDBPyConnection:
    """Return a connection to an in-memory DuckDB with the lake's extensions loaded and its time zone set to UTC.

    The extensions come from Python packages, so that no network is needed; where those are missing, DuckDB downloads
    them.

    Parameters
    ----------
    threads
        Number of threads of a query; 0 for one per core.

    Raises
    ------
    LakeError
        An extension can be loaded from neither place.
    """
    # To check the signatures of the packaged files takes 0.3 s, and they are trusted as the code beside them is.
    connection = duckdb.connect(config={"allow_unsigned_extensions": True})
    connection.execute("SET enable_progress_bar = false")  # before LOAD, which would draw one on a slow machine
    if threads:
        connection.execute(f"SET threads = {threads:d}")
    missing = [(name, error) for name in _EXTENSIONS if (error := _load_packaged(connection, name)) is not None]
    connection.execute("SET allow_unsigned_extensions = false")  # nothing else is loaded without its signature
    for name, error in missing:
        try:
            connection.install_extension(name)
            connection.load_extension(name)
        except duckdb.Error:
            raise LakeError(
                f"DuckDB's extension {name!r} cannot be loaded: {_first_line(error)}.",
                where=f"DuckDB {duckdb.__version__}",
                hint="reinstall: python -m pip install --force-reinstall portfolio-maximizer",
            ) from error
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _load_packaged(connection: duckdb.DuckDBPyConnection, name: str) -> Exception | None:
    """Load an extension from the file of its Python package, and return the error if that is impossible.

    DuckDB's own installation would copy 70 MB to the home directory, which the user of a scheduled job can lack.
    """
    try:
        connection.execute(f"LOAD {quote(str(_packaged(name)))}")
    except (ImportError, OSError, duckdb.Error) as error:
        return error
    return None


def no_lake(root: Path) -> LakeError:
    """Return the error for a folder without a lake."""
    return LakeError("There is no lake here yet.", where=str(root), hint="create one with `pm run` or `pm import`")


def _packaged(name: str) -> Path:
    """Return the file of an extension in the Python package that contains it."""
    root = Path(str(files(f"duckdb_extension_{name}")))
    return root / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"


def attach(
    connection: duckdb.DuckDBPyConnection, root: Path, *, read_only: bool = False, at: int | None = None
) -> None:
    """Attach the lake in a folder as `lake` and make it the default catalog.

    Parameters
    ----------
    root
        The workspace's lake folder. The lake can have been moved since it was created.
    read_only
        Refuse writes.
    at
        Snapshot at which to read the whole lake; the newest by default.

    Raises
    ------
    LakeError
        The catalog is missing, empty or damaged.
    StorageError
        The folder cannot be read, or written if it is to be.
    """
    options = [f"DATA_PATH {quote(str(root / DATA) + '/')}", "OVERRIDE_DATA_PATH true", "META_BUSY_TIMEOUT 5000"]
    if read_only:
        options.append("READ_ONLY")
    else:
        options.append("META_JOURNAL_MODE 'WAL'")  # readers are never blocked by the writer
    if at is not None:
        options.append(f"SNAPSHOT_VERSION {at:d}")
    if not read_only:
        _refuse_lost_catalog(root)
    with translated(root):
        connection.execute(f"ATTACH {quote(f'ducklake:sqlite:{root / CATALOG}')} AS lake ({', '.join(options)})")
        connection.execute("USE lake")


def _refuse_lost_catalog(root: Path) -> None:
    """Refuse to create a catalog where there is data already: the data's own catalog was lost, and restoring it helps.

    Raises
    ------
    LakeError
        The catalog is missing or empty, and there is data.
    """
    catalog, log = root / CATALOG, root / f"{CATALOG}-wal"
    if any(file.is_file() and file.stat().st_size for file in (catalog, log)):
        return
    if next((root / DATA).rglob("*.parquet"), None) is not None:
        raise LakeError(
            f"The lake's catalog is {'empty' if catalog.exists() else 'missing'}, but its data is there.",
            where=str(catalog),
            hint=_DAMAGED_HINT,
        )


@contextmanager
def translated(root: Path) -> Iterator[None]:
    """Turn DuckDB's and the system's errors about the lake into errors with a remedy.

    Raises
    ------
    LakeError, StorageError
        A statement failed.
    KeyboardInterrupt
        Ctrl-C was pressed while DuckDB worked.
    """
    try:
        yield
    except PmError:
        raise
    except (duckdb.Error, OSError) as error:
        _discard_half_written(error)
        unknown = LakeError(_first_line(error), where=str(root), hint="run again with --debug and report it")
        raise recognised(error, root) or unknown from error
    except RuntimeError as error:
        if str(error) == INTERRUPTED:
            raise KeyboardInterrupt from error
        raise


def retried(work: Callable[[], Result], settings: LakeSettings) -> Result:
    """Run a transaction; while the catalog is locked or another commit came first, run it again after a longer pause.

    Raises
    ------
    LakeBusyError
        The last attempt failed as well.
    """
    for attempt in range(settings.retry_attempts):
        try:
            return work()
        except LakeBusyError:
            if attempt + 1 == settings.retry_attempts:
                raise
            pause = settings.retry_base_seconds * 2**attempt
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - it only spreads the attempts out
    raise AssertionError  # pragma: no cover - retry_attempts is at least 1


def _discard_half_written(error: BaseException) -> None:
    """Remove the file whose writing failed: the catalog does not list it, and it takes up a disk that may be full."""
    named = _HALF_WRITTEN.search(str(error))
    if named is not None:
        Path(named["file"]).unlink(missing_ok=True)


def recognised(error: duckdb.Error | OSError, root: Path) -> PmError | None:
    """Return the error with a remedy for an error about the lake in a folder; None if it is of no known kind."""
    if isinstance(error, OSError):
        return StorageError(
            f"The lake's folder cannot be used: {error.strerror or error}.",
            where=str(error.filename or root),
            hint="correct its permissions, or choose another workspace: pm --workspace DIR",
        )
    for phrases, kind, what, hint in _KNOWN:
        for line in str(error).splitlines():
            if any(phrase in line.lower() for phrase in phrases):
                return kind(what.format(line), where=str(root), hint=hint)
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
