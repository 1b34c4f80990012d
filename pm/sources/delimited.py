"""Read delimited text: detect its format from the first lines, stream it with Arrow, and find errors by line.

Arrow's reader is strict about the number of fields, checks the checksum of a compressed file, takes a path literally,
keeps the order of the rows and holds a few blocks at a time; but it counts blocks, not lines. So when it, or a later
step, refuses a record, the file is read again with Python's csv module, which knows the line on which a record starts.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import polars as pl

from pm.errors import InputError
from pm.plural import plural

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

__all__ = ["DelimitedText", "open_bytes", "reading", "sniff"]

_BLOCK_BYTES = 8 << 20
"""Size of the blocks that Arrow reads."""
_DELIMITERS = (",", ";", "\t")
_NOT_TEXT = {
    b"PAR1": ("Parquet", "rename it to end in .parquet"),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unzip it, or save the sheet as CSV"),
    b"\x1f\x8b": ("compressed by gzip", "rename it to end in .csv.gz"),
    b"\xff\xfe": ("text in UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("text in UTF-16", "save it as UTF-8"),
}


class _Record(NamedTuple):
    line: int
    last_line: int
    fields: list[str]


@dataclass(frozen=True)
class DelimitedText:
    """A CSV file whose format has been detected from its first lines.

    Attributes
    ----------
    path
        The file.
    compressed
        Whether the file is compressed by gzip.
    delimiter
        Delimiter of the fields: a comma, a semicolon or a tab.
    header
        Names of the columns, in the first line that is not blank.
    header_lines
        Number of lines up to the end of the header.
    """

    path: Path
    compressed: bool
    delimiter: str
    header: tuple[str, ...]
    header_lines: int

    def pieces(self, places: Mapping[str, int]) -> Generator[pl.DataFrame]:
        """Yield frames of the records as strings, in the file's order; an empty field is an empty string, not null.

        Parameters
        ----------
        places
            Name of a column in the frames, and the column's position in the header, from 0.

        Raises
        ------
        InputError
            A record has too many or too few fields, or is not UTF-8 (the error names its line), or the file is damaged.
        """
        import pyarrow as pa  # these two take 0.1 s to import
        from pyarrow import csv as arrow_csv

        # The names in the header can repeat.
        names = [f"column {place}" for place in range(len(self.header))]
        with reading(self.path):
            try:
                reader = arrow_csv.open_csv(
                    pa.input_stream(str(self.path), compression="gzip" if self.compressed else None),
                    read_options=arrow_csv.ReadOptions(
                        block_size=_BLOCK_BYTES, column_names=names, skip_rows=self.header_lines
                    ),
                    parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
                    convert_options=arrow_csv.ConvertOptions(
                        include_columns=[names[place] for place in sorted(set(places.values()))],
                        column_types=dict.fromkeys(names, pa.string()),
                        strings_can_be_null=False,
                    ),
                )
                for batch in reader:
                    frame = cast("pl.DataFrame", pl.from_arrow(batch))
                    yield frame.select(pl.col(names[place]).alias(name) for name, place in places.items())
            except pa.ArrowInvalid as error:
                raise self._explain(error) from None

    def place_of(self, index: int) -> str:
        """Return the name of a record for error messages, with the line it starts on; `index` counts records from 0."""
        record = next(islice(self._records(), index, None))
        return f"{self.path}, line {record.line}"

    def _records(self) -> Iterator[_Record]:
        return islice(_records(self.path, self.delimiter, compressed=self.compressed), 1, None)

    def _explain(self, error: Exception) -> InputError:
        """Return an error that names the record that Arrow refused."""
        line = self.header_lines + 1
        try:
            for record in self._records():
                line = record.last_line + 1
                if len(record.fields) != len(self.header):
                    fields = plural(len(record.fields), "field")
                    return InputError(
                        f"A row has {fields}, the header has {len(self.header)}.",
                        where=f"{self.path}, line {record.line}",
                        hint="correct the line; a field that contains the delimiter must be quoted",
                    )
                if any("\udc80" <= character <= "\udcff" for field in record.fields for character in field):
                    return InputError(
                        "The text is not UTF-8.", where=f"{self.path}, line {record.line}", hint="save it as UTF-8"
                    )
        except csv.Error:
            return _unclosed_quote(f"{self.path}, line {line}")
        return InputError(f"The file cannot be read: {error}.", where=str(self.path), hint="correct the file")


def sniff(path: Path) -> DelimitedText:
    """Detect the format of a file from its first lines.

    Raises
    ------
    InputError
        The file is empty, has only a header, is not text, or is damaged.
    """
    compressed = path.suffix.lower() == ".gz"
    with reading(path):
        with open_bytes(path, compressed=compressed) as stream:
            start = stream.read(1 << 16)
        _require_text(path, start)
        delimiter = _delimiter(start.decode("utf-8-sig", errors="replace"))
        records = _records(path, delimiter, compressed=compressed)
        try:
            header = next(records, None)
            has_rows = next(records, None) is not None
        except csv.Error:
            raise _unclosed_quote(str(path)) from None
    if header is None:
        raise InputError("The file is empty.", where=str(path), hint="check how it was exported")
    if not has_rows:
        raise InputError("The file has a header and no rows.", where=str(path), hint="check how it was exported")
    return DelimitedText(
        path=path,
        compressed=compressed,
        delimiter=delimiter,
        header=tuple(name.strip() for name in header.fields),
        header_lines=header.last_line,
    )


def open_bytes(path: Path, *, compressed: bool) -> BinaryIO:
    """Open a file to read its content, uncompressed."""
    return cast("BinaryIO", gzip.open(path, "rb")) if compressed else path.open("rb")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's errors about an unreadable file into an InputError."""
    try:
        yield
    except PermissionError:
        raise InputError(
            "There is no permission to read the file.", where=str(path), hint=f"chmod u+r '{path}'"
        ) from None
    except FileNotFoundError:
        raise InputError("There is no such file.", where=str(path), hint="check the path") from None
    except gzip.BadGzipFile as error:
        raise InputError(
            f"The name of the file ends in .gz, but it is not gzip, or incomplete: {error}.",
            where=str(path),
            hint="download it again; if it is plain text, remove .gz from its name",
        ) from None
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(
            f"The file is damaged or incomplete: {error}.", where=str(path), hint="download it again"
        ) from None


def _records(path: Path, delimiter: str, *, compressed: bool) -> Iterator[_Record]:
    """Yield every record with its lines, the header first; blank lines are skipped."""
    with (
        open_bytes(path, compressed=compressed) as stream,
        io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        reader = csv.reader(text, delimiter=delimiter)
        before = 0
        for fields in reader:
            if fields:
                yield _Record(before + 1, reader.line_num, fields)
            before = reader.line_num


def _require_text(path: Path, start: bytes) -> None:
    for magic, (kind, hint) in _NOT_TEXT.items():
        if start.startswith(magic):
            raise InputError(f"The file is {kind}, not CSV.", where=str(path), hint=hint)
    if b"\0" in start:
        raise InputError("The file is not text.", where=str(path), hint="import a CSV or a Parquet file")


def _delimiter(start: str) -> str:
    """Return the delimiter that is most frequent in the first line that is not blank, outside of quotes."""
    line = next((line for line in start.splitlines() if line.strip()), "")
    unquoted = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=unquoted.count)


def _unclosed_quote(where: str) -> InputError:
    limit = f"{csv.field_size_limit():,}"
    return InputError(
        f"A field has more than {limit} characters.",
        where=where,
        hint="look for a quote that is opened and never closed",
    )
