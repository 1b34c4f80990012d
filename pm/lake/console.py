"""Run SQL that a user wrote, which can read the lake and do nothing else.

There are three safeguards. The lake is attached read-only. DuckDB's access to files, settings and extensions is locked.
And a statement is parsed first, and refused unless it only reads tables and views: a locked DuckDB can still write
files into the folders it is allowed to read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

import duckdb
import polars as pl

from pm.errors import QueryError, did_you_mean
from pm.lake.binding import quote
from pm.lake.connection import CATALOG, DATA, attach, connect, no_lake, recognised
from pm.lake.reads import parsed

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Console"]

_TABLE_FUNCTIONS = frozenset(
    {
        "current_snapshot", "generate_series", "options", "range", "repeat", "repeat_row", "snapshots",
        "table_changes", "table_deletions", "table_info", "table_insertions", "unnest",
        "duckdb_columns", "duckdb_functions", "duckdb_schemas", "duckdb_tables", "duckdb_types", "duckdb_views",
    }
)  # fmt: skip
# It matches no comment, so that the part that is parsed apart is the part that runs.
_EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE\b)?(\s*\(\s*(ANALYZE|FORMAT)\b[\w\s,]*\))?", re.IGNORECASE)
_CATALOGS = frozenset({"", "lake", "system", "__ducklake_metadata_lake"})
_SCHEMAS = frozenset({"", "lake", "main", "raw", "information_schema", "__ducklake_metadata_lake"})
_FILE_LIKE = re.compile(r"[./*?:\\]|^(pg|pragma)_", re.IGNORECASE)
_EFFECTS = frozenset({"write_log", "nextval", "setseed", "pg_sleep", "sleep_ms"})
_ABOUT_THE_QUESTION = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.NotImplementedException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
    duckdb.PermissionException,
)
"""Errors of the statement and not of the lake, even if their message quotes words that a damaged lake's would have."""

_BEYOND_POLARS = re.compile(r"\b(INTERVAL|UNION|VARIANT|BIGNUM|BIT|TIME WITH TIME ZONE)\b")
"""Types, alone or inside another, that DuckDB cannot hand over to polars."""

_READS = "SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN"


class Console:
    """A connection that can read the lake and do nothing else.

    Parameters
    ----------
    root
        The workspace's lake folder.
    at
        Snapshot to read; the newest by default.
    threads
        Number of threads of a query; 0 for one per core.

    Raises
    ------
    LakeError
        There is no lake, or its catalog is damaged.
    """

    def __init__(self, root: Path, *, at: int | None = None, threads: int = 0) -> None:
        if not (root / CATALOG).is_file():
            raise no_lake(root)
        self._root = root
        self._parser = duckdb.connect()
        self._connection = connect(threads=threads)
        attach(self._connection, root, read_only=True, at=at)
        # DuckDB reads files in the lake's data folder, and nowhere else.
        self._connection.execute(f"SET allowed_directories = [{quote(str(root / DATA) + '/')}]")
        self._connection.execute("SET python_enable_replacements = false")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()
        self._parser.close()

    def query(self, sql: str) -> pl.DataFrame:
        """Run one statement that reads, and return its result.

        Raises
        ------
        QueryError
            The text is not one statement, does more than read tables and views, or fails.
        LakeError
            The lake is damaged.
        """
        self._refuse_unless_reading(sql)
        try:
            found = self._connection.execute(sql)
            odd = any(_BEYOND_POLARS.search(str(column[1])) for column in found.description or ())
            return _plain(found) if odd else found.pl()
        except duckdb.Error as error:
            known = None if isinstance(error, _ABOUT_THE_QUESTION) else recognised(error, self._root)
            if known is not None:
                raise known from error
            message, _, detail = str(error).strip().partition("\n")
            raise QueryError(
                message,
                where=detail.strip().replace("\n", "\n         "),
                hint="list the tables and views with `pm tables`",
            ) from error

    def _refuse_unless_reading(self, sql: str) -> None:
        if "\x00" in sql:
            raise QueryError("The statement has a NUL character.", hint=f"start with {_READS}")
        statements = self._parsed(sql)
        kinds = [statement.type for statement in statements]
        if kinds == [duckdb.StatementType.CREATE, duckdb.StatementType.SELECT] and not statements[0].query.strip():
            raise QueryError("A PIVOT must name its columns here.", hint="write PIVOT … ON column IN ('a', 'b') …")
        if len(kinds) != 1:
            raise QueryError(f"One statement at a time, not {len(kinds)}.", hint=f"start with {_READS}")
        inner = sql
        if kinds == [duckdb.StatementType.EXPLAIN]:
            prefix = _EXPLAIN.match(sql)
            if prefix is None:
                raise QueryError(
                    "EXPLAIN must come first, without a comment before or in it.", hint="write EXPLAIN SELECT …"
                )
            inner = sql[prefix.end() :]
            kinds = [statement.type for statement in self._parsed(inner)]
        if kinds != [duckdb.StatementType.SELECT]:
            named = ", ".join(kind.name for kind in kinds)
            raise QueryError(f"{named} is refused: this console only reads.", hint=f"start with {_READS}")
        tree = parsed(self._parser, inner)
        if tree.get("error"):
            raise QueryError(
                "This statement is refused: the console cannot tell that it only reads.", hint=f"start with {_READS}"
            )
        _refuse_files(tree)

    def _parsed(self, sql: str) -> list[duckdb.Statement]:
        try:
            return self._parser.extract_statements(sql)
        except duckdb.Error as error:
            message, _, detail = str(error).strip().partition("\n")
            raise QueryError(message, where=detail.strip(), hint=f"start with {_READS}") from error


def _plain(found: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Return a result by way of Python's values: intervals as durations, other types that polars lacks as text."""
    columns = [(name, str(kind)) for name, kind, *_ in found.description or ()]
    rows = found.fetchall()
    series = []
    for place, (name, kind) in enumerate(columns):
        values = [row[place] for row in rows]
        if kind != "INTERVAL" and _BEYOND_POLARS.search(kind):
            values = [None if value is None else str(value) for value in values]
        # A join can return two columns of one name, which are numbered as DuckDB numbers them for polars.
        before = sum(other == name for other, _ in columns[:place])
        series.append(pl.Series(f"{name}_{before}" if before else name, values, strict=False))
    return pl.DataFrame(series)


def _is_in_the_lake(table: dict[str, Any]) -> bool:
    return (
        table.get("catalog_name", "").lower() in _CATALOGS
        and table.get("schema_name", "").lower() in _SCHEMAS
        and not _FILE_LIKE.search(table.get("table_name", ""))
    )


def _refuse_files(node: Any) -> None:  # noqa: ANN401 - JSON
    """Walk a parsed statement; refuse functions that read anything but the lake, and files named like tables."""
    if isinstance(node, dict):
        kind = node.get("type")
        if kind == "TABLE_FUNCTION":
            name = node.get("function", {}).get("function_name", "").lower()
            if name not in _TABLE_FUNCTIONS:
                raise QueryError(
                    f"The table function {name}() is refused: this console reads the lake's tables and views only."
                    f"{did_you_mean(name, _TABLE_FUNCTIONS)}",
                    hint="read files with DuckDB itself; docs/sql.md shows how to attach the lake there",
                )
        elif kind == "BASE_TABLE" and not _is_in_the_lake(node):
            raise QueryError(
                f"{node['table_name']!r} is a file, or a table outside the lake: "
                "this console reads the lake's tables and views only.",
                hint="list the tables and views with `pm tables`",
            )
        elif node.get("class") == "FUNCTION" and str(node.get("function_name", "")).lower() in _EFFECTS:
            raise QueryError(f"{node['function_name']}() is refused: this console only reads.", hint="leave it out")
        for value in node.values():
            _refuse_files(value)
    elif isinstance(node, list):
        for value in node:
            _refuse_files(value)
