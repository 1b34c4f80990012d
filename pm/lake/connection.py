"""Open DuckDB connections to the lake, and turn DuckDB's errors about it into errors with a remedy."""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb

from pm.errors import LakeBusyError, LakeError, PmError, StorageError
from pm.lake.binding import quote
from pm.lake.layout import CATALOG, DATA
from pm.lake.location import LakeLocation, located
from pm.lake.recognition import (
    CATALOG_HINT,
    DAMAGED_HINT,
    SHARED_CATALOG_HINT,
    discard_half_written,
    first_line,
    recognised,
)
from pm.lake.spill import remove_abandoned_spill, spill_folder

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
    # Before LOAD, which would draw one on a slow machine. In Jupyter without ipywidgets there is none, and DuckDB
    # refuses to set it even to false (duckdb/duckdb#7590).
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (True,):
        connection.execute("SET enable_progress_bar = false")
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
                f"DuckDB's extension {name!r} cannot be loaded: {first_line(error)}.",
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
        hint=CATALOG_HINT,
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
            hint=SHARED_CATALOG_HINT if location.is_shared else CATALOG_HINT,
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
        discard_half_written(error)
        location = located(place)
        unknown = LakeError(first_line(error), where=location.where, hint="run again with --debug and report it")
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


def explained(error: duckdb.Error | OSError, place: Path | LakeLocation) -> PmError | None:
    """Return what `recognised` returns, or the error for a damaged data file that DuckDB's error may come from.

    A damaged page of a file has as many messages as there are ways to store a page. So the files are compared with
    their checksums, unless the message says what is wrong.
    """
    location = located(place)
    known = recognised(error, location)
    if (known is None or known.hint in {DAMAGED_HINT, CATALOG_HINT}) and not isinstance(
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
