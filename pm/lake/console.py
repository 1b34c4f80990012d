"""Run SQL that a user wrote, which can read the lake and do nothing else.

There are three safeguards. The lake is attached read-only. DuckDB's access to files, settings and extensions is locked.
And a statement is parsed first, and refused unless it only reads tables and views: a locked DuckDB can still write
files into the folders it is allowed to read.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any, Self, TypeVar

import duckdb
import polars as pl
from duckdb.sqltypes import DuckDBPyType

from pm.errors import QueryError, did_you_mean
from pm.lake.binding import identifier, quote
from pm.lake.connection import attach, connect, explained, no_lake
from pm.lake.limits import QueryLimits, Watch
from pm.lake.location import LakeLocation, located
from pm.lake.reads import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

__all__ = ["Console"]

Result = TypeVar("Result")

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

_BEYOND_POLARS = frozenset(
    {
        "interval",
        "union",
        "variant",
        "bignum",
        "bit",
        "uhugeint",
        "time",
        "time_ns",
        "time with time zone",
        "timestamp_s",
    }
)
"""Types, alone or inside another, of which DuckDB hands some value over to polars not at all, or as another value: the
largest integer is -1 there, 24:00 is missing, and infinity is a second before 1970."""
_BATCH_ROWS = 32_768
"""Number of rows that are held at once, beside what DuckDB holds."""

_READS = "SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN"
_KIND = re.compile(r"^[A-Z][A-Za-z-]*(?: [A-Z][a-z]+)* Error: ")
"""Kind of an error at the head of DuckDB's messages, such as 'Catalog Error: '."""
_BELOW_WHERE = "\n         "
"""Start of a further line of what stands after `where:`, below the first."""


class Console:
    """A connection that can read the lake and do nothing else.

    Parameters
    ----------
    place
        The workspace's lake folder, or another location of a lake.
    at
        Snapshot to read; the newest by default.
    threads
        Number of threads of a query; 0 for one per core.
    limits
        Limits of a query; none by default.

    Raises
    ------
    LakeError
        There is no lake, or its catalog is damaged.
    """

    def __init__(
        self,
        place: Path | LakeLocation,
        *,
        at: int | None = None,
        threads: int = 0,
        limits: QueryLimits | None = None,
    ) -> None:
        location = located(place)
        if not location.is_shared and not location.catalog_file.is_file():
            raise no_lake(location.folder)
        self._location = location
        self._parser = duckdb.connect()
        self._connection = connect(location, threads=threads)
        attach(self._connection, location, read_only=True, at=at)
        self._limits = limits or QueryLimits()
        self._watch = Watch(self._connection, self._limits)
        self._reader: pa.RecordBatchReader | None = None
        if self._limits.memory_mb:
            self._connection.execute(f"SET memory_limit = '{self._limits.memory_mb:d}MB'")
        # DuckDB reads files of the lake's data, and no others.
        self._connection.execute(f"SET allowed_directories = [{quote(location.data_path)}]")
        self._connection.execute("SET python_enable_replacements = false")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if not self._watch.left_behind:  # it would wait for what cannot be ended
            if self._reader is not None:  # rows that nobody has fetched keep the connection open
                self._reader.close()
            self._connection.close()
        self._parser.close()

    def query(self, sql: str) -> pl.DataFrame:
        """Run one statement that reads, and return its result; see `stream` for the errors."""
        return pl.concat(self.stream(sql), rechunk=True)

    def stream(self, sql: str) -> Iterator[pl.DataFrame]:
        """Run one statement that reads, and yield its result in parts, of which only one need be in memory.

        Yields
        ------
        Frames of the same columns, at least one. Intervals are durations; what polars has no type for is text.

        Raises
        ------
        QueryError
            The text is not one statement, does more than read tables and views, fails, or exceeds a limit.
        LakeError
            The lake is damaged.
        KeyboardInterrupt
            Ctrl-C was pressed.
        """
        self._refuse_unless_reading(sql)
        self._watch.start()
        rows = 0
        reader, names, durations = self._run(lambda: self._opened(sql))
        self._reader = reader
        yield _frame(reader.schema.empty_table(), names, durations)
        while (batch := self._run(lambda: _next(reader))) is not None:
            rows += batch.num_rows
            self._limits.refuse_rows(rows)
            yield _frame(batch, names, durations)

    def _opened(self, sql: str) -> tuple[pa.RecordBatchReader, list[str], list[str]]:
        """Start a statement.

        Returns
        -------
        What its rows can be fetched from, the names of its columns, and those whose numbers are durations.
        """
        found = self._connection.execute(sql)
        columns: list[tuple[str, DuckDBPyType]] = [(column[0], column[1]) for column in found.description or ()]
        names = _unique([name for name, _ in columns])
        if not any(_is_beyond_polars(kind) for _, kind in columns):
            return found.to_arrow_reader(_BATCH_ROWS), names, []
        (statement,) = self._connection.extract_statements(sql)
        selected = ", ".join(
            f"{_as_polars_type(place, kind)} AS {identifier(name)}"
            for place, (name, (_, kind)) in enumerate(zip(names, columns, strict=True), start=1)
        )
        found = self._connection.execute(f"SELECT {selected} FROM (\n{statement.query.rstrip().rstrip(';')}\n)")  # noqa: S608 - it was found to only read
        durations = [name for name, (_, kind) in zip(names, columns, strict=True) if kind.id == "interval"]
        return found.to_arrow_reader(_BATCH_ROWS), names, durations

    def _run(self, work: Callable[[], Result]) -> Result:
        try:
            return self._watch.run(work)
        except duckdb.Error as error:
            known = None if isinstance(error, _ABOUT_THE_QUESTION) else explained(error, self._location)
            if known is not None:
                raise known from error
            raise _failed(error, hint="list the tables and views with `pm tables`") from error

    def _refuse_unless_reading(self, sql: str) -> None:
        if "\x00" in sql:
            raise QueryError("The statement has a NUL character.", hint=f"start with {_READS}")
        statements = self._parsed(sql)
        kinds = [statement.type for statement in statements]
        if kinds == [duckdb.StatementType.CREATE, duckdb.StatementType.SELECT] and not statements[0].query.strip():
            raise QueryError("A PIVOT must name its columns here.", hint="write PIVOT … ON column IN ('a', 'b') …")
        if not kinds:
            raise QueryError("The statement is empty.", hint=f"start with {_READS}")
        if len(kinds) > 1:
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
            raise _failed(error, hint=f"start with {_READS}") from error


def _failed(error: duckdb.Error, *, hint: str) -> QueryError:
    """Return DuckDB's error as one sentence or more, and the line of the statement with a mark at the place."""
    text, line, statement = str(error).strip().partition("LINE ")
    what = " ".join(_KIND.sub("", text).split())
    return QueryError(what, where=(line.lower() + statement).replace("\n", _BELOW_WHERE), hint=hint)


def _unique(names: list[str]) -> list[str]:
    """Return the names of columns, those that repeat one with a number: a, a becomes a, a_1."""
    given: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}_{number}" for number in count(1))
        given[name if name not in given else next(new for new in numbered if new not in {*given, *names})] = None
    return list(given)


def _is_beyond_polars(kind: DuckDBPyType) -> bool:
    if kind.id in _BEYOND_POLARS:
        return True
    if kind.id not in {"list", "array", "map", "struct"}:
        return False
    parts = [(name, part) for name, part in kind.children if isinstance(part, DuckDBPyType)]  # not an array's length
    return any(not name or _is_beyond_polars(part) for name, part in parts)  # the parts of ROW(1, 2) have no names


def _as_polars_type(place: int, kind: DuckDBPyType) -> str:
    """Return, in SQL, the column at a place as a type that polars has: a duration as its number of microseconds."""
    if kind.id == "interval":
        return f"epoch_us(#{place})"
    if kind.id == "timestamp_s":
        return f"CAST(#{place} AS TIMESTAMP)"
    return f"CAST(#{place} AS VARCHAR)" if _is_beyond_polars(kind) else f"#{place}"


def _next(reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
    """Return the next rows; None after the last."""
    try:
        return reader.read_next_batch()
    except StopIteration:  # it must not leave a generator
        return None


def _frame(rows: pa.RecordBatch | pa.Table, names: list[str], durations: list[str]) -> pl.DataFrame:
    frame = pl.from_arrow(rows.rename_columns(names))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a series is made of an array only
    return frame.with_columns(pl.col(durations).cast(pl.Duration("us"))) if durations else frame


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
