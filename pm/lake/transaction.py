"""Write inside one commit, and hand frames and parameters to DuckDB."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

from pm.lake.binding import execute, literal, quote
from pm.lake.connection import translated
from pm.lake.frames import named_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import duckdb

    from pm.lake.location import LakeLocation
    from pm.tables.declaration import Table

__all__ = ["Transaction", "query"]

_FEW_ROWS = 100
"""Largest number of rows that are written into the statement, which is faster than a file for up to some hundreds."""

_LISTED = 500
"""Largest number of values of a key that are listed in a condition; of more, only the smallest and the largest are."""


class Transaction:
    """A commit in progress: it reads what it has written, and others see all of it at once when it ends."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, location: LakeLocation) -> None:
        self._connection = connection
        self._location = location

    def query(self, sql: str, parameters: Sequence[object] = (), **frames: pl.DataFrame) -> pl.DataFrame:
        """Run a query inside the transaction and return its result; see `Lake.query`."""
        with translated(self._location):
            return query(self._connection, self._location.folder, sql, parameters, frames)

    def append(self, table: Table, rows: pl.DataFrame | Sequence[Path]) -> int:
        """Add rows to a table and return their number.

        Parameters
        ----------
        rows
            A frame with the table's columns, or Parquet files with them.

        Raises
        ------
        ValueError
            The columns of the frame or of a file are not those of the table.
        LakeError
            A value of a file cannot be converted to the type of its column.
        """
        if isinstance(rows, pl.DataFrame):
            return self._append_frame(table, rows)
        if not rows:
            return 0
        for file in rows:  # DuckDB would ignore a column that the first file lacks
            table.require_columns(pl.read_parquet_schema(file))
        files = f"read_parquet({literal([str(file) for file in rows])})"
        with translated(self._location):
            (count,) = self._connection.execute(f"INSERT INTO {table.qualified} BY NAME FROM {files}").fetchone() or (
                0,
            )
        return int(count)

    def _append_frame(self, table: Table, frame: pl.DataFrame) -> int:
        if frame.is_empty():
            return 0
        insert = f"INSERT INTO {table.qualified} BY NAME FROM"
        self._with_frame(table, frame, lambda rows: self._connection.execute(f"{insert} {rows}"))
        return frame.height

    def merge(self, table: Table, frame: pl.DataFrame) -> int:
        """Add rows to a table, in place of those with an equal key, and return the number of rows added.

        Raises
        ------
        ValueError
            Two of the rows have the same key, or the frame's columns are not those of the table.
        """
        if frame.is_empty():
            return 0
        if frame.select(table.key).is_duplicated().any():
            raise ValueError(f"Rows to be merged into {table.qualified} repeat a key ({', '.join(table.key)}).")
        keys = ", ".join(f'"{key}"' for key in table.key)
        bounds = " AND ".join([*_bounds(table, frame), "true"])

        def replace(rows: str) -> None:
            # MERGE would do both, but joins the whole table where the transaction has already added to it, which takes
            # six times as long with ten million rows.
            self._connection.execute(
                f"DELETE FROM {table.qualified} WHERE {bounds} AND ({keys}) IN (SELECT ({keys}) FROM {rows})"  # noqa: S608 - declared names
            )
            self._connection.execute(f"INSERT INTO {table.qualified} BY NAME FROM {rows}")

        self._with_frame(table, frame, replace)
        return frame.height

    def delete(self, table: Table, where: str, parameters: Sequence[object] = (), **frames: pl.DataFrame) -> None:
        """Delete the rows that meet a condition; snapshots before this commit still have them.

        Parameters
        ----------
        where, parameters
            Condition in SQL, and the values of its `?`.
        frames
            Frames that the condition can name like tables.
        """
        with translated(self._location), named_frames(self._connection, self._location.folder, frames):
            execute(self._connection, f"DELETE FROM {table.qualified} WHERE {where}", parameters)  # noqa: S608 - declared names

    def _with_frame(self, table: Table, frame: pl.DataFrame, work: Callable[[str], object]) -> None:
        """Call a function with a relation, in SQL, of the frame's rows."""
        frame = table.conform(frame)
        with translated(self._location):
            if frame.height <= _FEW_ROWS and _survives_json(frame):
                work(f"({_as_select(table, frame)})")
            else:
                with named_frames(self._connection, self._location.folder, {"incoming_frame": frame}):
                    work("incoming_frame")


def _bounds(table: Table, frame: pl.DataFrame) -> list[str]:
    """Return conditions that the keys of a frame meet in a table, by which DuckDB skips files and row groups."""
    found = []
    for key in table.key:
        values = frame[key].drop_nulls()
        if values.dtype not in {pl.String, pl.Date} or values.is_empty():
            continue
        distinct = values.unique()
        if distinct.len() <= _LISTED:
            found.append(f'"{key}" IN ({", ".join(literal(value) for value in distinct)})')
        else:
            found.append(f'"{key}" BETWEEN {literal(values.min())} AND {literal(values.max())}')
    return found


def _survives_json(frame: pl.DataFrame) -> bool:
    return all(frame[name].is_finite().all() for name, dtype in frame.schema.items() if dtype.is_float())


def _as_select(table: Table, frame: pl.DataFrame) -> str:
    """Return a SELECT of the frame's rows, written out as JSON."""
    shape = json.dumps([{column.name: column.sql_type for column in table.columns}])
    return f"SELECT unnest(from_json({quote(frame.write_json())}, {quote(shape)}), recursive := true)"


def query(
    connection: duckdb.DuckDBPyConnection,
    root: Path,
    sql: str,
    parameters: Sequence[object],
    frames: dict[str, pl.DataFrame],
) -> pl.DataFrame:
    """Run a query that can name frames like tables, and return its result."""
    with named_frames(connection, root, frames):
        return execute(connection, sql, parameters).pl()
