"""Read observations, numbers about tickers that are no prices, from a delimited file of the user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from io import StringIO
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_now
from pm.errors import InputError, did_you_mean
from pm.sources.moments import moment_of
from pm.sources.names import FILES
from pm.sources.refusal import quoted
from pm.sources.text_file import reading
from pm.tables.observations import OBSERVATIONS

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

__all__ = ["OBSERVATIONS_SCHEMA", "ObservationFile", "read_observations"]

OBSERVATIONS_SCHEMA = pl.Schema(
    {
        name: dtype
        for name, dtype in OBSERVATIONS.polars_schema.items()
        if name in {"source", "ticker", "date", "known_at", "name", "value"}
    }
)
_NAMES: dict[str, tuple[str, ...]] = {
    "ticker": ("ticker", "symbol"),
    "date": ("date", "day", "period"),
    "known_at": ("known_at", "known", "published_at", "released_at", "available_at"),
    "name": ("name", "field", "variable", "measure"),
    "value": ("value", "number"),
    "source": ("source", "provider"),
}
"""Names of columns that are understood, in lower case; of several, the first counts."""
_NEEDED = ("ticker", "date", "known_at", "name", "value")
_KEY = ["source", "ticker", "date", "name", "known_at"]
_LARGEST_FILE = 1 << 30
"""Largest number of bytes of a file: it is held in memory."""
_LONGEST = 60
"""Largest number of characters of a name, a ticker or a source."""
_EARLIEST = date(1900, 1, 1)
_AHEAD = timedelta(days=1)
"""Time by which clocks may differ: what is known later than that is not known."""
_EASTERNMOST = timedelta(hours=14)
"""Time by which a day begins before that of UTC in the easternmost zone."""


@dataclass(frozen=True)
class ObservationFile:
    """What a file of observations holds.

    Attributes
    ----------
    observations
        Columns of OBSERVATIONS_SCHEMA, by key, each key once.
    row_count
        Number of rows of the file, those that it has twice included.
    """

    observations: pl.DataFrame
    row_count: int


def read_observations(path: Path, *, zone: ZoneInfo | None = None, source: str | None = None) -> ObservationFile:
    """Read the observations of a file: all of them, or none.

    The file is delimited text with a header and the columns ticker, date, known_at, name and value; and source, if no
    source is given. Dates are written as YYYY-MM-DD. A time in `known_at` names its zone, or `zone` does; a day alone
    is known from its end, and needs `zone` too.

    Parameters
    ----------
    zone
        Zone of times that name none; None to refuse them. A time taken for another zone than its own would let a
        number count before it was known.
    source
        Source of all rows; None for the column of the file, and 'files' where there is none.

    Raises
    ------
    InputError
        The file cannot be read, or a row cannot; the message names its line.
    """
    rows = _rows(path)
    if rows.is_empty():
        raise InputError("The file has no observations.", where=str(path), hint="write one a row, under a header")
    rows = rows.with_columns(
        pl.lit(source).alias("source") if source is not None else pl.col("source").fill_null(FILES)
    )
    for name in ("source", "ticker", "name"):
        bad = ~pl.col(name).str.contains(rf"^[^\s,\p{{C}}](?:[^,\p{{C}}]{{0,{_LONGEST - 2}}}[^\s,\p{{C}}])?$")
        _refuse(rows.filter(bad.fill_null(value=True)), path, name, f"cannot be a {name}", "write a short name")
    rows = rows.with_columns(day=pl.col("date").str.to_date("%Y-%m-%d", strict=False))
    out = pl.col("day").is_null() | (pl.col("day") < _EARLIEST)
    _refuse(rows.filter(out), path, "date", "is no date", "write it as 2024-01-31")
    rows = rows.with_columns(number=pl.col("value").cast(pl.Float64, strict=False))
    _refuse(
        rows.filter(~pl.col("number").is_finite().fill_null(value=False)),
        path, "value", "is no number", "write it with a decimal point, or leave the row out",
    )  # fmt: skip
    rows = rows.with_columns(moment=_moments(rows, path, zone))
    begins = pl.col("day").cast(pl.Datetime("us")) - _EASTERNMOST
    _refuse(
        rows.filter(pl.col("moment") < begins), path, "known_at",
        "is before the day that the number is about began anywhere", "correct known_at, or the date",
    )  # fmt: skip
    _refuse(rows.filter(pl.col("moment") > utc_now() + _AHEAD), path, "known_at", "is in the future", "correct it")
    found = rows.select(
        "source", "ticker", date="day", known_at="moment", name="name", value="number", line="line"
    ).sort(*_KEY, "line")
    distinct = found.unique([*_KEY, "value"], keep="first", maintain_order=True)
    twice = distinct.filter(pl.len().over(_KEY) > 1)
    if not twice.is_empty():
        first, second = twice.head(2).iter_rows(named=True)
        raise InputError(
            f"The file has two values of {quoted(first['name'])} for {quoted(first['ticker'])} on {first['date']}, "
            f"known at the same time: {first['value']:g} and {second['value']:g}.",
            where=f"{path}, lines {first['line']} and {second['line']}",
            hint="keep one of them; a revision has a later known_at",
        )
    return ObservationFile(distinct.select(OBSERVATIONS_SCHEMA.names()).cast(OBSERVATIONS_SCHEMA), rows.height)


def _rows(path: Path) -> pl.DataFrame:
    """Return the cells as texts without spaces around them, by the names of OBSERVATIONS_SCHEMA, and their lines."""
    with reading(path):
        if path.is_dir():
            raise InputError("This is a folder.", where=str(path), hint="name a file")
        if (size := path.stat().st_size) > _LARGEST_FILE:
            raise InputError(
                f"The file is too large: {size:,} bytes, of at most {_LARGEST_FILE:,}.",
                where=str(path),
                hint="split it into smaller files",
            )
        data = path.read_bytes()
    try:
        content = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            "The file is not text in UTF-8.", where=f"{path}, line {line}", hint="save it as UTF-8, and import it again"
        ) from None
    header = content.partition("\n")[0]
    separator = max(",;\t|", key=header.count)
    try:
        cells = pl.read_csv(StringIO(content), separator=separator, infer_schema=False, truncate_ragged_lines=False)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise InputError(
            f"The file cannot be read as CSV: {str(error).splitlines()[0]}.",
            where=str(path),
            hint="give every row as many fields as the header has",
        ) from None
    places = _places(cells.columns, path)
    named = cells.select(pl.col(cells.columns[place]).str.strip_chars().alias(name) for name, place in places.items())
    if "source" not in places:
        named = named.with_columns(source=pl.lit(None, pl.String))
    is_empty = pl.all_horizontal(pl.col(name).fill_null("") == "" for name in _NEEDED)
    return named.with_columns(line=pl.int_range(2, pl.len() + 2)).filter(~is_empty)


def _places(header: list[str], path: Path) -> dict[str, int]:
    plain = [name.strip().lower().replace(" ", "_") for name in header]
    places = {}
    for meaning, names in _NAMES.items():
        found = [plain.index(name) for name in names if name in plain]
        if found:
            places[meaning] = found[0]
    missing = [name for name in _NEEDED if name not in places]
    if missing:
        raise InputError(
            f"There is no column {missing[0]!r}.{did_you_mean(missing[0], plain)}",
            where=f"{path}, line 1: columns {', '.join(quoted(name) for name in header[:12])}",
            hint=f"let the first line name the columns: {','.join(_NEEDED)}",
        )
    return places


def _moments(rows: pl.DataFrame, path: Path, zone: ZoneInfo | None) -> pl.Series:
    """Return the moments of known_at in UTC."""
    known: dict[str | None, datetime | None] = {}
    for text in rows["known_at"].unique(maintain_order=True):
        moment = None if text is None else moment_of(text, zone)
        if moment in {"no zone", "unknown zone"}:
            line = rows.filter(known_at=text)["line"][0]
            says = "has no zone" if moment == "no zone" else "has a zone that is not understood"
            raise InputError(
                f"The time {quoted(text)} {says}.",
                where=f"{path}, line {line}",
                hint="say the zone of the file's times: --tz America/New_York, or --tz UTC",
            )
        known[text] = moment if isinstance(moment, datetime) else None
    moments = pl.Series("moment", [known[text] for text in rows["known_at"]], dtype=pl.Datetime("us"))
    _refuse(
        rows.filter(moments.is_null()), path, "known_at", "is no time",
        "write it as 2024-01-31T21:30:00Z, or as 2024-01-31 with --tz",
    )  # fmt: skip
    earliest = datetime.combine(_EARLIEST, time())
    _refuse(rows.filter(moments < earliest), path, "known_at", f"is before {_EARLIEST:%Y}", "correct it")
    return moments


def _refuse(rows: pl.DataFrame, path: Path, column: str, problem: str, hint: str) -> None:
    """Refuse the file by the first of some rows, if there are any."""
    if rows.is_empty():
        return
    row = rows.row(0, named=True)
    cell = row[column]
    raise InputError(
        f"The row has no {column}." if cell is None or cell == "" else f"{quoted(cell)} {problem}.",
        where=f"{path}, line {row['line']}",
        hint=hint,
    )
