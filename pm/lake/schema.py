"""Create the lake's tables and views, and bring those of an older lake up to what the code declares."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from pm.errors import LakeError, SettingsError
from pm.lake.binding import quote
from pm.tables.lake import DICTIONARY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pm.tables.declaration import Table

__all__ = ["View", "create_schemas", "is_current", "lacking", "migrate", "read_views"]

_SELECT = duckdb.StatementType.SELECT
_DECLARED = (
    "SELECT comment FROM duckdb_tables() "
    "WHERE database_name = 'lake' AND schema_name = 'main' AND table_name = 'dictionary'"
)


@dataclass(frozen=True)
class View:
    """A view as its file declares it.

    The file's name is the view's, after the number that orders it: `10_adjusted_bars.sql`. Its leading comment lines
    become the view's COMMENT; among them, lines `-- column: meaning` describe its columns. The rest is one SELECT.
    """

    name: str
    comment: str
    columns: dict[str, str]
    select: str
    file: Path


def read_views(folders: Iterable[Path]) -> list[View]:
    """Read the views of some folders, in the order of their names; a later folder's view replaces one of its name."""
    views: dict[str, View] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.sql")):
            view = _parse(file)
            views[view.name] = view
    return list(views.values())


def _parse(file: Path) -> View:
    name = file.stem.partition("_")[2] if file.stem[:1].isdigit() else file.stem
    lines = file.read_text(encoding="utf-8").splitlines()
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


def is_current(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], views: Sequence[View]) -> bool:
    """Return whether the attached lake already has the tables, views and comments declared."""
    row = connection.execute(_DECLARED).fetchone()
    return row is not None and str(row[0]).endswith(_signature(tables, views))


def lacking(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> list[str]:
    """Name the declared tables and columns that the attached lake does not have: an older version made it."""
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
    """Create the schemas other than `main`, whose rows are always Parquet, however few.

    DuckLake cannot set a schema's option in the transaction that creates the schema: call this outside of one.
    """
    for schema in sorted({table.schema for table in tables} - {"main"}):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(f"CALL lake.set_option('data_inlining_row_limit', 0, schema => '{schema}')")


def migrate(connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], views: Sequence[View]) -> None:
    """Bring the attached lake's tables, views and comments to what is declared.

    Runs inside the caller's transaction. Columns that are no longer declared are left alone, so that an older
    version can still read the lake.

    Raises
    ------
    LakeError
        A column has another type than the one declared: the lake is of a version this one does not understand.
    SettingsError
        A workspace's own view does not run.
    """
    existing = _columns(connection)
    for declared in tables:
        _bring_up(connection, declared, existing.get(declared.qualified))
    for (old,) in connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE database_name = 'lake' AND NOT internal"
    ).fetchall():
        connection.execute(f'DROP VIEW "{old}"')
    for view in views:
        try:
            if [statement.type for statement in connection.extract_statements(view.select)] != [_SELECT]:
                raise SettingsError("The view is not one SELECT.", where=str(view.file), hint="mend its SQL")
            connection.execute(f'CREATE VIEW "{view.name}" AS {view.select}')
        except duckdb.Error as error:
            raise SettingsError(
                f"The view does not run: {str(error).splitlines()[0]}", where=str(view.file), hint="mend its SQL"
            ) from error
        connection.execute(f'COMMENT ON VIEW "{view.name}" IS {quote(view.comment)}')
    _write_dictionary(connection, tables, views)
    comment = f"{DICTIONARY.comment} {_signature(tables, views)}"
    connection.execute(f"COMMENT ON TABLE dictionary IS {quote(comment)}")


def _bring_up(connection: duckdb.DuckDBPyConnection, declared: Table, existing: dict[str, str] | None) -> None:
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
    """Describe every column.

    A view's column that says nothing of itself means what a table's of its name means, or that of a view before it.
    """
    meanings: dict[str, str] = {}
    for declared in reversed(tables):
        meanings.update({column.name: column.comment for column in declared.columns})
    rows = [
        (item.qualified, "table", position, column.name, column.sql_type, column.comment)
        for item in tables
        for position, column in enumerate(item.columns, start=1)
    ]
    for view in views:
        described = connection.execute(f'DESCRIBE SELECT * FROM "{view.name}"').fetchall()  # noqa: S608 - a file's name
        rows += [
            (view.name, "view", position, name, kind, view.columns.get(name) or meanings.get(name, ""))
            for position, (name, kind, *_) in enumerate(described, start=1)
        ]
        meanings = view.columns | meanings
    connection.execute("DELETE FROM dictionary")
    values = ", ".join(
        f"({quote(name)}, {quote(kind)}, {position}, {quote(column)}, {quote(dtype)}, {quote(comment)})"
        for name, kind, position, column, dtype, comment in rows
    )
    connection.execute(f"INSERT INTO dictionary VALUES {values}")  # noqa: S608 - every text is quoted


def _signature(tables: Sequence[Table], views: Sequence[View]) -> str:
    """Sum up everything declared in a few letters, by which a lake that has it is known."""
    selected = [[view.name, view.comment, sorted(view.columns.items()), view.select] for view in views]
    return f"Declared as {_tables_signature(tables)}, {_digest(selected)}."


def _tables_signature(tables: Sequence[Table]) -> str:
    return _digest(
        [[item.qualified, item.comment, [[c.name, c.sql_type, c.comment] for c in item.columns]] for item in tables]
    )


def _digest(declared: object) -> str:
    return hashlib.blake2b(json.dumps(declared).encode(), digest_size=8).hexdigest()


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Give every table's columns and their types."""
    tables: dict[str, dict[str, str]] = {}
    for schema, name, column, kind in connection.execute(
        "SELECT c.schema_name, c.table_name, c.column_name, c.data_type FROM duckdb_columns() c "
        "JOIN duckdb_tables() t USING (database_name, schema_name, table_name) "
        "WHERE database_name = 'lake' AND NOT c.internal"
    ).fetchall():
        tables.setdefault(name if schema == "main" else f"{schema}.{name}", {})[column] = kind
    return tables
