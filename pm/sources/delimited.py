"""Read delimited text: detect its format from the first lines, stream it with Arrow, and find errors by line.

Arrow's reader is strict about the number of fields, checks the checksum of a compressed file, takes a path literally,
keeps the order of the rows and holds a few blocks at a time; but it counts blocks, not lines. So when it, or a later
step, refuses a record, the file is read again with Python's csv module, which knows the line on which a record starts.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import polars as pl

from pm.errors import InputError
from pm.plural import plural
from pm.sources.text_file import reading, refuse_expansion
from pm.sources.wide import joined_header

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from pyarrow.csv import InvalidRow

    from pm.sources.text_file import TextFile

__all__ = ["ACTION_CELL", "DELIMITERS", "ENCODINGS", "DelimitedText", "sniff"]

_BLOCK_BYTES = 8 << 20
"""Size of the blocks that Arrow reads."""
DELIMITERS = (",", ";", "\t", "|")
"""Delimiters of fields."""
_MARKUP = re.compile(r"\s*<(!doctype|html|head|body|table|\?xml)\b", re.IGNORECASE)
"""Beginning of a web page or of XML, which some brokers export under the name of a workbook."""
_SEP = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)
"""First line of a file for Excel, which names the delimiter."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""Marks at the start of text in UTF-16."""
_FALLBACK = "cp1252"
"""Encoding of text that is not UTF-8: that of Windows in western Europe and America."""
_ELSEWHERE = {
    "cp932": "Shift-JIS",
    "gb18030": "GB 18030",
    "cp949": "the Korean of Windows",
    "big5": "Big5",
    "cp1251": "Windows-1251",
    "cp1250": "Windows-1250",
    "cp1254": "Windows-1254",
}
"""Encodings of other countries, tried where the header has no known names in the one above, and their usual names."""
ENCODINGS = {"utf-8": "UTF-8", "utf-16": "UTF-16", _FALLBACK: "Windows-1252", **_ELSEWHERE}
"""Encodings that are read, as Python calls them, and their usual names."""
_PREAMBLE = 20
"""Maximum number of records among which the header is looked for."""
_REMARK = re.compile(r"(?:[*†]*\s*[^\W\d]\S* \S|#|https?:)")
"""Start of a line that is a remark and not the start of a row that was cut off: words, perhaps as a footnote, or an
address."""
_PREAMBLE_LINES = 1_000
"""Maximum number of lines, blank ones among them, among which the header is looked for."""
_LINE_BYTES = 1 << 20
"""Number of bytes without a line end from which a file is refused."""
_COLUMNS = 20_000
"""Maximum number of columns."""
ACTION_CELL = (
    r"^\s*(?:(?P<dividend>[\d.,]+)\s+(?:Dividend|Capital Gain)s?"
    r"|(?P<split>[\d.,]+\s*[:/]\s*[\d.,]+)\s+Stock Splits?)\s*$"
)
"""Pattern of a cell between the bars that is a dividend or a split, as Yahoo's page of historical prices has them."""
_ACTION_WORDS = (" Dividend", " Capital Gain", " Stock Split")
"""Texts one of which is in each such cell."""
_FORMULA = r"^\s*=\"(.*)\"\s*$"
"""Pattern of a text that is written as a formula."""
_FOOTERS = 5
"""Maximum number of lines after the rows that are taken for remarks."""
_NOT_TEXT = {
    b"PAR1": ("Parquet", "rename it to end in .parquet"),
    b"\x1f\x8b": ("compressed by gzip", "rename it to end in .csv.gz"),
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
    file
        The text.
    delimiter
        Delimiter of the fields: a comma, a semicolon or a tab.
    header
        Names of the columns: the first record that names the columns of a bar, or the first of all.
    header_lines
        Number of lines up to the end of the header.
    encoding
        Encoding of the text, as Python names it: one of `ENCODINGS`.
    remarks
        Lines before the header and after the rows that are no rows, such as the vendor's address.
    has_actions
        Whether there can be rows between the bars that are dividends or splits.
    has_formulas
        Whether there can be cells written as formulas, ="2024-01-15", which keeps Excel from changing them.
    """

    file: TextFile
    delimiter: str
    header: tuple[str, ...]
    header_lines: int
    encoding: str = "utf-8"
    remarks: tuple[str, ...] = ()
    has_actions: bool = False
    has_formulas: bool = False

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
        with reading(self.file.path), self._stream(pa) as stream:
            try:
                reader = arrow_csv.open_csv(
                    stream,
                    read_options=arrow_csv.ReadOptions(
                        block_size=_BLOCK_BYTES,
                        column_names=names,
                        skip_rows=self.header_lines,
                        encoding=self.encoding.replace("utf-8", "utf8"),
                    ),
                    parse_options=arrow_csv.ParseOptions(
                        delimiter=self.delimiter,
                        newlines_in_values=True,
                        invalid_row_handler=self._skip_no_bar if self.remarks or self.has_actions else None,
                    ),
                    convert_options=arrow_csv.ConvertOptions(
                        include_columns=[names[place] for place in sorted(set(places.values()))],
                        column_types=dict.fromkeys(names, pa.string()),
                        strings_can_be_null=False,
                    ),
                )
                for batch in reader:
                    frame = cast("pl.DataFrame", pl.from_arrow(batch))
                    if self.has_formulas:
                        frame = frame.with_columns(pl.all().str.replace(_FORMULA, "$1"))
                    yield frame.select(pl.col(names[place]).alias(name) for name, place in places.items())
            except (pa.ArrowInvalid, UnicodeError) as error:
                raise self._explain(error) from None

    def _stream(self, pa: Any) -> Any:  # noqa: ANN401 - pyarrow is imported where it is used
        path = self.file.path
        if self.file.part is not None:
            return pa.BufferReader(self.file.open().read())
        return pa.input_stream(str(path), compression="gzip" if path.suffix.lower() == ".gz" else None)

    def _skip_no_bar(self, row: InvalidRow) -> Literal["skip", "error"]:
        """Skip a remark, and a dividend or a split that has fewer fields than a bar."""
        if row.text.strip().strip('"') in self.remarks:
            return "skip"
        fields = next(csv.reader([row.text], delimiter=self.delimiter), [])
        return "skip" if self.has_actions and _is_action(fields) else "error"

    def action_rows(self) -> Iterator[list[str]]:
        """Yield the fields of the rows between the bars that are dividends or splits."""
        if self.has_actions:
            for record in _records(self.file, self.delimiter, self.encoding):
                if record.line > self.header_lines and _is_action(record.fields):
                    yield record.fields

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line and the fields of each record after the header, also of remarks; blank lines are skipped."""
        for record in _records(self.file, self.delimiter, self.encoding):
            if record.line > self.header_lines:
                yield record.line, [re.sub(_FORMULA, r"\1", field).strip() for field in record.fields]

    def __str__(self) -> str:
        """Return the name of the text for messages."""
        return str(self.file)

    def place_of(self, index: int) -> str:
        """Return the name of a record for error messages, with the line it starts on; `index` counts records from 0."""
        record = next(islice(self._records(), index, None))
        return f"{self.file}, line {record.line}"

    def _records(self) -> Iterator[_Record]:
        records = _records(self.file, self.delimiter, self.encoding)
        return (record for record in records if record.line > self.header_lines and not self._is_skipped(record))

    def _is_skipped(self, record: _Record) -> bool:
        return self.has_actions and len(record.fields) != len(self.header) and _is_action(record.fields)

    def _explain(self, error: Exception) -> InputError:
        """Return an error that names the record that Arrow refused."""
        for record in self._records():
            if len(record.fields) != len(self.header) and ",".join(record.fields).strip() not in self.remarks:
                fields = plural(len(record.fields), "field")
                return InputError(
                    f"A row has {fields}, the header has {len(self.header)}.",
                    where=f"{self.file}, line {record.line}",
                    hint="correct the line; a field that contains the delimiter must be quoted",
                )
            if _is_undecoded(record):
                return _unknown_encoding(self.file, record, self.encoding)
        return InputError(f"The file cannot be read: {error}.", where=str(self.file), hint="correct the file")


def sniff(file: TextFile, *, is_header: Callable[[Sequence[str]], bool]) -> DelimitedText:
    """Detect the format of a file from its first lines.

    Parameters
    ----------
    is_header
        Returns whether a record names the columns of a bar.

    Raises
    ------
    InputError
        The file is empty, has only a header, is not text, or is damaged.
    """
    with reading(file.path):
        with file.open() as stream:
            start = stream.read(1 << 16)
        _require_text(file, start)
        encoding, last_bytes, has_actions, has_formulas = _survey(file, start)
        lines = start.decode(encoding, errors="replace").lstrip("\ufeff").splitlines()
        first = next((line for line in lines if line.strip()), "")
        if _MARKUP.match(first):
            what = "The file is a web page or XML, and no table."
            raise InputError(what, where=str(file), hint="export it as CSV or as a workbook")
        named = _SEP.match(first.strip())
        candidates = (named[1],) if named else sorted(DELIMITERS, key=lambda each: -_count(each, first))
        encoding, (header, before, delimiter) = _in_its_encoding(file, candidates, encoding, is_header)
        has_rows = header is not None and any(
            record.line > header.last_line for record in _records(file, delimiter, encoding)
        )
    if header is None:
        raise InputError("The file is empty.", where=str(file), hint="check how it was exported")
    if not has_rows:
        raise InputError("The file has a header and no rows.", where=str(file), hint="check how it was exported")
    end = _decoded(last_bytes, encoding, start)
    return DelimitedText(
        file=file,
        delimiter=delimiter,
        header=tuple(re.sub(_FORMULA, r"\1", name).strip() for name in header.fields),
        header_lines=header.last_line,
        encoding=encoding,
        remarks=(*before, *_footers(end, delimiter, len(header.fields))),
        has_actions=has_actions,
        has_formulas=has_formulas,
    )


def _in_its_encoding(
    file: TextFile, delimiters: Sequence[str], encoding: str, is_header: Callable[[Sequence[str]], bool]
) -> tuple[str, tuple[_Record | None, list[str], str]]:
    """Return the encoding of a file's text, and what `_header` returns.

    The encodings of other countries are tried where the text is not UTF-8 and its header names no date and close; one
    is taken only if the header does in it.

    Raises
    ------
    InputError
        The header has bytes that stand for nothing, or no words.
    """
    found = _header(file, delimiters, encoding, is_header)
    header = found[0]
    if encoding != _FALLBACK or header is None or is_header([name.strip() for name in header.fields]):
        return encoding, found
    for other in _ELSEWHERE:
        decoded = _header(file, delimiters, other, is_header)
        if decoded[0] is not None and is_header([name.strip() for name in decoded[0].fields]):
            return other, decoded
    if _is_undecoded(header) or _is_gibberish(header):
        raise _unknown_encoding(file, header, encoding)
    return encoding, found


def _is_undecoded(record: _Record) -> bool:
    return any("\udc80" <= character <= "\udcff" for field in record.fields for character in field)


def _is_gibberish(record: _Record) -> bool:
    """Return whether most characters of each field are other than those of English: no language of western Europe."""
    fields = [field.strip() for field in record.fields if field.strip()]
    return len(fields) > 1 and all(2 * sum(not char.isascii() for char in field) > len(field) for field in fields)


def _unknown_encoding(file: TextFile, record: _Record, encoding: str) -> InputError:
    nor = ENCODINGS[_FALLBACK if encoding == "utf-8" else encoding]
    return InputError(
        f"The text is neither UTF-8 nor {nor}.", where=f"{file}, line {record.line}", hint="save it as UTF-8"
    )


def _header(
    file: TextFile,
    delimiters: Sequence[str],
    encoding: str,
    is_header: Callable[[Sequence[str]], bool],
) -> tuple[_Record | None, list[str], str]:
    """Return the header, the lines before it, and the delimiter with which it is read.

    The first record that names the columns of a bar is the header; where there is none, the first of all.
    """
    first: tuple[_Record, str] | None = None
    for delimiter in delimiters:
        before: list[str] = []
        top = list(islice(_records(file, delimiter, encoding, lines=_PREAMBLE_LINES), 3))
        joined = joined_header([record.fields for record in top])
        if joined is not None:
            return _Record(top[0].line, top[-1].last_line, joined), [], delimiter
        for record in islice(_records(file, delimiter, encoding, lines=_PREAMBLE_LINES), _PREAMBLE):
            if len(record.fields) > _COLUMNS:
                raise InputError(
                    f"A row has {len(record.fields):,} fields, and {_COLUMNS:,} can be read.",
                    where=f"{file}, line {record.line}",
                    hint="check how the file was exported",
                )
            line = delimiter.join(record.fields).strip()
            if _SEP.match(line):
                continue
            if is_header([name.strip() for name in record.fields]):
                return record, before, delimiter
            first = first or (record, delimiter)
            before.append(line)
    return (None, [], delimiters[0]) if first is None else (first[0], [], first[1])


def _is_action(fields: Sequence[str]) -> bool:
    return any(re.match(ACTION_CELL, field) for field in fields[1:])


def _survey(file: TextFile, start: bytes) -> tuple[str, bytes, bool, bool]:
    """Return a text's encoding and last bytes, and whether it has words of dividends or splits, and formulas."""
    if start.startswith(_UTF16):
        encoding = "utf-16"
    else:
        decoder = codecs.getincrementaldecoder("utf-8")()
        encoding = "utf-8"
    end = b""
    words, formulas = (
        [word.encode(name) for word in looked_for for name in ("ascii", "utf-16-le", "utf-16-be")]
        for looked_for in (_ACTION_WORDS, ('="',))
    )
    has_actions = has_formulas = False
    size = 0
    with file.open() as stream:
        while block := stream.read(_LINE_BYTES):
            size += len(block)
            if file.part is None:
                refuse_expansion(file.path, size)
            if len(block) == _LINE_BYTES and b"\n" not in block and b"\r" not in block:
                raise InputError(
                    f"A line has more than {_LINE_BYTES:,} bytes.",
                    where=str(file),
                    hint="check how the file was exported: each bar must be on a line of its own",
                )
            # A word can be cut between two blocks.
            joined = end[-64:] + block
            has_actions = has_actions or any(word in joined for word in words)
            has_formulas = has_formulas or any(formula in joined for formula in formulas)
            end = (end + block)[-4096:]
            if encoding == "utf-8":
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    encoding = _FALLBACK
    return encoding, end, has_actions, has_formulas


def _decoded(end: bytes, encoding: str, start: bytes) -> str:
    """Return the last bytes of a text as text."""
    if encoding == "utf-16":  # of a character of two bytes, the first may be cut off
        return end[len(end) % 2 :].decode("utf-16-le" if start.startswith(_UTF16[0]) else "utf-16-be", errors="replace")
    return end.decode(encoding, errors="replace")


def _footers(end: str, delimiter: str, width: int) -> list[str]:
    """Return the lines of one field at the end of a file of several columns."""
    found: list[str] = []
    for line in reversed([line.strip() for line in end.splitlines() if line.strip()]):
        fields = next(csv.reader([line], delimiter=delimiter))
        if width == 1 or len(fields) != 1 or len(found) == _FOOTERS or not _REMARK.match(fields[0].strip()):
            break
        found.append(fields[0].strip())
    return found


def _records(file: TextFile, delimiter: str, encoding: str, *, lines: int | None = None) -> Iterator[_Record]:
    """Yield the records of the first lines, of all by default, with their lines; blank lines are skipped."""
    with (
        file.open() as stream,
        io.TextIOWrapper(
            stream, encoding=encoding.replace("utf-8", "utf-8-sig"), errors="surrogateescape", newline=""
        ) as text,
    ):
        reader = csv.reader(text, delimiter=delimiter)
        before = 0
        try:
            for fields in reader:
                if fields:
                    yield _Record(before + 1, reader.line_num, fields)
                before = reader.line_num
                if lines is not None and before >= lines:
                    return
        except csv.Error:
            raise _unclosed_quote(f"{file}, line {before + 1}") from None


def _require_text(file: TextFile, start: bytes) -> None:
    for magic, (kind, hint) in _NOT_TEXT.items():
        if start.startswith(magic):
            raise InputError(f"The file is {kind}, not CSV.", where=str(file), hint=hint)
    if b"\0" in start and not start.startswith(_UTF16):
        raise InputError("The file is not text.", where=str(file), hint="import a CSV or a Parquet file")


def _count(delimiter: str, line: str) -> int:
    """Return how often a delimiter is in a line, outside of quotes."""
    return "".join(line.split('"')[::2]).count(delimiter)


def _unclosed_quote(where: str) -> InputError:
    limit = f"{csv.field_size_limit():,}"
    return InputError(
        f"A field has more than {limit} characters.",
        where=where,
        hint="look for a quote that is opened and never closed",
    )
