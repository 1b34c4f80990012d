"""What a stage returns: the changes to the lake that the runner commits, and a summary."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from pm.disk import writing_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pm.tables.declaration import Table

__all__ = ["Append", "Delete", "Merge", "Result", "Spool", "Write"]

_ROWS_IN_MEMORY = 250_000
"""Number of rows that a spool holds in memory before it writes them to a file."""


@dataclass(frozen=True)
class Append:
    """Add rows to a table.

    Parameters
    ----------
    table
        The table.
    rows
        A frame with the table's columns, or Parquet files whose rows are added in order.
    """

    table: Table
    rows: pl.DataFrame | Sequence[Path]


@dataclass(frozen=True)
class Merge:
    """Add rows to a table, replacing those with the same key."""

    table: Table
    rows: pl.DataFrame


@dataclass(frozen=True)
class Delete:
    """Delete the rows of a table that meet a condition.

    Parameters
    ----------
    table
        The table.
    where, parameters
        Condition in SQL, and the values of its `?`.
    frames
        Frames that the condition may name like tables.
    """

    table: Table
    where: str = "true"
    parameters: Sequence[object] = ()
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict)


Write = Append | Merge | Delete


@dataclass(frozen=True)
class Result:
    """What a stage computed.

    Parameters
    ----------
    writes
        Changes to the lake, in order; they become visible together. They may be applied more than once, when the
        catalog was locked, so they hold nothing that can be read only once.
    summary
        One line for the user.
    degraded
        Why the result is less than it should be, in a few words, such as that a language model failed; None if nothing
        is missing. Such a result stands for this run, and the next run does the stage again.
    """

    writes: Sequence[Write]
    summary: str
    degraded: str | None = None


class Spool:
    """Rows for a table: held in memory while they are few, in Parquet files once they are many.

    Parameters
    ----------
    table
        The table that the rows are for.
    folder
        Folder for the files; created when the first is written, and deleted by the runner after the commit.
    """

    def __init__(self, table: Table, folder: Path) -> None:
        self._table = table
        self._folder = folder
        self._token = secrets.token_hex(4)  # a stage can have several spools of a table
        self._frames: list[pl.DataFrame] = []
        self._held = 0
        self._files: list[Path] = []
        self.rows = 0
        """Number of rows added so far."""

    def add(self, frame: pl.DataFrame) -> int:
        """Add rows and return how many.

        Raises
        ------
        StorageError
            The folder cannot be written, or the disk is full.
        """
        if frame.is_empty():
            return 0
        self._frames.append(self._table.conform(frame))
        self._held += frame.height
        self.rows += frame.height
        if self._held >= _ROWS_IN_MEMORY:
            self._write()
        return frame.height

    def remove(self, condition: pl.Expr) -> None:
        """Take back the rows that meet a condition.

        Raises
        ------
        StorageError
            The folder cannot be written.
        """
        self._frames = [frame.filter(~condition) for frame in self._frames]
        self._held = sum(frame.height for frame in self._frames)
        kept = self._held
        with writing_rows(self._folder):
            for file in self._files:
                rows = pl.read_parquet(file).filter(~condition)
                rows.write_parquet(file)
                kept += rows.height
        self.rows = kept

    def append(self) -> Append:
        """Return the change that adds the rows to the table."""
        if not self._files:
            return Append(
                self._table, pl.concat(self._frames) if self._frames else self._table.polars_schema.to_frame()
            )
        if self._frames:
            self._write()
        return Append(self._table, tuple(self._files))

    def _write(self) -> None:
        file = self._folder / f"{self._table.qualified}-{self._token}-{len(self._files):06d}.parquet"
        with writing_rows(file):
            self._folder.mkdir(parents=True, exist_ok=True)
            pl.concat(self._frames).write_parquet(file)
        self._files.append(file)
        self._frames, self._held = [], 0
