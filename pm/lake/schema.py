"""Create the lake's tables and views, and update those of an older lake to what is declared."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pm.errors import LakeError, SettingsError
from pm.lake.binding import identifier, quote
from pm.lake.lineage import described_columns
from pm.tables.lake import DICTIONARY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pm.tables.declaration import Table

__all__ = [
    "View",
    "create_schemas",
    "inline_no_raw_rows",
    "inline_small_commits",
    "is_current",
    "lacking",
    "migrate",
    "read_views",
    "tell_empty_tables",
]

_SELECT = duckdb.StatementType.SELECT
_DECLARED = (
    "SELECT g.value FROM __ducklake_metadata_lake.ducklake_tag g "
    "JOIN __ducklake_metadata_lake.ducklake_table t ON g.object_id = t.table_id "
    "WHERE t.table_name = 'dictionary' AND g.key = 'comment' AND t.end_snapshot IS NULL AND g.end_snapshot IS NULL"
)
"""Query for the comment of table `dictionary`; of the catalog itself, which answers in a seventh of the time that
`duckdb_tables()` takes."""

_EMPTY_TABLES = """
INSERT INTO __ducklake_metadata_lake.ducklake_table_stats (table_id, record_count, next_row_id, file_size_bytes)
SELECT table_id, 0, 0, 0
FROM __ducklake_metadata_lake.ducklake_table
WHERE end_snapshot IS NULL
    AND table_id NOT IN (SELECT table_id FROM __ducklake_metadata_lake.ducklake_table_stats)
"""
_EMPTY_COLUMNS = """
INSERT INTO __ducklake_metadata_lake.ducklake_table_column_stats (table_id, column_id, contains_null)
SELECT table_id, column_id, FALSE
FROM __ducklake_metadata_lake.ducklake_column
WHERE end_snapshot IS NULL
    AND table_id IN (SELECT table_id FROM __ducklake_metadata_lake.ducklake_table WHERE end_snapshot IS NULL)
    AND table_id NOT IN (SELECT table_id FROM __ducklake_metadata_lake.ducklake_table_stats)
"""


@dataclass(frozen=True)
class View:
    """A view as its file declares it.

    The view is named after its file, without the number that orders the files: view `recent` in `10_recent.sql`. The
    comment lines at the head of the file become the view's COMMENT, except lines `-- column: meaning`, which describe
    its columns. The rest of the file is one SELECT.

    Attributes
    ----------
    columns
        Column to its description, for the columns that the file describes.
    """

    name: str
    comment: str
    columns: dict[str, str]
    select: str
    file: Path


def read_views(folders: Iterable[Path]) -> list[View]:
    """Read the views of some folders, in the order of their file names.

    A view of a later folder replaces one of the same name.

    Raises
    ------
    SettingsError
        A folder or a file cannot be read, or a file is not UTF-8.
    """
    views: dict[str, View] = {}
    for folder in folders:
        for file in _files_in(folder):
            view = _parse(file)
            views[view.name] = view
    return list(views.values())


def _files_in(folder: Path) -> list[Path]:
    try:
        os.scandir(folder).close()  # a pattern matches nothing in a folder that cannot be read
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError(
            f"The folder of the views cannot be read: {error.strerror}.",
            where=str(folder),
            hint="correct its permissions, or move it away if it is no folder",
        ) from None
    return sorted(folder.glob("*.sql"))


def _parse(file: Path) -> View:
    name = file.stem.partition("_")[2] if file.stem[:1].isdigit() else file.stem
    lines = _text_of(file).splitlines()
    head = 0
    while head < len(lines) and (lines[head].startswith("--") or not lines[head].strip()):
        head += 1
    sentences: list[str] = []
    columns: dict[str, str] = {}
    for line in (raw.removeprefix("--").strip() for raw in lines[:head]):
        column, colon, meaning = line.partition(": ")
        if colon and column.isidentifier():
            columns[column] = meaning
        elif line:
            sentences.append(line)
    return View(name, " ".join(sentences), columns, "\n".join(lines[head:]).strip().rstrip(";"), file)


def _text_of(file: Path) -> str:
    """Return the text of a view's file, without the mark that editors of Windows begin UTF-8 with."""
    if file.exists() and not file.is_file():  # reading a pipe can wait forever
        raise SettingsError("The view's file is no file.", where=str(file), hint="move it away")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError("The view's file is not UTF-8.", where=str(file), hint="save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(
            f"The view's file cannot be read: {error.strerror}.", where=str(file), hint="correct it, or move it away"
        ) from None


def is_current(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], views: Sequence[View] | None) -> bool:
    """Return whether the attached lake already has the tables, views and comments declared; any views if None."""
    row = connection.execute(_DECLARED).fetchone()
    if row is None:
        return False
    declared = str(row[0])
    return _tables_signature(tables) in declared if views is None else declared.endswith(_signature(tables, views))


def lacking(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> list[str]:
    """Return the names of the declared tables and columns that the attached lake, made by an older version, lacks."""
    row = connection.execute(_DECLARED).fetchone()
    if row is not None and _tables_signature(tables) in str(row[0]):
        return []
    existing = _columns(connection)
    missing = []
    for declared in tables:
        found = existing.get(declared.qualified)
        if found is None:
            missing.append(declared.qualified)
        else:
            missing += [
                f"{declared.qualified}.{column.name}" for column in declared.columns if column.name not in found
            ]
    return missing


def create_schemas(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Create the schemas other than `main` where they are missing."""
    for schema in _schemas(tables):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")


def inline_no_raw_rows(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Have the rows of the schemas other than `main` stored as Parquet, however few they are.

    DuckLake cannot set an option of a schema in the transaction that creates it.
    """
    for schema in _schemas(tables):
        connection.execute(f"CALL lake.set_option('data_inlining_row_limit', 0, schema => '{schema}')")


def inline_small_commits(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """Have the rows of small commits stored in the catalog, for tables that declare how small those are.

    DuckLake cannot set an option of a table in the transaction that creates it.
    """
    for table in tables:
        if table.inlined_rows is not None:
            connection.execute(
                f"CALL lake.set_option('data_inlining_row_limit', {table.inlined_rows}, schema => '{table.schema}', "
                f"table_name => '{table.name}')"
            )


def tell_empty_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Write into the catalog's statistics that the tables without any have no rows, in the caller's transaction.

    DuckLake writes the statistics of a table with its first rows. Of a table that has none it asks the catalog for
    them again for every column of every query, which takes ten times as long as the rest of a query of few rows.
    DuckLake of DuckDB 1.5 does so; a later one keeps the answer (https://github.com/duckdb/ducklake/pull/1313).

    No minimum and no maximum are written, and DuckLake takes those of the first rows, as it does without a row here.
    """
    connection.execute(_EMPTY_COLUMNS)  # first: it names the tables that have no statistics yet
    connection.execute(_EMPTY_TABLES)


def _schemas(tables: Sequence[Table]) -> list[str]:
    return sorted({table.schema for table in tables} - {"main"})


def migrate(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], views: Sequence[View] | None) -> None:
    """Update the attached lake's tables, views and comments to what is declared.

    Runs inside the caller's transaction. Columns that are no longer declared are kept, so that an older version can
    still read the lake. Without views declared (None), those of the lake are kept.

    Raises
    ------
    LakeError
        A column has another type than declared: a version that this one cannot read made the lake.
    SettingsError
        A view is not one SELECT, or does not run.
    """
    existing = _columns(connection)
    for declared in tables:
        _update_table(connection, declared, existing.get(declared.qualified))
    if views is None:
        views = _existing_views(connection)
    else:
        _replace_views(connection, views)
    _write_dictionary(connection, tables, views)
    comment = f"{DICTIONARY.comment} {_signature(tables, views)}"
    connection.execute(f"COMMENT ON TABLE dictionary IS {quote(comment)}")


def _replace_views(connection: duckdb.DuckDBPyConnection, views: Sequence[View]) -> None:
    for old in _existing_views(connection):
        connection.execute(f"DROP VIEW {identifier(old.name)}")
    for view in views:
        try:
            if [statement.type for statement in connection.extract_statements(view.select)] != [_SELECT]:
                raise SettingsError("The view is not one SELECT.", where=str(view.file), hint="correct its SQL")
            connection.execute(f"CREATE VIEW {identifier(view.name)} AS {view.select}")
        except duckdb.Error as error:
            raise SettingsError(
                f"The view does not run: {str(error).splitlines()[0]}", where=str(view.file), hint="correct its SQL"
            ) from error
        connection.execute(f"COMMENT ON VIEW {identifier(view.name)} IS {quote(view.comment)}")


def _existing_views(connection: duckdb.DuckDBPyConnection) -> list[View]:
    """Return the views that the lake has, with the descriptions of their columns in its dictionary."""
    columns: dict[str, dict[str, str]] = {}
    for name, column, meaning in connection.execute(
        "SELECT table_name, column_name, comment FROM dictionary WHERE kind = 'view'"
    ).fetchall():
        columns.setdefault(name, {})[column] = meaning
    found = connection.execute(
        "SELECT view_name, comment, sql FROM duckdb_views() WHERE database_name = 'lake' AND NOT internal"
    ).fetchall()
    return [View(name, comment or "", columns.get(name, {}), sql, Path(name)) for name, comment, sql in found]


def _update_table(connection: duckdb.DuckDBPyConnection, declared: Table, existing: dict[str, str] | None) -> None:
    if existing is None:
        body = ", ".join(f'"{column.name}" {column.sql_type}' for column in declared.columns)
        connection.execute(f"CREATE TABLE {declared.qualified} ({body})")
        existing = {column.name: column.sql_type for column in declared.columns}
    for column in declared.columns:
        found = existing.get(column.name)
        if found is None:
            connection.execute(f'ALTER TABLE {declared.qualified} ADD COLUMN "{column.name}" {column.sql_type}')
        elif found != column.sql_type:
            raise LakeError(
                f"Column {declared.qualified}.{column.name} is {found}, this version needs {column.sql_type}.",
                where="the lake's schema",
                hint="open the lake with the version that made it, or upgrade pm",
            )
        connection.execute(f'COMMENT ON COLUMN {declared.qualified}."{column.name}" IS {quote(column.comment)}')
    connection.execute(f"COMMENT ON TABLE {declared.qualified} IS {quote(declared.comment)}")


def _write_dictionary(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], views: Sequence[View]) -> None:
    """Write the description of every column of every table and view to table `dictionary`."""
    declared = f"{_signature(tables, views)} {_digest(_columns(connection))}"
    if declared not in _described:
        _described[declared] = _describe(connection, tables, views)
    rows = _described[declared]
    connection.execute("DELETE FROM dictionary")
    values = ", ".join(
        f"({quote(name)}, {quote(kind)}, {position}, {quote(column)}, {quote(dtype)}, {quote(comment)})"
        for name, kind, position, column, dtype, comment in rows
    )
    connection.execute(f"INSERT INTO dictionary VALUES {values}")  # noqa: S608 - every text is quoted


_Description = tuple[str, str, int, str, str, str]
"""Table or view, which of the two it is, a column's position, name, type and meaning: a row of `dictionary`."""
_described: dict[str, list[_Description]] = {}
"""What this process found of lakes with the same tables and views: half a second is spent on finding it."""


def _describe(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], views: Sequence[View]
) -> list[_Description]:
    """Return a row of `dictionary` for each column of each table and view.

    A view's column without a description of its own has that of the column of a table or earlier view that it returns
    unchanged. A computed column has none.
    """
    known = {item.qualified: {column.name: column.comment for column in item.columns} for item in tables}
    rows = [
        (item.qualified, "table", position, column.name, column.sql_type, column.comment)
        for item in tables
        for position, column in enumerate(item.columns, start=1)
    ]
    for view in views:
        inherited = described_columns(connection, view.select, known)
        described = connection.execute(f"DESCRIBE {identifier(view.name)}").fetchall()
        known[view.name] = {name: view.columns.get(name) or inherited.get(name.lower(), "") for name, *_ in described}
        rows += [
            (view.name, "view", position, name, kind, known[view.name][name])
            for position, (name, kind, *_) in enumerate(described, start=1)
        ]
    return rows


def _signature(tables: Sequence[Table], views: Sequence[View]) -> str:
    """Return a sentence with hashes of everything declared, by which a lake that has it is recognised."""
    selected = [[view.name, view.comment, sorted(view.columns.items()), view.select] for view in views]
    return f"Declared as {_tables_signature(tables)}, {_digest(selected)}."


def _tables_signature(tables: Sequence[Table]) -> str:
    return _digest(
        [[item.qualified, item.comment, [[c.name, c.sql_type, c.comment] for c in item.columns]] for item in tables]
    )


def _digest(declared: object) -> str:
    return hashlib.blake2b(json.dumps(declared).encode(), digest_size=8).hexdigest()


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Return every table's columns with their SQL types."""
    tables: dict[str, dict[str, str]] = {}
    for schema, name, column, kind in connection.execute(
        "SELECT c.schema_name, c.table_name, c.column_name, c.data_type FROM duckdb_columns() c "
        "JOIN duckdb_tables() t USING (database_name, schema_name, table_name) "
        "WHERE database_name = 'lake' AND NOT c.internal"
    ).fetchall():
        tables.setdefault(name if schema == "main" else f"{schema}.{name}", {})[column] = kind
    return tables
