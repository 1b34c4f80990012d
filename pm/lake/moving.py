"""Copy a lake from the folder of a workspace to a place that machines share, with its snapshots and its history."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pm.errors import LakeError
from pm.lake.binding import identifier
from pm.lake.connection import attach, connect
from pm.lake.copying import copy_catalog
from pm.lake.integrity import refuse_faults
from pm.lake.layout import CATALOG
from pm.lake.shared import catalog_session, prepare_catalog, translated_shared
from pm.lake.store import store_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from pm.lake.lake import Lake
    from pm.lake.location import LakeLocation

__all__ = ["copy_to_shared"]

_INLINED_TYPES = {
    "varchar": "bytea",
    "int64": "bigint",
    "float64": "double precision",
    "boolean": "boolean",
    "date": "varchar",
    "timestamp": "varchar",
}
"""Types with which DuckLake stores rows in a PostgreSQL catalog, by its names for the types of their columns."""
_LEFT_OUT = {"ducklake_files_scheduled_for_deletion"}
"""Tables of the catalog that are not copied: the files that they name are not either."""


def copy_to_shared(lake: Lake, target: LakeLocation, *, on_progress: Callable[[int], object] = lambda _: None) -> int:
    """Copy a lake to a shared place, and return the number of its data files; the lake itself is only read.

    The copy becomes a lake all at once, after its last file is there. Files that a copy which was cut off has left are
    not copied again.

    Parameters
    ----------
    lake
        A lake in a folder, open for writing, so that nobody else changes it meanwhile.
    target
        The shared place.
    on_progress
        Function that is called with the number of bytes of each file when it is there.

    Raises
    ------
    LakeError
        The lake is damaged or shared already, or there is a lake at the place.
    PmError
        The place cannot be used.
    """
    if lake.location.is_shared:
        raise LakeError(
            "The lake is shared already.", where=lake.location.where, hint="copy it with pg_dump and the store's tools"
        )
    files = lake.files()
    refuse_faults(lake.verify(files), lake.location)
    _require_empty(target)
    with connect(target) as connection, TemporaryDirectory(prefix="pm-", ignore_cleanup_errors=True) as folder:
        attach(connection, target)  # which makes a catalog without tables
        store = store_of(target, connection)
        with translated_shared(target):
            there = store.sizes()
            for file in files:
                if there.get(file.path) != file.bytes:
                    store.put(Path(lake.location.place_of(file.path)), file.path)
                on_progress(file.bytes)
        catalog = Path(folder) / CATALOG
        copy_catalog(lake.location.catalog_file, catalog)
        with (
            closing(sqlite3.connect(catalog)) as source,
            catalog_session(target, "pm lake copy") as session,
            session.transaction(),
        ):
            _copy_tables(source, session, target)
    return len(files)


def _require_empty(target: LakeLocation) -> None:
    """Refuse a place with a lake, other than one without any table, which a copy that was cut off has made."""
    if not prepare_catalog(target):
        return
    with catalog_session(target, "pm lake copy") as session:
        (count,) = _row(session, f"SELECT count(*) FROM {identifier(target.schema, 'ducklake_table')}")  # noqa: S608 - quoted
    if count:
        raise LakeError(
            "There is a lake at this place already.",
            where=target.where,
            hint="name another schema at the end of the catalog's address: ?schema=NAME",
        )


def _row(session: psycopg.Connection, sql: str) -> tuple[int, ...]:
    return tuple(session.execute(sql.encode()).fetchone() or ())


def _copy_tables(source: sqlite3.Connection, session: psycopg.Connection, target: LakeLocation) -> None:
    """Replace the rows of the catalog's tables by those of another catalog, in the caller's transaction."""
    names = [
        name
        for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'ducklake_%'")
        if name not in _LEFT_OUT
    ]
    for name in names:
        columns = [(str(row[1]), str(row[2])) for row in source.execute(f"PRAGMA table_info({identifier(name)})")]
        types = _types_in(session, target.schema, name)
        if not types:
            types = _inlined_types(source, name, [column for column, _ in columns])
            body = ", ".join(f"{identifier(column)} {kind}" for column, kind in types.items())
            session.execute(f"CREATE TABLE {identifier(target.schema, name)} ({body})".encode())
        _copy_rows(source, session, target.schema, name, {column: types[column] for column, _ in columns})
    session.execute(
        f"UPDATE {identifier(target.schema, 'ducklake_metadata')} SET value = %s "  # noqa: S608 - quoted
        "WHERE key = 'data_path' AND scope IS NULL".encode(),
        [target.data_path],
    )


def _types_in(session: psycopg.Connection, schema: str, name: str) -> dict[str, str]:
    """Return the columns of a table with their types; none if there is no such table."""
    found = session.execute(
        "SELECT column_name::text, data_type::text FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        [schema, name],
    )
    return {str(column): str(kind) for column, kind in found}


def _inlined_types(source: sqlite3.Connection, name: str, columns: Sequence[str]) -> dict[str, str]:
    """Return the columns of a table in which DuckLake keeps rows in the catalog, with their types in PostgreSQL.

    Raises
    ------
    LakeError
        A column has a type that is not known here.
    """
    known = dict(
        source.execute(
            "SELECT column_name, column_type FROM ducklake_column JOIN ducklake_inlined_data_tables USING (table_id) "
            "WHERE table_name = ?",
            [name],
        )
    )
    types = {}
    for column in columns:
        name_of_type = str(known.get(column, "int64"))  # DuckLake's own columns are numbers
        is_decimal = name_of_type.startswith("decimal(")
        kind = name_of_type.replace("decimal", "numeric") if is_decimal else _INLINED_TYPES.get(name_of_type)
        if kind is None:
            raise LakeError(
                f"The lake cannot be copied: column {column!r} of {name} has type {known[column]!r}.",
                where=name,
                hint="report it; a new shared lake can import the files again: pm init --catalog, then pm import",
            )
        types[column] = kind
    return types


def _copy_rows(
    source: sqlite3.Connection, session: psycopg.Connection, schema: str, name: str, types: dict[str, str]
) -> None:
    columns = ", ".join(map(identifier, types))
    place = identifier(schema, name)
    session.execute(f"DELETE FROM {place}".encode())  # noqa: S608 - quoted
    rows = source.execute(f"SELECT {columns} FROM {identifier(name)}")  # noqa: S608 - quoted
    with session.cursor() as cursor, cursor.copy(f"COPY {place} ({columns}) FROM STDIN".encode()) as copy:
        for row in _converted(rows, list(types.values())):
            copy.write_row(row)


def _converted(rows: Iterator[tuple[object, ...]] | sqlite3.Cursor, types: Sequence[str]) -> Iterator[list[object]]:
    """Yield rows with each value as PostgreSQL has it: SQLite has no truth values, and text where that has bytes."""
    for row in rows:
        yield [
            None
            if value is None
            else bool(value)
            if kind == "boolean"
            else str(value).encode()
            if kind == "bytea"
            else value
            for value, kind in zip(row, types, strict=True)
        ]
