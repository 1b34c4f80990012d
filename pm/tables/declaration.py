"""Declare a table of the lake: its name, key and columns, with the comments that SQL users read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl
from polars.datatypes import DataTypeClass

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "DATE",
    "FLAG",
    "INTEGER",
    "LANDED",
    "MONEY",
    "PRICE",
    "PRICES",
    "QUANTITY",
    "RATE",
    "REAL",
    "STAMP",
    "TEXT",
    "TIME",
    "Column",
    "Table",
]

DType = pl.DataType | DataTypeClass

TEXT, REAL, INTEGER, DATE, FLAG = pl.String, pl.Float64, pl.Int64, pl.Date, pl.Boolean
TIME = pl.Datetime("us")
"""Time in UTC, without a zone: to fetch times with a zone from DuckDB, one more package is needed."""

MONEY = pl.Decimal(18, 4)
"""Amount of money, exact to a hundredth of a cent."""
QUANTITY = pl.Decimal(18, 9)
"""Number of shares, exact to the smallest fraction that brokers trade."""
PRICE = pl.Decimal(18, 6)
"""Price per share."""
RATE = pl.Decimal(18, 9)
"""Units of one currency for a unit of another."""

_SQL = {
    TEXT: "VARCHAR",
    REAL: "DOUBLE",
    INTEGER: "BIGINT",
    DATE: "DATE",
    FLAG: "BOOLEAN",
    TIME: "TIMESTAMP",
    MONEY: "DECIMAL(18,4)",
    QUANTITY: "DECIMAL(18,9)",
    PRICE: "DECIMAL(18,6)",
}


@dataclass(frozen=True)
class Column:
    """A column: its name, its type, and its description."""

    name: str
    dtype: DType
    comment: str

    @property
    def sql_type(self) -> str:
        """The type as SQL writes it, such as VARCHAR."""
        return _SQL[self.dtype]


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    Attributes
    ----------
    schema
        'main', or 'raw' for what sources delivered.
    name
        Name within the schema.
    comment
        Description of one row, and of what the table is for.
    key
        Columns whose values together differ from row to row.
    columns
        Columns, in order.
    inlined_rows
        Number of rows up to which those of a commit are stored in the catalog, not in a file; None for DuckLake's own,
        which is 10, and 0 in schema raw.
    """

    schema: str
    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    inlined_rows: int | None = None

    @property
    def qualified(self) -> str:
        """The name as SQL writes it: `raw.bars`, or `bars` for a table of schema main."""
        return self.name if self.schema == "main" else f"{self.schema}.{self.name}"

    @cached_property
    def polars_schema(self) -> pl.Schema:
        """Names and types of the columns, in order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @cached_property
    def unstamped_schema(self) -> pl.Schema:
        """Names and types without `run_id`, `snapshot_id` and `cutoff`, which the pipeline adds to computed rows."""
        stamp = {column.name for column in STAMP}
        return pl.Schema({name: dtype for name, dtype in self.polars_schema.items() if name not in stamp})

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame with this table's columns, in order and of its types.

        Raises
        ------
        ValueError
            A declared column is missing, or a column is not declared.
        polars.exceptions.PolarsError
            A value cannot be converted to the type of its column.
        """
        self.require_columns(frame.columns)
        return frame.select(pl.col(name).cast(dtype) for name, dtype in self.polars_schema.items())

    def together(self, frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
        """Return the rows of frames, one after the other, with this table's columns without the stamp, of its types."""
        schema = self.unstamped_schema
        parts = [frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items()) for frame in frames]
        return pl.concat([schema.to_frame(), *parts])

    def require_columns(self, names: Iterable[str]) -> None:
        """Check that these are the names of this table's columns, in any order.

        Raises
        ------
        ValueError
            A declared column is missing, or a column is not declared.
        """
        expected, found = set(self.polars_schema), set(names)
        if expected != found:
            missing, extra = sorted(expected - found), sorted(found - expected)
            raise ValueError(f"The columns do not fit {self.qualified}: missing {missing}, unexpected {extra}.")


STAMP = (
    Column("run_id", TEXT, "Run that computed this row; see runs."),
    Column(
        "snapshot_id",
        INTEGER,
        "Snapshot of the lake that the run read: SELECT … FROM bars AT (VERSION => snapshot_id).",
    ),
    Column("cutoff", DATE, "Last date whose data this row can depend on."),
)
"""Columns of every computed row: the run that computed it, the snapshot it read, and the cutoff."""

LANDED = (
    Column(
        "source",
        TEXT,
        "Source of the row: the value of the file's source column if there is one, otherwise the name of the source.",
    ),
    Column("fetched_at", TIME, "Time at which the row was fetched, in UTC."),
    Column("batch_id", TEXT, "Batch that the row was delivered in; see raw.batches."),
    Column("row", INTEGER, "Position of the row in its batch, from 1."),
)
"""Columns that say where a delivered row came from."""

PRICES = (
    Column("open", REAL, "Opening price as traded, per share; null for close-only data."),
    Column("high", REAL, "Highest price as traded, per share; null for close-only data."),
    Column("low", REAL, "Lowest price as traded, per share; null for close-only data."),
    Column("close", REAL, "Closing price as traded, per share."),
)
"""Columns of a bar's prices."""
