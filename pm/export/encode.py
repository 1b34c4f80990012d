"""Encode rows of frames as CSV, JSON or Parquet, part by part."""

from __future__ import annotations

import json
import re
import secrets
from enum import StrEnum
from io import BytesIO
from typing import IO, TYPE_CHECKING, Protocol

import polars as pl

from pm.export.expressible import expressible, has_part, is_map, not_in_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow.parquet

__all__ = ["FileFormat", "encode", "encoded"]

_GROUP_ROWS, _GROUP_BYTES = 131_072, 64_000_000
"""Number of rows, and of bytes in memory, from which a Parquet file's next group of rows is written."""

_NOT_IN_CSV = (pl.Duration, pl.Binary, pl.Object)
"""Types that polars does not write as CSV; they become text."""
_MARK = secrets.token_hex(16)
"""Start of a text of JSON that stands for a number, which no value of a query can have foreseen."""
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


class FileFormat(StrEnum):
    """Format of a result for a program."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


class _Encoder(Protocol):
    """Writes rows in one format, frame by frame."""

    def add(self, frame: pl.DataFrame) -> None:
        """Write the rows of a frame."""
        ...

    def end(self) -> None:
        """Write what the format has after the last row."""
        ...


def encode(frames: Iterable[pl.DataFrame], file_format: FileFormat, target: IO[bytes]) -> None:
    """Write the rows of frames to an open file; flush nothing, close nothing."""
    encoder = _ENCODERS[file_format](target)
    for frame in frames:
        encoder.add(frame)
    encoder.end()


def encoded(frames: Iterable[pl.DataFrame], file_format: FileFormat) -> Iterator[bytes]:
    """Yield the rows of frames in a format, a part at a time."""
    buffer = BytesIO()
    encoder = _ENCODERS[file_format](buffer)
    for frame in frames:
        encoder.add(frame)
        yield _emptied(buffer)
    encoder.end()
    yield _emptied(buffer)


def _emptied(buffer: BytesIO) -> bytes:
    content = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return content


class _Csv:
    """Writes CSV: a line of names, then a line for each row."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._has_header = False

    def add(self, frame: pl.DataFrame) -> None:
        frame = expressible(frame, write=_csv_texts, refuses=not_in_python)
        as_text = [name for name, dtype in frame.schema.items() if dtype.is_nested() or dtype in _NOT_IN_CSV]
        rows = frame.with_columns(_to_text(frame[name]) for name in as_text)
        # polars would turn the error of a reader that is gone into one of its own.
        buffer = BytesIO()
        rows.write_csv(buffer, include_header=not self._has_header)
        self._has_header = True
        self._target.write(buffer.getvalue())

    def end(self) -> None:
        pass


class _Json:
    """Writes JSON: an array of an object for each row."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._has_rows = False
        target.write(b"[")

    def add(self, frame: pl.DataFrame) -> None:
        if frame.is_empty():
            return
        # SQL's decimals, such as 1.5 and sums of integers, are numbers; polars would write them as texts.
        decimals = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Decimal)]
        rows = frame.with_columns((pl.lit(_MARK) + pl.col(name).cast(pl.String)).alias(name) for name in decimals)
        array = expressible(rows, write=_json_texts, refuses=_not_in_json).write_json()
        if decimals:
            array = _MARKED.sub(r"\1", array)
        self._target.write((b"," if self._has_rows else b"") + array[1:-1].encode())
        self._has_rows = True

    def end(self) -> None:
        self._target.write(b"]\n")


class _Parquet:
    """Writes Parquet; rows are gathered until they make a group of the size that readers are fast with."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._writer: pyarrow.parquet.ParquetWriter | None = None
        self._waiting: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame) -> None:
        self._waiting.append(frame)
        rows = sum(waiting.height for waiting in self._waiting)
        if rows >= _GROUP_ROWS or sum(waiting.estimated_size() for waiting in self._waiting) >= _GROUP_BYTES:
            self._write_group()

    def end(self) -> None:
        self._write_group()
        assert self._writer is not None  # noqa: S101 - a group has been written
        self._writer.close()

    def _write_group(self) -> None:
        import pyarrow.parquet

        if not self._waiting and self._writer is not None:
            return
        group = pl.concat(self._waiting).to_arrow()
        self._waiting = []
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._target, group.schema, compression="zstd")
        self._writer.write_table(group)


_ENCODERS: Mapping[FileFormat, Callable[[IO[bytes]], _Encoder]] = {
    FileFormat.CSV: _Csv,
    FileFormat.JSON: _Json,
    FileFormat.PARQUET: _Parquet,
}


def _not_in_json(dtype: pl.DataType) -> bool:
    """Return whether polars cannot write a type as JSON: bytes, and maps whose keys are not texts."""

    def is_refused(part: pl.DataType) -> bool:
        if is_map(part):
            return not isinstance(part.key, (pl.String, pl.Categorical, pl.Enum))  # type: ignore[attr-defined]
        return isinstance(part, (pl.Binary, pl.Object))

    return has_part(dtype, is_refused)


def _csv_texts(column: pl.Series) -> list[str]:
    """Return dates or times as polars writes them in CSV; what is missing is some text."""
    return column.to_frame().write_csv(include_header=False).splitlines()


def _json_texts(column: pl.Series) -> list[str | None]:
    """Return dates or times as polars writes them in JSON."""
    return [row["value"] for row in json.loads(column.alias("value").to_frame().write_json())]


def _to_text(column: pl.Series) -> pl.Series:
    return pl.Series(column.name, [None if value is None else str(value) for value in column.to_list()], pl.String)
