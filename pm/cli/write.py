"""Write rows for a program, part by part: CSV, JSON or Parquet."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from errno import EINVAL, EPIPE
from typing import TYPE_CHECKING

from pm.cli.paths import expand_home
from pm.cli.visible import visible
from pm.errors import InputError, StorageError
from pm.export import FileFormat, encode, encoded
from pm.open_files import replace
from pm.windows_paths import is_windows_device, windows_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import polars as pl


__all__ = ["FileFormat", "is_device", "print_text", "refuse_folder", "write_frames"]


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
            encode(frames, file_format, device)
        return
    draft = output.parent / f".{output.name}.part"
    try:
        with _refusals_told(output):
            if os.name == "nt" and (problem := windows_problem(str(output))):
                raise ValueError(f"the path has {problem}")
            with draft.open("wb") as file:
                encode(frames, file_format, file)
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
    for part in encoded(frames, file_format):
        shown = visible(part.decode()).encode() if is_terminal else part  # a program gets the data as they are
        with _reader_may_stop():
            sys.stdout.buffer.write(shown)
    with _reader_may_stop():
        sys.stdout.buffer.flush()


def print_text(text: str) -> None:
    """Write a text to standard output as it is, as frames are written."""
    with _reader_may_stop():
        sys.stdout.buffer.write(text.encode())
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
