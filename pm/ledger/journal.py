"""Chain rows of the ledger: each has the hash of all rows before it, so that none can be changed or removed unseen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.clock import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pm.tables.declaration import Table

__all__ = ["START", "Head", "Journal", "row_hash"]


@dataclass(frozen=True)
class Head:
    """The end of a chain: the position and the hash of its last row."""

    sequence: int
    hash: str


START = Head(0, "0" * 64)
"""The end of a chain without rows."""


def row_hash(previous: str, table: Table, row: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the hash before, the table's name and the values of a row, but for its own hash.

    The values are written as JSON texts in the order of their names, so that columns that a later version adds change
    nothing while they are missing.
    """
    values = [
        [name, _text(row[name], table.polars_schema[name])]
        for name in sorted(table.polars_schema)
        if name != "hash" and row.get(name) is not None
    ]
    content = json.dumps([previous, table.qualified, values], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def _text(value: Any, dtype: pl.DataType | Any) -> str:  # noqa: ANN401 - a value of any column
    if isinstance(dtype, pl.Decimal):
        return f"{Decimal(value):.{dtype.scale}f}"
    if isinstance(dtype, pl.Datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}"
    if isinstance(value, float):
        return value.hex()
    return str(value)


class Journal:
    """New rows of the ledger, in order, each chained to the one before.

    Parameters
    ----------
    head
        End of the chain so far.
    run_id
        Run that records the rows.
    at
        Time that the rows carry; the present moment of each by default.
    """

    def __init__(self, head: Head, run_id: str, *, at: datetime | None = None) -> None:
        self.head = head
        self._run_id = run_id
        self._at = at
        self._rows: dict[str, tuple[Table, list[dict[str, Any]]]] = {}

    def add(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        """Add a row to a table and return it. Columns that are not given are null.

        Raises
        ------
        ValueError
            The table has no column of a given name, or a decimal has more digits than its column.
        """
        unknown = values.keys() - set(table.polars_schema)
        if unknown:
            raise ValueError(f"Table {table.qualified} has no column {min(unknown)!r}.")
        row: dict[str, Any] = dict.fromkeys(table.polars_schema) | dict(values)
        row |= {
            "recorded_at": self._at or utc_now(),
            "run_id": self._run_id,
            "sequence": self.head.sequence + 1,
        }
        for name, dtype in table.polars_schema.items():
            if isinstance(dtype, pl.Decimal) and row[name] is not None:
                value = Decimal(row[name])
                exact = value.quantize(Decimal(1).scaleb(-dtype.scale))
                if exact != value or abs(exact) >= Decimal(10) ** (dtype.precision - dtype.scale):
                    raise ValueError(f"{table.qualified}.{name} cannot hold {value}.")
                row[name] = exact
        row["hash"] = row_hash(self.head.hash, table, row)
        self.head = Head(row["sequence"], row["hash"])
        self._rows.setdefault(table.qualified, (table, []))[1].append(row)
        return row

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """Return the new rows of a table."""
        return list(self._rows.get(table.qualified, (table, []))[1])

    def frames(self) -> list[tuple[Table, pl.DataFrame]]:
        """Return the new rows as a frame for each table that has some."""
        return [(table, pl.DataFrame(rows, schema=table.polars_schema)) for table, rows in self._rows.values()]

    def drain(self) -> list[tuple[Table, pl.DataFrame]]:
        """Return what `frames` returns, and begin anew after these rows: they are about to be committed."""
        frames = self.frames()
        self._rows = {}
        return frames

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self._rows.values())
