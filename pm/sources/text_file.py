"""Open text to be read more than once: a file, a compressed file, a member of a zip archive, or a sheet of a workbook.

A sheet is handed on as the CSV that a spreadsheet would save, so that it is read by the same rules as any other text.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from pm.errors import InputError
from pm.open_files import is_held
from pm.sources.refusal import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ARCHIVES", "WORKBOOKS", "TextFile", "is_workbook", "parts_of", "reading", "refuse_expansion"]

ARCHIVES = (".zip",)
"""Endings of the names of archives."""
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
"""Endings of the names of workbooks."""
_TEXTS = (".csv", ".tsv", ".txt")
"""Endings of the members of an archive that are read."""
_ZIP, _OLD_WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_EXPANSION = 100
"""Maximum ratio of the size of text to its compressed size; prices are compressed to a third or a tenth."""
_SMALL = 64 << 20
"""Number of bytes up to which text may have any ratio: reading it costs little."""
_LARGEST_MEMBER = 2 << 30
"""Maximum number of bytes of an archive's members together: a member is held in memory."""
_LARGEST_SHEET = 2_000_000
"""Maximum number of cells of a sheet, twice what a century of daily bars has: a sheet is held in memory."""


@dataclass(frozen=True)
class TextFile:
    """A text.

    Attributes
    ----------
    path
        The file.
    part
        Name of the archive's member or of the workbook's sheet; None for any other file.
    """

    path: Path
    part: str | None = None

    def __str__(self) -> str:
        """Return the name for messages."""
        return str(self.path) if self.part is None else f"{self.path}, {self.part}"

    def open(self) -> BinaryIO:
        """Open the text, uncompressed."""
        if self.part is None:
            is_gzip = self.path.suffix.lower() == ".gz"
            return cast("BinaryIO", gzip.open(self.path, "rb")) if is_gzip else self.path.open("rb")
        if is_workbook(self.path):
            status = self.path.stat()
            return BytesIO(_sheet_as_csv(self.path, self.part, status.st_size, status.st_mtime_ns))
        return _Member(self.path, self.part)


class _Member(BytesIO):
    """A member of an archive, which is read whole: the archive is closed at once."""

    def __init__(self, path: Path, name: str) -> None:
        with zipfile.ZipFile(path) as archive:
            super().__init__(archive.read(name))


def parts_of(path: Path) -> list[str | None]:
    """Return the names of the texts in a file: an archive's members, a workbook's sheets, or None for a file itself.

    An archive and a workbook are known by their content, since some are called .csv.

    Raises
    ------
    InputError
        The file cannot be read, is damaged or encrypted, or holds no text.
    """
    with reading(path):
        with path.open("rb") as stream:
            start = stream.read(4)
        if is_workbook(path):
            return list(_sheets(path))
        if start != _ZIP:
            if path.name.lower().endswith((*ARCHIVES, *WORKBOOKS)):
                raise InputError(
                    f"The name of the file ends in {path.suffix}, and its content is of another kind, or damaged.",
                    where=str(path),
                    hint="download it again, or let the name end in .csv if it is text",
                )
            return [None]
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if _is_text(member.filename)]
            _refuse_large(path, archive)
            damaged = archive.testzip() if not any(member.flag_bits & 1 for member in members) else None
    if any(member.flag_bits & 1 for member in members):
        raise InputError("The archive is encrypted.", where=str(path), hint="unpack it and import its files")
    if damaged is not None:
        raise InputError(f"The archive is damaged: {damaged}.", where=str(path), hint="download it again")
    if not members:
        raise InputError(
            "The archive holds no text.", where=str(path), hint=f"put {', '.join('*' + end for end in _TEXTS)} there"
        )
    return [member.filename for member in members]


def _is_text(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    return name.lower().endswith(_TEXTS) and not hidden


def is_workbook(path: Path) -> bool:
    """Return whether a file is a workbook, by its content: some are called .csv."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if start == _OLD_WORKBOOK or (start == _ZIP and path.name.lower().endswith(WORKBOOKS)):
        return True
    if start != _ZIP:
        return False
    with zipfile.ZipFile(path) as archive:
        return not {"xl/workbook.xml", "xl/workbook.bin"}.isdisjoint(archive.namelist())


def refuse_expansion(path: Path, size: int) -> None:
    """Refuse a compressed file whose text is so much larger that it was made to exhaust whoever reads it.

    Parameters
    ----------
    path
        The file.
    size
        Number of bytes of its text, or of the part read so far.

    Raises
    ------
    InputError
        The text is more than 100 times as large, and larger than 64 MiB.
    """
    if size > _SMALL and size > _EXPANSION * path.stat().st_size:
        raise InputError(
            f"The file holds more than {_EXPANSION} times its size, which files of prices never do.",
            where=str(path),
            hint="look at what is in it; if it is what you want, unpack it and import its text",
        )


def _refuse_large(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse an archive, or a workbook, which is one, whose members would fill the memory."""
    size = sum(member.file_size for member in archive.infolist())
    refuse_expansion(path, size)
    if size > _LARGEST_MEMBER:
        raise InputError(
            f"The file holds {size / 2**30:.1f} GiB, and {_LARGEST_MEMBER >> 30} GiB can be read.",
            where=str(path),
            hint="unpack it and import its files, or save sheets as CSV",
        )


def _sheets(path: Path) -> tuple[str, ...]:
    import fastexcel

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _refuse_large(path, archive)
    try:
        sheets = tuple(fastexcel.read_excel(path).sheet_names)
    except fastexcel.FastExcelError as error:
        raise _damaged_workbook(path, error) from None
    if not sheets:
        raise InputError("The workbook has no sheets.", where=str(path), hint="save it again, or save it as CSV")
    return sheets


@lru_cache(maxsize=1)
def _sheet_as_csv(path: Path, sheet: str, size: int, changed: int) -> bytes:
    """Return a sheet as CSV; size and time of the file are there so that a changed file is read again."""
    del size, changed
    import fastexcel

    try:
        book = fastexcel.read_excel(path)
        loaded = book.load_sheet(sheet, header_row=None, dtypes="string", n_rows=0)
        if loaded.total_height * max(loaded.width, 1) > _LARGEST_SHEET:
            raise InputError("The sheet is too large.", where=f"{path}, {sheet}", hint="save it as CSV")
        frame = book.load_sheet(sheet, header_row=None, dtypes="string").to_polars()
    except fastexcel.FastExcelError as error:
        raise _damaged_workbook(path, error) from None
    return frame.write_csv(include_header=False).encode()


def _damaged_workbook(path: Path, error: Exception) -> InputError:
    return InputError(
        f"The workbook is damaged, or of a kind that cannot be read: {words_of(error)}.",
        where=str(path),
        hint="save the sheet as CSV",
    )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's errors about an unreadable file into an InputError."""
    try:
        yield
    except PermissionError:
        if is_held(path):
            raise InputError(
                "Another program has the file open and shares it with nobody.",
                where=str(path),
                hint="close it there, then run this again",
            ) from None
        raise InputError(
            "There is no permission to read the file.",
            where=str(path),
            hint="change its permissions, or copy it to another place",
        ) from None
    except FileNotFoundError:
        raise InputError("There is no such file.", where=str(path), hint="check the path") from None
    except gzip.BadGzipFile as error:
        raise InputError(
            f"The name of the file ends in .gz, but it is not gzip, or incomplete: {words_of(error)}.",
            where=str(path),
            hint="download it again; if it is plain text, remove .gz from its name",
        ) from None
    except (EOFError, zlib.error, zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"The file is damaged or incomplete: {words_of(error)}.", where=str(path), hint="download it again"
        ) from None
