"""Write frames for a program: CSV, JSON or Parquet."""

from __future__ import annotations

import sys
from enum import StrEnum
from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileFormat", "write_frame"]

_NOT_IN_CSV = (pl.Duration, pl.Binary, pl.Object)
"""Types that polars does not write as CSV; they become text."""


class FileFormat(StrEnum):
    """Format of a result for a program."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def write_frame(frame: pl.DataFrame, file_format: FileFormat, output: Path | None) -> None:
    """Write a frame to a file, or to standard output if there is none.

    Raises
    ------
    InputError
        Parquet, which is not text, would be printed on a terminal.
    StorageError
        The file cannot be written; a file that was there before is unchanged.
    """
    if output is None:
        if file_format is FileFormat.PARQUET and sys.stdout.isatty():
            raise InputError(
                "Parquet is not text and cannot be shown on a terminal.",
                where="--format parquet",
                hint="write it to a file: -o FILE",
            )
        sys.stdout.buffer.write(_encode(frame, file_format))
        sys.stdout.buffer.flush()
        return
    draft = output.with_name(f".{output.name}.part")
    try:
        draft.write_bytes(_encode(frame, file_format))
        draft.replace(output)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StorageError(
            f"The result cannot be written: {error.strerror}.", where=str(output), hint="choose another file: -o FILE"
        ) from error


def _encode(frame: pl.DataFrame, file_format: FileFormat) -> bytes:
    buffer = BytesIO()
    match file_format:
        case FileFormat.CSV:
            as_text = [name for name, dtype in frame.schema.items() if dtype.is_nested() or dtype in _NOT_IN_CSV]
            frame.with_columns(_to_text(frame[name]) for name in as_text).write_csv(buffer)
        case FileFormat.JSON:
            # SQL's decimals, such as 1.5, are numbers; polars would write them as texts.
            frame.with_columns(pl.selectors.decimal().cast(pl.Float64)).write_json(buffer)
            buffer.write(b"\n")
        case FileFormat.PARQUET:
            frame.write_parquet(buffer)
    return buffer.getvalue()


def _to_text(column: pl.Series) -> pl.Series:
    return pl.Series(column.name, [None if value is None else str(value) for value in column.to_list()], pl.String)
