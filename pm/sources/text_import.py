"""Read texts about tickers from a file of the user: CSV, JSON lines, or a JSON array."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.clock import utc_now
from pm.errors import InputError, did_you_mean
from pm.plural import plural
from pm.sources.moments import moment_of
from pm.sources.names import FILES
from pm.sources.refusal import quoted
from pm.sources.texts import TEXTS_SCHEMA, cleaned, one_line, web_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from zoneinfo import ZoneInfo

__all__ = ["TextFileContent", "read_texts"]

_NAMES: dict[str, tuple[str, ...]] = {
    "ticker": ("ticker", "symbol", "stock", "tickers"),
    "time": ("time", "published_at", "published", "publishedat", "datetime", "date", "timestamp", "created_at",
             "pubdate"),
    "headline": ("headline", "title"),
    "text": ("text", "body", "content", "summary", "description", "article"),
    "publisher": ("publisher", "provider", "site", "source"),
    "url": ("url", "link"),
}  # fmt: skip
"""Names of columns that are understood, in lower case; of several, the first counts."""
_LARGEST_FILE = 1 << 30
"""Largest number of bytes of a file: its texts are held in memory."""
_LONGEST_FIELD = 1 << 28
_LONGEST_TICKER = 40
_LONGEST_TEXT = 100_000
"""Largest number of characters of a text that is kept."""
_EARLIEST = datetime(1900, 1, 1)  # noqa: DTZ001 - in UTC, as the lake has times
"""Time of publication before which a time is a mistake, such as year 1 for a missing one."""
_AHEAD = timedelta(days=1)
"""Time by which clocks may differ: what was published later than that has a wrong time."""


@dataclass(frozen=True)
class TextFileContent:
    """What a file of texts holds.

    Attributes
    ----------
    texts
        Texts with the columns of `TEXTS_SCHEMA`, by time of publication, each identifier once.
    row_count
        Number of rows of the file, those that it has twice included.
    cut
        Number of texts that were longer than allowed, and end in `…`.
    """

    texts: pl.DataFrame
    row_count: int
    cut: int


def read_texts(path: Path, *, zone: ZoneInfo | None = None, ticker: str | None = None) -> TextFileContent:
    """Read the texts of a file: all of them, or none.

    A file whose first character is `{` is read as JSON lines, one that begins with `[` as a JSON array of objects, and
    any other as CSV with a header. What is read:

    - a ticker and a time in each row, and a headline, a text, or both; HTML entities are decoded, control characters
      are removed;
    - times with a zone, as ISO 8601 or as in mails, or as the number of seconds or milliseconds since 1970, in UTC. A
      time without zone, and a date alone, need `zone`; a date alone counts as the end of that day.

    Parameters
    ----------
    zone
        Zone of times that name none; None to refuse them. A time taken for another zone than its own would let a text
        count before it was published.
    ticker
        Ticker of all rows; None for the column of the file.

    Returns
    -------
    The texts. Their `source` is 'files', and their `source_id` is a hash of the time and the words, so that a file
    that is imported again brings nothing new.

    Raises
    ------
    InputError
        The file cannot be read, or a row cannot; the message names its line.
    """
    content = _content(path)
    reader = {"{": _json_rows, "[": _array_rows}.get(content.lstrip()[:1], _csv_rows)
    rows, cut = [], 0
    for line, cells in reader(content, path, needs_ticker=ticker is None):
        row, was_cut = _row(cells, f"{path}, line {line}", zone, ticker)
        rows.append(row)
        cut += was_cut
    if not rows:
        raise InputError("The file has no texts.", where=str(path), hint="write one text a row, under a header")
    texts = pl.DataFrame(rows, schema=TEXTS_SCHEMA).unique(["ticker", "source", "source_id"], keep="first")
    return TextFileContent(texts.sort("published_at", "ticker", "source_id"), len(rows), cut)


def _content(path: Path) -> str:
    try:
        if path.is_dir():
            raise InputError("This is a folder.", where=str(path), hint="name a file")
        if (size := path.stat().st_size) > _LARGEST_FILE:
            raise InputError(
                f"The file is too large: {size:,} bytes, of at most {_LARGEST_FILE:,}.",
                where=str(path),
                hint="split it into smaller files",
            )
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"The file cannot be read: {error.strerror}.", where=str(path), hint="check its name and its permissions"
        ) from None
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            "The file is not text in UTF-8.", where=f"{path}, line {line}", hint="save it as UTF-8, and import it again"
        ) from None


@contextmanager
def _long_fields() -> Iterator[None]:
    """Allow long fields of CSV, which the library bounds for the whole process."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _csv_rows(content: str, path: Path, *, needs_ticker: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of the line at which each row begins, and its cells by what they mean."""
    first = content.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    lines = content.splitlines(keepends=True) if "\n" not in content else content.split("\n")
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    places: dict[str, int] | None = None
    end, width = 0, 0
    with _long_fields():
        while True:
            begin = end + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise InputError(
                    f"The row cannot be read as CSV: {error}.",
                    where=f"{path}, line {begin}",
                    hint="put texts with commas, quotes or line ends into double quotes, and double the quotes in them",
                ) from None
            if cells is None:
                return
            end = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if places is None:
                places, width = _places(cells, path, needs_ticker=needs_ticker), len(cells)
                continue
            if len(cells) != width:
                raise InputError(
                    f"The row has {plural(len(cells), 'field')}, and the header has {width:,}.",
                    where=f"{path}, line {begin}",
                    hint="put texts with commas, quotes or line ends into double quotes",
                )
            yield begin, {meaning: cells[place] for meaning, place in places.items()}


def _json_rows(content: str, path: Path, *, needs_ticker: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"The line is no JSON: {getattr(error, 'msg', 'too deep')}.",
                where=where,
                hint="write one object a line, such as {…}, without line ends in it",
            ) from None
        yield number, _json_cells(found, path, number, needs_ticker=needs_ticker)


def _array_rows(content: str, path: Path, *, needs_ticker: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of the line at which each object of an array begins, and its cells by what they mean."""
    try:
        json.loads(content)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise InputError(
            f"The array is no JSON: {getattr(error, 'msg', 'too deep')}.",
            where=f"{path}, line {line}",
            hint="write one array of objects, [{…}, {…}], and nothing after it",
        ) from None
    decoder, space = json.JSONDecoder(), re.compile(r"[\s,]*")
    at, number, counted = content.index("[") + 1, 1, 0
    while content[at := space.match(content, at).end()] != "]":  # type: ignore[union-attr]  # it matches no text too
        number, counted = number + content.count("\n", counted, at), at
        found, at = decoder.raw_decode(content, at)
        yield number, _json_cells(found, path, number, needs_ticker=needs_ticker)


def _json_cells(found: object, path: Path, line: int, *, needs_ticker: bool) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise InputError(
            "This is no JSON object.", where=f"{path}, line {line}", hint='write {"ticker": …, "time": …, "text": …}'
        )
    names = list(found)
    places = _places(names, path, line=line, needs_ticker=needs_ticker)
    return {meaning: found[names[place]] for meaning, place in places.items()}


def _places(header: Sequence[str], path: Path, *, line: int = 1, needs_ticker: bool) -> dict[str, int]:
    """Return the place of each column that is understood."""
    plain = [name.strip().lower().replace(" ", "_") for name in header]
    places: dict[str, int] = {}
    for meaning, names in _NAMES.items():
        found = [plain.index(name) for name in names if name in plain]
        if found:
            places[meaning] = found[0]
    needed = [*(["ticker"] if needs_ticker else []), "time"]
    missing = [name for name in needed if name not in places]
    if "headline" not in places and "text" not in places:
        missing.append("text")
    if missing:
        nearest = did_you_mean(missing[0], plain)
        raise InputError(
            f"There is no column {' and none '.join(repr(name) for name in missing)}.{nearest}",
            where=f"{path}, line {line}: columns {', '.join(quoted(name) for name in header[:12])}",
            hint=f"name them, such as {', '.join(_NAMES[missing[0]][:3])}; a text needs a ticker, a time and a text",
        )
    return places


def _row(
    cells: Mapping[str, Any], where: str, zone: ZoneInfo | None, ticker: str | None
) -> tuple[dict[str, Any], bool]:
    """Return a row of raw.texts, and whether its text was cut off."""
    name = ticker if ticker is not None else _ticker(cells.get("ticker"), where)
    moment = _moment(cells.get("time"), where, zone)
    headline, text = one_line(cells.get("headline")), cleaned(cells.get("text"), _LONGEST_TEXT)
    if headline is None and text is None:
        raise InputError("The text is empty.", where=where, hint="remove the row, or write its text")
    told = cells.get("text")
    words = f"{name}\n{moment.isoformat()}\n{headline or ''}\n{text or ''}"
    row = {
        "ticker": name,
        "published_at": moment,
        "headline": headline,
        "text": text,
        "publisher": one_line(cells.get("publisher"), 200),
        "url": web_address(cells.get("url")),
        "source": FILES,
        "source_id": hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:32],
    }
    return row, isinstance(told, str) and text is not None and len(told) > _LONGEST_TEXT and text.endswith("…")


def _ticker(cell: object, where: str) -> str:
    name = cell.strip() if isinstance(cell, str) else ""
    if not name:
        raise InputError("The row has no ticker.", where=where, hint="write the ticker in each row, or use --ticker")
    if len(name) > _LONGEST_TICKER or not name.isprintable() or "," in name:
        raise InputError(
            f"{quoted(name)} cannot be a ticker.", where=where, hint="write one ticker in each row, such as AAPL"
        )
    return name


def _moment(cell: object, where: str, zone: ZoneInfo | None) -> datetime:
    moment = moment_of(cell, zone)
    if moment == "no zone":
        raise InputError(
            f"The time {quoted(cell)} has no zone.",
            where=where,
            hint="say the zone of the file's times: --tz America/New_York, or --tz UTC",
        )
    if moment == "unknown zone":
        raise InputError(
            f"The zone of the time {quoted(cell)} is not understood.",
            where=where,
            hint="write it as an offset from UTC, such as +0100 or 2024-01-31T14:30:00+01:00",
        )
    if not isinstance(moment, datetime):
        raise InputError(
            f"{quoted(cell)} is no time." if cell is not None and cell != "" else "The row has no time.",
            where=where,
            hint="write it as 2024-01-31T14:30:00Z, or as 2024-01-31T09:30:00-05:00",
        )
    if moment < _EARLIEST:
        raise InputError(
            f"The time {quoted(cell)} is before {_EARLIEST:%Y}.", where=where, hint="correct it: no text is that old"
        )
    if moment > utc_now() + _AHEAD:
        raise InputError(
            f"The time {quoted(cell)} is in the future.", where=where, hint="correct it, or its zone (--tz)"
        )
    return moment
