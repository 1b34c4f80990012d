"""How a table of the lake is declared: its name, key and columns, with the comments that SQL users read."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from polars.datatypes import DataTypeClass

__all__ = ["DATE", "FLAG", "INTEGER", "LANDED", "PRICES", "REAL", "STAMP", "TEXT", "TIME", "Column", "Table"]

DType = pl.DataType | DataTypeClass

TEXT, REAL, INTEGER, DATE, FLAG = pl.String, pl.Float64, pl.Int64, pl.Date, pl.Boolean
TIME = pl.Datetime("us")
"""UTC, without a zone: fetching zoned times from DuckDB needs one more package."""

_SQL = {TEXT: "VARCHAR", REAL: "DOUBLE", INTEGER: "BIGINT", DATE: "DATE", FLAG: "BOOLEAN", TIME: "TIMESTAMP"}


@dataclass(frozen=True)
class Column:
    """A column: its name, its type, and what a reader should know of it."""

    name: str
    dtype: DType
    comment: str

    @property
    def sql_type(self) -> str:
        """The type as SQL writes it."""
        return _SQL[self.dtype]


@dataclass(frozen=True)
class Table:
    """A table of the lake."""

    schema: str
    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def qualified(self) -> str:
        """The name as SQL finds it: `raw.bars`; those of `main` need no schema."""
        return self.name if self.schema == "main" else f"{self.schema}.{self.name}"

    @property
    def polars_schema(self) -> pl.Schema:
        """Names and types, in order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def unstamped_schema(self) -> pl.Schema:
        """Names and types without those of the stamp: what a room gives, before a stage says which run it was."""
        stamp = {column.name for column in STAMP}
        return pl.Schema({name: dtype for name, dtype in self.polars_schema.items() if name not in stamp})

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Give the frame with exactly this table's columns, in order and of its types.

        Raises
        ------
        ValueError
            A column is missing or is not declared.
        polars.exceptions.PolarsError
            A value does not fit its type.
        """
        expected = set(self.polars_schema)
        if expected != set(frame.columns):
            missing, extra = sorted(expected - set(frame.columns)), sorted(set(frame.columns) - expected)
            raise ValueError(f"Frame does not fit {self.qualified}: missing {missing}, unexpected {extra}.")
        return frame.select(pl.col(name).cast(dtype) for name, dtype in self.polars_schema.items())


STAMP = (
    Column("run_id", TEXT, "Run that made this row; see runs."),
    Column(
        "snapshot_id",
        INTEGER,
        "Snapshot of the lake the run read: select … from bars at (version => snapshot_id).",
    ),
    Column("cutoff", DATE, "Last date this row may have seen."),
)

LANDED = (
    Column("source", TEXT, "Who sent it: the file's own source column if it has one, else the source's name."),
    Column("fetched_at", TIME, "When it was fetched, UTC."),
    Column("batch_id", TEXT, "Batch it came in; see raw.batches."),
    Column("row", INTEGER, "Its place in the batch, from 1."),
)

PRICES = (
    Column("open", REAL, "Opening price as traded; null for close-only data."),
    Column("high", REAL, "Highest price as traded; null for close-only data."),
    Column("low", REAL, "Lowest price as traded; null for close-only data."),
    Column("close", REAL, "Closing price as traded."),
)
