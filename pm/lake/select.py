"""Select rows of one table or view by the values of some columns, without SQL in the caller."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.lake.binding import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Selection", "polars_frame"]

_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_POLARS: dict[str, pl.DataType | type[pl.DataType]] = {
    "BOOLEAN": pl.Boolean, "VARCHAR": pl.String, "DATE": pl.Date, "TIMESTAMP": pl.Datetime("us"), "TIME": pl.Time,
    "BLOB": pl.Binary, "FLOAT": pl.Float32, "DOUBLE": pl.Float64,
    "TINYINT": pl.Int8, "SMALLINT": pl.Int16, "INTEGER": pl.Int32, "BIGINT": pl.Int64, "HUGEINT": pl.Int128,
    "UTINYINT": pl.UInt8, "USMALLINT": pl.UInt16, "UINTEGER": pl.UInt32, "UBIGINT": pl.UInt64,
}  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """Rows of a table or view.

    Attributes
    ----------
    name
        The table or view.
    columns
        Columns to return, in order; None for all.
    equal
        Value that a column must have: any of the values of a list; None is a missing value.
    order
        Columns to sort by. Missing values come last.
    descending
        Those of `order` that are sorted from high to low.
    limit
        Largest number of rows to return; None for all.
    """

    name: str
    columns: Sequence[str] | None
    equal: Mapping[str, object]
    order: Sequence[str]
    descending: Sequence[str]
    limit: int | None

    def __post_init__(self) -> None:
        if not set(self.descending) <= set(self.order):
            raise ValueError(f"Only columns of `order` can be descending: {self.descending} and {self.order}.")

    @property
    def named(self) -> set[str]:
        """Every column that is named."""
        return {*(self.columns or ()), *self.equal, *self.order}

    @property
    def relation(self) -> str:
        """The table or view as SQL writes it, quoted."""
        return identifier(*self.name.split("."))

    def statement(self) -> tuple[str, list[object]]:
        """Return the SELECT and the values of its `?`."""
        conditions: list[str] = []
        values: list[object] = []
        for column, value in self.equal.items():
            if isinstance(value, (list, tuple, set, frozenset)):
                marks = ", ".join("?" for _ in value)
                conditions.append(f"{identifier(column)} IN ({marks})" if value else "false")
                values += value
            elif value is None:
                conditions.append(f"{identifier(column)} IS NULL")
            else:
                conditions.append(f"{identifier(column)} = ?")
                values.append(value)
        columns = "*" if self.columns is None else ", ".join(map(identifier, self.columns))
        sql = f"SELECT {columns} FROM {self.relation}"  # noqa: S608 - every name is quoted
        if conditions:
            sql += f" WHERE {' AND '.join(conditions)}"
        if self.order:
            keys = (f"{identifier(c)} {'DESC' if c in self.descending else 'ASC'} NULLS LAST" for c in self.order)
            sql += f" ORDER BY {', '.join(keys)}"
        if self.limit is not None:
            sql += f" LIMIT {self.limit:d}"
        return sql, values


def polars_frame(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[object]]) -> pl.DataFrame:
    """Return rows of Python values as a frame.

    Parameters
    ----------
    columns
        Names, and types as DuckDB writes them; of a type that polars lacks, polars infers one from the values.
    """
    series = []
    for place, (name, kind) in enumerate(columns):
        values = [row[place] for row in rows]
        decimal = _DECIMAL.fullmatch(kind)
        dtype = pl.Decimal(int(decimal[1]), int(decimal[2])) if decimal else _POLARS.get(kind)
        series.append(pl.Series(name, values, dtype=dtype, strict=dtype is not None))
    return pl.DataFrame(series)
