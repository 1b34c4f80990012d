"""Write rows for a program, part by part: CSV, JSON or Parquet."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from contextlib import contextmanager, suppress
from enum import StrEnum
from errno import EINVAL, EPIPE
from io import BytesIO
from typing import IO, TYPE_CHECKING, Protocol

import polars as pl

from pm.cli.expressible import expressible, has_part, is_map, not_in_python
from pm.cli.paths import expand_home
from pm.cli.visible import visible
from pm.errors import InputError, StorageError
from pm.open_files import replace
from pm.windows_paths import is_windows_device, windows_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import pyarrow.parquet

__all__ = ["FileFormat", "is_device", "refuse_folder", "write_frames"]

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


def write_frames(frames: Iterable[pl.DataFrame], file_format: FileFormat, output: Path | None) -> None:
    """Write the rows of frames to a file, or to standard output if there is none.

    Parameters
    ----------
    frames
        Frames of the same columns, at least one. Each is written before the next is asked for.

    Raises
    ------
    InputError
        Parquet, which is not text, would be printed on a terminal; or the file is a folder.
    StorageError
        The file cannot be written; a file that was there before is unchanged.
    """
    if output is None:
        _print(frames, file_format)
        return
    output = expand_home(output)
    refuse_folder(output)
    if is_device(output):
        with _refusals_told(output), output.open("wb") as device:
            _write(frames, file_format, device)
        return
    draft = output.parent / f".{output.name}.part"
    try:
        with _refusals_told(output):
            if os.name == "nt" and (problem := windows_problem(str(output))):
                raise ValueError(f"the path has {problem}")
            with draft.open("wb") as file:
                _write(frames, file_format, file)
            replace(draft, output)
    finally:
        with suppress(OSError, ValueError):
            draft.unlink(missing_ok=True)


def _print(frames: Iterable[pl.DataFrame], file_format: FileFormat) -> None:
    is_terminal = sys.stdout.isatty()
    if is_terminal and file_format is FileFormat.PARQUET:
        raise InputError(
            "Parquet is not text and cannot be shown on a terminal.",
            where="--format parquet",
            hint="write it to a file: -o FILE",
        )
    for part in _encoded(frames, file_format):
        shown = visible(part.decode()).encode() if is_terminal else part  # a program gets the data as they are
        with _reader_may_stop():
            sys.stdout.buffer.write(shown)
    with _reader_may_stop():
        sys.stdout.buffer.flush()


@contextmanager
def _reader_may_stop() -> Iterator[None]:
    """Raise a BrokenPipeError where Windows calls it an invalid argument that nobody reads what is written."""
    try:
        yield
    except OSError as error:
        if error.errno == EINVAL:
            raise BrokenPipeError(EPIPE, "The reader of the output is gone") from error
        raise


@contextmanager
def _refusals_told(output: Path) -> Iterator[None]:
    """Turn the system's refusal to write a file into an error with a remedy."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(
            f"The result cannot be written: {reason}.", where=str(output), hint="choose another file: -o FILE"
        ) from error


def refuse_folder(output: Path) -> None:
    """Refuse a folder as the file to write to.

    Raises
    ------
    InputError
        It is a folder.
    """
    with suppress(OSError):  # such as a name that is too long
        if not output.name or output.is_dir():
            raise InputError("The output is a folder.", where=str(output), hint="name a file: -o FILE")


def is_device(output: Path) -> bool:
    """Return whether a path names no file or folder but a device or a pipe, as NUL, COM1 and /dev/null do."""
    if os.name == "nt" and is_windows_device(str(output)):  # whether or not the machine has it
        return True
    try:
        return output.exists() and not output.is_file() and not output.is_dir()
    except OSError:
        return False


class _Encoder(Protocol):
    """Writes rows in one format, frame by frame."""

    def add(self, frame: pl.DataFrame) -> None:
        """Write the rows of a frame."""
        ...

    def end(self) -> None:
        """Write what the format has after the last row."""
        ...


def _write(frames: Iterable[pl.DataFrame], file_format: FileFormat, target: IO[bytes]) -> None:
    """Write the rows of frames to an open file; flush nothing, close nothing."""
    encoder = _ENCODERS[file_format](target)
    for frame in frames:
        encoder.add(frame)
    encoder.end()


def _encoded(frames: Iterable[pl.DataFrame], file_format: FileFormat) -> Iterator[bytes]:
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
