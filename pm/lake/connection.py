"""Open DuckDB connections to the lake, and turn DuckDB's errors about it into errors with a remedy."""

from __future__ import annotations

import os
import random
import re
import time
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb

from pm.errors import LakeBusyError, LakeError, PmError, StorageError
from pm.lake.binding import quote
from pm.lake.layout import CATALOG, DATA
from pm.lake.location import LakeLocation, located
from pm.lake.spill import remove_abandoned_spill, spill_folder
from pm.open_files import delete, is_held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pm.settings import LakeSettings

__all__ = [
    "INTERRUPTED",
    "attach",
    "connect",
    "explained",
    "no_lake",
    "refuse_file",
    "retried",
    "translated",
]

INTERRUPTED = "Query interrupted"
"""Message of the RuntimeError that DuckDB raises after Ctrl-C."""

Result = TypeVar("Result")

_EXTENSIONS = ("sqlite_scanner", "ducklake")
"""DuckDB's extensions for a lake in a folder."""
_DAMAGED_HINT = (
    "list the damage with `pm lake verify`; restore lake/ from a backup, or move it away, then import or fetch its "
    "data again"
)
_CATALOG_HINT = (
    "replace the whole folder lake, catalog.sqlite and data together, by that of a backup; without one, move it away, "
    "then import your files again"
)
"""Remedy where the catalog is damaged: neither `pm lake verify` nor `pm lake restore` can do without it."""
_SHARED_CATALOG_HINT = "restore the schema of the catalog from a backup of its database, made with pg_dump"

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
        _CATALOG_HINT,
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
        _CATALOG_HINT,
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
        _DAMAGED_HINT,
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

_LOST_SNAPSHOT = """
SELECT max(begin_snapshot)
FROM (
    SELECT max(snapshot_id) AS begin_snapshot FROM __ducklake_metadata_lake.ducklake_snapshot_changes
    UNION ALL SELECT max(begin_snapshot) FROM __ducklake_metadata_lake.ducklake_data_file
)
WHERE begin_snapshot > (SELECT max(snapshot_id) FROM __ducklake_metadata_lake.ducklake_snapshot)
"""
"""Query for the newest snapshot that the catalog refers to and does not have."""

_WITHOUT_FILES = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.InterruptException,
    duckdb.OutOfMemoryException,
    duckdb.ParserException,
    duckdb.PermissionException,
)
"""Errors that no data file can cause."""

_NAMED_FILE = re.compile(r'"([^"\n]+\.parquet)"', re.IGNORECASE)
_HALF_WRITTEN = re.compile(r'could not write[^"]*"(?P<file>[^"]+\.parquet)"', re.IGNORECASE)


def connect(location: LakeLocation | None = None, *, threads: int = 0) -> duckdb.DuckDBPyConnection:
    """Return a connection to an in-memory DuckDB with the lake's extensions loaded and its time zone set to UTC.

    The extensions come from Python packages, so that no network is needed; where those are missing, DuckDB downloads
    them.

    Parameters
    ----------
    location
        The lake that is to be attached; by default, one in a folder.
    threads
        Number of threads of a query; 0 for one per core.

    Raises
    ------
    LakeError
        An extension can be loaded from neither place.
    PmError
        There are no credentials for the object store of a shared lake.
    """
    extensions: Sequence[str] = _EXTENSIONS
    if location is not None and location.is_shared:
        from pm.lake.shared import extensions_of

        extensions = extensions_of(location)
    # To check the signatures of the packaged files takes 0.3 s, and they are trusted as the code beside them is.
    connection = duckdb.connect(config={"allow_unsigned_extensions": True})
    connection.execute("SET enable_progress_bar = false")  # before LOAD, which would draw one on a slow machine
    if threads:
        connection.execute(f"SET threads = {threads:d}")
    missing = [(name, error) for name in extensions if (error := _load_packaged(connection, name)) is not None]
    connection.execute("SET allow_unsigned_extensions = false")  # nothing else is loaded without its signature
    for name, error in missing:
        try:
            connection.install_extension(name)
            connection.load_extension(name)
        except duckdb.Error:
            extra = "" if name in _EXTENSIONS else "[shared]"
            raise LakeError(
                f"DuckDB's extension {name!r} cannot be loaded: {_first_line(error)}.",
                where=f"DuckDB {duckdb.__version__}",
                hint=f"reinstall: python -m pip install --force-reinstall 'portfolio-maximizer{extra}'",
            ) from error
    connection.execute("SET TimeZone = 'UTC'")
    if location is not None and location.is_in_object_store:
        from pm.lake.shared import open_object_store

        open_object_store(connection, location)
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


def refuse_file(root: Path) -> None:
    """Refuse a lake's folder that is a file, or a link to nothing.

    Raises
    ------
    StorageError
        It is no folder.
    """
    if os.path.lexists(root) and not root.is_dir():
        raise StorageError(
            "The lake must be a folder, and this is none.",
            where=str(root),
            hint="move it away; then `pm run` or `pm import` makes the folder, or copy it back from a backup",
        )


def no_lake(root: Path) -> LakeError:
    """Return the error for a folder without a catalog: nothing was made yet, or the catalog was lost.

    Raises
    ------
    StorageError
        It is no folder.
    """
    refuse_file(root)
    return _lost_catalog(root) or LakeError(
        "There is no lake here yet.", where=str(root), hint="create one with `pm run` or `pm import`"
    )


def _packaged(name: str) -> Path:
    """Return the file of an extension in the Python package that contains it."""
    root = Path(str(files(f"duckdb_extension_{name}")))
    return root / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"


def attach(
    connection: duckdb.DuckDBPyConnection, place: Path | LakeLocation, *, read_only: bool = False, at: int | None = None
) -> None:
    """Attach a lake as `lake` and make it the default catalog.

    Parameters
    ----------
    place
        The workspace's lake folder, or another location. A lake in a folder can have been moved since it was created.
    read_only
        Refuse writes.
    at
        Snapshot at which to read the whole lake; the newest by default.

    Raises
    ------
    LakeError
        The catalog is missing, empty or damaged, or its server cannot be used.
    StorageError
        The folder cannot be read, or written if it is to be.
    """
    location = located(place)
    options = ["READ_ONLY"] if read_only else []
    if at is not None:
        options.append(f"SNAPSHOT_VERSION {at:d}")
    if location.is_shared:
        from pm.lake.shared import attachment

        address, more = attachment(location)
        options += more
        # A commit fails if another came first, and all of it is done again. DuckLake itself would try again with rows
        # that were computed before, and keys could double.
        connection.execute("SET ducklake_max_retry_count = 0")
    else:
        address = f"ducklake:sqlite:{location.catalog_file}"
        options += [f"DATA_PATH {quote(location.data_path)}", "OVERRIDE_DATA_PATH true", "META_BUSY_TIMEOUT 5000"]
        if not read_only:
            options.append("META_JOURNAL_MODE 'WAL'")  # readers are never blocked by the writer
        if (lost := _lost_catalog(location.folder)) is not None:
            raise lost
    remove_abandoned_spill(location.folder)
    with translated(location, files=False):
        folder = spill_folder(location.folder)
        connection.execute(f"SET temp_directory = {quote(str(folder))}")  # by default, the current folder
        connection.execute(f"ATTACH {quote(address)} AS lake ({', '.join(options)})")
        connection.execute("USE lake")
        _refuse_lost_snapshots(connection, location)


def _lost_catalog(root: Path) -> LakeError | None:
    """Return the error for data without their catalog, to which restoring it is the remedy; None if there are none.

    A new catalog must not be created beside them.
    """
    catalog, log = root / CATALOG, root / f"{CATALOG}-wal"
    if any(file.is_file() and file.stat().st_size for file in (catalog, log)):
        return None
    if next((root / DATA).rglob("*.parquet"), None) is None:
        return None
    return LakeError(
        f"The lake's catalog is {'empty' if catalog.exists() else 'missing'}, but its data is there.",
        where=str(catalog),
        hint=_CATALOG_HINT,
    )


def _refuse_lost_snapshots(connection: duckdb.DuckDBPyConnection, location: LakeLocation) -> None:
    """Refuse a catalog that lists changes or files of snapshots later than its newest one.

    A commit would take the number of the lost snapshot again and fail, as if another writer had been first.
    """
    row = connection.execute(_LOST_SNAPSHOT).fetchone()
    if row is not None and row[0] is not None:
        raise LakeError(
            f"The lake's catalog is damaged: snapshot {row[0]} is lost.",
            where=location.where if location.is_shared else str(location.catalog_file),
            hint=_SHARED_CATALOG_HINT if location.is_shared else _CATALOG_HINT,
        )


@contextmanager
def translated(place: Path | LakeLocation, *, files: bool = True) -> Iterator[None]:
    """Turn DuckDB's and the system's errors about the lake into errors with a remedy.

    Parameters
    ----------
    files
        Whether to look for a damaged data file behind an error, which needs the lake to be attached.

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
        location = located(place)
        unknown = LakeError(_first_line(error), where=location.where, hint="run again with --debug and report it")
        raise (explained(error, location) if files else recognised(error, location)) or unknown from error
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
        with suppress(OSError):  # compaction removes it later
            delete(Path(named["file"]))


def recognised(error: duckdb.Error | OSError, place: Path | LakeLocation) -> PmError | None:
    """Return the error with a remedy for an error about a lake; None if it is of no known kind."""
    location = located(place)
    if isinstance(error, OSError):
        return _about_folder(error, location.folder)
    if location.is_shared:
        from pm.lake.shared_errors import recognised_shared

        return recognised_shared(str(error), location) or _phrased(error, location)
    return _phrased(error, location)


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
                remedy = _SHARED_CATALOG_HINT if hint is _CATALOG_HINT and location.is_shared else hint
                return kind(what.format(line), where=where, hint=remedy)
    return None


def explained(error: duckdb.Error | OSError, place: Path | LakeLocation) -> PmError | None:
    """Return what `recognised` returns, or the error for a damaged data file that DuckDB's error may come from.

    A damaged page of a file has as many messages as there are ways to store a page. So the files are compared with
    their checksums, unless the message says what is wrong.
    """
    location = located(place)
    known = recognised(error, location)
    if (known is None or known.hint in {_DAMAGED_HINT, _CATALOG_HINT}) and not isinstance(
        error, (OSError, *_WITHOUT_FILES)
    ):
        return _damaged_file(location) or known
    return known


def _damaged_file(location: LakeLocation) -> PmError | None:
    """Return the error for the data files that are damaged; None if all are whole."""
    from pm.lake.integrity import catalog_files, faults_of, refuse_faults
    from pm.lake.store import store_of

    try:
        with connect(location) as connection:
            attach(connection, location, read_only=True)
            store = store_of(location, connection)
            refuse_faults(faults_of(connection, store, catalog_files(connection), quick=True), location)
    except LakeError as damage:
        return damage
    except (PmError, duckdb.Error, OSError):  # the error in hand says as much
        return None
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
            return LakeError("The lake is damaged: a data file is missing.", where=str(file), hint=_DAMAGED_HINT)
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
