"""Convert a file's cells to bars: its formats of dates and numbers are detected once, and hold for every row."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError
from pm.sources.dates import date_style, month_first, parse_dates
from pm.sources.delimited import DelimitedText
from pm.sources.numbers import NumberStyle, number_style, parse_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pm.sources.columnar import ParquetFile
    from pm.sources.dates import DateStyle

__all__ = ["CellStyles", "cell_styles", "read_cells"]

NUMBERS = ("open", "high", "low", "close", "adj_close", "volume")
"""Columns of a bar that hold numbers."""
_SAMPLE_ROWS = 1_000
"""Number of rows from which the format of numbers is detected."""


@dataclass(frozen=True)
class CellStyles:
    """The formats of a file's cells.

    Attributes
    ----------
    dates
        Format of the dates; None if the column has a date type.
    numbers
        Format of the numbers that are text.
    """

    dates: DateStyle | None
    numbers: NumberStyle


def cell_styles(content: DelimitedText | ParquetFile, places: Mapping[str, int]) -> CellStyles:
    """Detect the formats of dates and numbers from a file's first rows.

    Whether the day or the month comes first is decided by the first number above 12, in whichever row it is.

    Raises
    ------
    InputError
        A column's type is not one of dates or numbers, the first date has no known format, or the day and the month
        of the dates cannot be told apart in the whole file.
    """
    with closing(content.pieces(places)) as pieces:
        head = next(pieces, pl.DataFrame(schema=list(places)))
    head = head.head(_SAMPLE_ROWS)
    for field, place in places.items():
        _require_readable_type(content, content.header[place], field, head[field].dtype)
    texts = [head[field] for field in NUMBERS if field in places and head[field].dtype == pl.String]
    delimiter = content.delimiter if isinstance(content, DelimitedText) else ","
    numbers = number_style((cell for text in texts for cell in text.drop_nulls()), delimiter)
    return CellStyles(dates=_date_style(content, places, head["date"]), numbers=numbers)


def read_cells(
    content: DelimitedText | ParquetFile, places: Mapping[str, int], styles: CellStyles
) -> Iterator[pl.DataFrame]:
    """Yield frames of the rows, with the columns of `places` and the types of bars; empty rows are skipped.

    Raises
    ------
    InputError
        A cell is not a date or not a number, or a row has no date. The error names its line.
    """
    start = 0
    for raw in content.pieces(places):
        yield _read_piece(raw, content, places, styles, start)
        start += raw.height


def _require_readable_type(content: DelimitedText | ParquetFile, name: str, field: str, dtype: pl.DataType) -> None:
    readable = dtype.is_numeric() or dtype in (pl.String, pl.Null)
    if field in NUMBERS:
        kind = "numbers"
    elif field == "date":
        kind = "dates"
        readable = readable or dtype in (pl.Date, pl.Datetime)
    else:
        kind = "text"
        readable = readable or dtype in (pl.Categorical, pl.Enum)
    if not readable:
        raise InputError(
            f"Column {name!r} holds {dtype}, not {kind}.", where=str(content.path), hint="convert the column"
        )


def _date_style(content: DelimitedText | ParquetFile, places: Mapping[str, int], dates: pl.Series) -> DateStyle | None:
    if dates.dtype in (pl.Date, pl.Datetime):
        return None
    texts = _as_text(dates).str.strip_chars()
    filled = (texts.is_not_null() & (texts != "")).arg_true()
    name = content.header[places["date"]]
    if filled.is_empty():
        raise InputError(f"Column {name!r} is empty.", where=str(content.path), hint="write a date in each row")
    first = texts[int(filled[0])]
    style = date_style(first)
    if style is None:
        raise InputError(
            f"{first!r} in column {name!r} is not a date.",
            where=content.place_of(int(filled[0])),
            hint="write dates as YYYY-MM-DD",
        )
    month_first_style = month_first(style)
    if month_first_style is None:
        return style
    for piece in content.pieces({"date": places["date"]}):
        parts = _as_text(piece["date"]).str.extract_groups(r"^\s*(\d{1,2})\D(\d{1,2})\D").struct.unnest()
        over = parts.select(pl.all().cast(pl.Int64) > 12).sum()
        if any(over.row(0)):
            return style if over.item(0, 0) else month_first_style
    raise InputError(
        f"The dates in column {name!r} can be read with the day or the month first.",
        where=str(content.path),
        hint="write dates as YYYY-MM-DD",
    )


def _read_piece(
    raw: pl.DataFrame,
    content: DelimitedText | ParquetFile,
    places: Mapping[str, int],
    styles: CellStyles,
    start: int,
) -> pl.DataFrame:
    """Convert the cells of a frame; `start` is the number of rows before it in the file."""
    columns: dict[str, pl.Series] = {}
    bad: dict[str, pl.Series] = {}
    for field in places:
        if field in NUMBERS:
            columns[field], bad[field] = _numbers(raw[field], styles.numbers)
        elif field == "date":
            columns[field], bad[field] = _dates(raw[field], styles.dates)
        else:
            # Only an empty cell is a missing ticker: NA and NULL are tickers on some exchanges.
            text = _as_text(raw[field]).str.strip_chars()
            columns[field] = text.set(text == "", None)
    frame, bad_cells = pl.DataFrame(columns), pl.DataFrame(bad)
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    blank = empty & ~bad_cells.select(pl.any_horizontal(pl.all())).to_series()
    bad_cells = bad_cells.with_columns(pl.col("date") | (frame["date"].is_null() & ~blank))
    first = bad_cells.select(pl.any_horizontal(pl.all()).arg_max()).item()
    if first is not None and any(bad_cells.row(first)):
        field = bad_cells.columns[bad_cells.row(first).index(True)]
        name, where = content.header[places[field]], content.place_of(start + first)
        raise _bad_cell(raw[field][first], field, name, where, styles)
    return frame.filter(~blank)


def _bad_cell(value: object, field: str, name: str, where: str, styles: CellStyles) -> InputError:
    if field != "date":
        return InputError(
            f"{value!r} in column {name!r} is not a number.", where=where, hint="correct it, or leave the cell empty"
        )
    if value is None or not str(value).strip():
        return InputError(
            f"The row has no date in column {name!r}.", where=where, hint="write the date, or delete the row"
        )
    written = styles.dates.name if styles.dates else "YYYY-MM-DD"
    return InputError(
        f"{value!r} in column {name!r} is not a date in the format of the first one, {written}.",
        where=where,
        hint="write all dates in one format; YYYY-MM-DD is best",
    )


def _dates(cells: pl.Series, style: DateStyle | None) -> tuple[pl.Series, pl.Series]:
    if style is not None:
        return parse_dates(_as_text(cells), style)
    # Of a time with a zone, the date is that of the wall clock in its zone.
    return cells if cells.dtype == pl.Date else cells.dt.date(), _all_false(cells)


def _numbers(cells: pl.Series, style: NumberStyle) -> tuple[pl.Series, pl.Series]:
    if cells.dtype == pl.String:
        return parse_numbers(cells, style)
    return cells.cast(pl.Float64), _all_false(cells)


def _as_text(cells: pl.Series) -> pl.Series:
    """Return the cells as strings; whole numbers that are stored as floats without '.0'."""
    whole = cells.cast(pl.Int64, strict=False) if cells.dtype.is_float() else cells
    return whole.cast(pl.String)


def _all_false(cells: pl.Series) -> pl.Series:
    return pl.repeat(value=False, n=len(cells), eager=True)
