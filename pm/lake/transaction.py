"""Writing inside one commit, and how frames and parameters reach DuckDB."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pm.errors import LakeError
from pm.lake.connection import quote, translated
from pm.lake.tables import Table, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import duckdb
    import polars as pl

__all__ = ["Transaction", "execute", "query"]

# Up to so many rows are written into the statement instead of being registered as a frame; see execute.
_FEW_ROWS = 20


class Transaction:
    """Writing that becomes visible at once when its commit ends; what it has written it can read."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, root: Path) -> None:
        self._connection = connection
        self._root = root

    def query(self, sql: str, parameters: Sequence[object] = (), **frames: pl.DataFrame) -> pl.DataFrame:
        """Run a query inside the transaction."""
        with translated(self._root):
            return query(self._connection, sql, parameters, frames)

    def append(self, name: str, frame: pl.DataFrame) -> int:
        """Add rows to a table; give how many."""
        if frame.is_empty():
            return 0
        target = table(name)
        self._with_frame(target, frame, lambda rows: f"INSERT INTO {target.qualified} BY NAME FROM {rows}")
        return frame.height

    def merge(self, name: str, frame: pl.DataFrame) -> int:
        """Add rows, replacing those with the same key; give how many.

        Raises
        ------
        LakeError
            Two of the rows have the same key: a bug, not a user's mistake.
        """
        if frame.is_empty():
            return 0
        target = table(name)
        if frame.select(target.key).is_duplicated().any():
            raise LakeError(f"Rows to be merged into {name} repeat a key ({', '.join(target.key)}).")
        match = " AND ".join(f't."{key}" = s."{key}"' for key in target.key)
        values = ", ".join(f'"{column}" = s."{column}"' for column in target.polars_schema if column not in target.key)
        self._with_frame(
            target,
            frame,
            lambda rows: (
                f"MERGE INTO {target.qualified} t USING {rows} s ON {match} "
                f"WHEN MATCHED THEN UPDATE SET {values} WHEN NOT MATCHED THEN INSERT BY NAME"
            ),
        )
        return frame.height

    def delete(self, name: str, where: str, parameters: Sequence[object] = (), **frames: pl.DataFrame) -> None:
        """Remove the rows that meet a condition; snapshots before this commit still have them.

        Parameters
        ----------
        where, parameters
            Condition, and the values of its `?`.
        frames
            Frames that the condition may name like tables.
        """
        with translated(self._root), _registered(self._connection, frames):
            self._connection.execute(f"DELETE FROM {table(name).qualified} WHERE {where}", list(parameters))  # noqa: S608 - declared names

    def _with_frame(self, target: Table, frame: pl.DataFrame, statement: Callable[[str], str]) -> None:
        """Run the statement that is made from what stands for the frame in SQL."""
        frame = target.conform(frame)
        with translated(self._root):
            if frame.height <= _FEW_ROWS and _survives_json(frame):
                self._connection.execute(statement(f"({_as_select(target, frame)})"))
            else:
                with _registered(self._connection, {"incoming_frame": frame}):
                    self._connection.execute(statement("incoming_frame"))


def _survives_json(frame: pl.DataFrame) -> bool:
    return all(frame[name].is_finite().all() for name, dtype in frame.schema.items() if dtype.is_float())


def _as_select(target: Table, frame: pl.DataFrame) -> str:
    """Write a few rows into the statement itself."""
    shape = json.dumps([{column.name: column.sql_type for column in target.columns}])
    return f"SELECT unnest(from_json({quote(frame.write_json())}, {quote(shape)}), recursive := true)"


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, frames: dict[str, pl.DataFrame]) -> Iterator[None]:
    """Let SQL name frames like tables, for a while."""
    for name, frame in frames.items():
        connection.register(name, frame)
    try:
        yield
    finally:
        for name in frames:
            connection.unregister(name)


def query(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object], frames: dict[str, pl.DataFrame]
) -> pl.DataFrame:
    """Run a query that may name frames like tables, and give its result."""
    with _registered(connection, frames):
        return execute(connection, sql, parameters).pl()


def execute(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object]) -> duckdb.DuckDBPyConnection:
    """Run a statement; bind values only where there are some.

    To bind a value, or to register a frame, DuckDB imports pandas: 0.3 s that a night with nothing new need not wait.
    """
    return connection.execute(sql, list(parameters)) if parameters else connection.execute(sql)
