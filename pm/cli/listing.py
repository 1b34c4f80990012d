"""Write what a command lists for a program, by the global options --format and -o."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from pm.errors import InputError, NoResultsError, PmError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

    from pm.export import FileFormat

__all__ = ["Listing", "OutputFormat", "current_listing", "file_format", "listing"]

_KNOWN_ENDINGS = frozenset({"csv", "json", "ods", "parquet", "xls", "xlsb", "xlsm", "xlsx"})
"""Endings of files by which other programs know their format."""


class OutputFormat(StrEnum):
    """Format of a result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


class Listing:
    """Takes the table that a command would print, to write it in place of that.

    Parameters
    ----------
    file_format
        Format to write.
    output
        File to write to; None for standard output.
    """

    def __init__(self, file_format: FileFormat, output: Path | None) -> None:
        self._format = file_format
        self._frames: list[pl.DataFrame] = []
        self.output = output

    def take(self, frame: pl.DataFrame) -> None:
        """Keep a table until the command ends."""
        self._frames.append(frame)

    @property
    def is_empty(self) -> bool:
        """Whether the command has shown no table."""
        return not self._frames

    def write(self) -> None:
        """Write the table. Where the command has shown none, JSON is an empty list, and CSV on standard output nothing.

        Raises
        ------
        InputError
            The command has shown several tables.
        NoResultsError
            It has shown none, and a file or Parquet cannot say so.
        StorageError
            The file cannot be written.
        """
        from pm.cli.write import print_text, write_frames
        from pm.export import FileFormat

        if len(self._frames) > 1:
            raise InputError(
                f"This command shows {len(self._frames)} tables, and a file or a program can be given one.",
                where="--format, -o",
                hint="ask for the one that you want: pm sql 'FROM NAME' -o FILE; pm tables lists what there is",
            )
        if self._frames:
            write_frames(self._frames, self._format, self.output)
        elif self.output is not None or self._format is FileFormat.PARQUET:
            raise NoResultsError(
                "The command listed nothing, so that nothing was written.",
                where="--format, -o" if self.output is None else str(self.output),
                hint="the lines above say why there is nothing; a file that was there is as it was",
            )
        elif self._format is FileFormat.JSON:
            print_text("[]\n")


_CURRENT: ContextVar[Listing | None] = ContextVar("listing", default=None)


def current_listing() -> Listing | None:
    """Return what takes the tables of the command that runs; None if they are printed."""
    return _CURRENT.get()


@contextmanager
def listing(output_format: OutputFormat | None, output: Path | None) -> Iterator[None]:
    """Have the table of the command that runs in this block written in a format, if one is asked for.

    Raises
    ------
    InputError
        The format is not known from the file's name, or is another than that says.
    """
    chosen = file_format(output_format, output)
    if chosen is None:
        yield
        return
    taker = Listing(chosen, output)
    token = _CURRENT.set(taker)
    try:
        yield
    except (PmError, typer.Exit):  # a command that ends with a code may have listed something before
        if not taker.is_empty:
            taker.write()
        raise
    finally:
        _CURRENT.reset(token)
    taker.write()


def file_format(output_format: OutputFormat | None, output: Path | None) -> FileFormat | None:
    """Return the format in which a result is written to a file or to standard output; None for a printed table.

    Raises
    ------
    InputError
        The output is a folder, its ending names no format, or another than the one that is asked for.
    """
    if output is None and output_format in {None, OutputFormat.TABLE}:
        return None
    from pm.cli.paths import expand_home
    from pm.cli.write import is_device, refuse_folder
    from pm.export import FileFormat

    if output is not None:
        refuse_folder(expand_home(output))
    ending = output.suffix.lower().lstrip(".") if output is not None and not is_device(output) else ""
    if output_format not in {None, OutputFormat.TABLE}:
        if ending in _KNOWN_ENDINGS and ending != str(output_format):
            raise InputError(
                f"The ending of {output.name!r} says another format than --format {output_format}.",  # type: ignore[union-attr]
                where="--output",
                hint=f"end it in .{output_format}, or leave out --format",
            )
        return FileFormat(str(output_format))
    assert output is not None  # noqa: S101 - the first lines
    if is_device(output):
        return FileFormat.CSV
    if ending not in set(FileFormat):
        raise InputError(
            f"The ending of {output.name!r} names no format that pm writes.",
            where="--output",
            hint=f"end it in {', '.join(f'.{known}' for known in FileFormat)}, or say which with --format",
        )
    return FileFormat(ending)
