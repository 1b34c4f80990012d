"""Convert a file's cells to bars: its formats of dates and numbers are detected once, and hold for every row."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

import polars as pl

from pm.clock import utc_today
from pm.errors import InputError
from pm.sources.dates import (
    EARLIEST,
    FIRST_OF_1900S,
    LATEST,
    date_style,
    fitting,
    is_out_of_range,
    latest_cell,
    look_one_day_early,
    month_first,
    parse_dates,
    short_years,
)
from pm.sources.delimited import ACTION_CELL, DelimitedText
from pm.sources.numbers import AmbiguousNumbersError, NumberStyle, number_style, parse_numbers
from pm.sources.refusal import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pm.sources.columnar import ParquetFile
    from pm.sources.dates import DateStyle

__all__ = ["CellStyles", "cell_styles", "read_cells", "read_columns_of_tickers"]

NUMBERS = ("open", "high", "low", "close", "adj_close", "volume")
"""Columns of a bar that hold numbers."""
_SAMPLE_ROWS = 1_000
"""Number of rows from which the format of numbers is detected."""
_UNIT = r"^(.*\d)\s*([^\d\s.,]+)\.?$"
"""Pattern of a volume and its unit."""
_UNITS = {
    **dict.fromkeys(("tsd", "tys", "mila", "тыс"), 1e3),
    **dict.fromkeys(("mio", "mln", "mn", "млн"), 1e6),
    **dict.fromkeys(("mrd", "mld", "md", "mlrd", "bn", "млрд"), 1e9),
    "трлн": 1e12,
    "千": 1e3,
    **dict.fromkeys(("万", "萬", "만"), 1e4),
    **dict.fromkeys(("百万", "百萬"), 1e6),
    **dict.fromkeys(("亿", "億", "억"), 1e8),
}
"""Words after a volume, in lower case, and what they stand for."""
_EPOCH = date(1970, 1, 1)
"""Day from which Parquet counts dates and times."""
_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
"""Units of a time in a day."""
_OTHER_COLUMNS = 50
"""Maximum number of further columns whose numbers can decide the format."""


@dataclass(frozen=True)
class CellStyles:
    """The formats of a file's cells.

    Attributes
    ----------
    dates
        Format of the dates; None if the column has a date type.
    numbers
        Format of the numbers that are text.
    early_times
        Times of day in UTC for which the dates look one day early; mostly none.
    """

    dates: DateStyle | None
    numbers: NumberStyle
    early_times: tuple[str, ...] = ()


def cell_styles(
    content: DelimitedText | ParquetFile, places: Mapping[str, int], decimal: Literal[".", ","] | None = None
) -> CellStyles:
    """Detect the formats of dates and numbers from a file's first rows.

    Whether the day or the month comes first is decided by the first number above 12, in whichever row it is.

    Parameters
    ----------
    decimal
        Decimal separator, if the user tells it.

    Raises
    ------
    InputError
        A column's type is not one of dates or numbers, the first date has no known format, or the day and the month
        of the dates cannot be told apart in the whole file.
    """
    read = set(places.values())
    others: dict[str, int] = {}
    if isinstance(content, DelimitedText):
        unread = [place for place in range(len(content.header)) if place not in read]
        others = {f"column {place}": place for place in unread[:_OTHER_COLUMNS]}
    with closing(content.pieces({**places, **others})) as pieces:
        head = next(pieces, pl.DataFrame(schema=[*places, *others]))
    head = head.head(_SAMPLE_ROWS)
    for field, place in places.items():
        _require_readable_type(content, content.header[place], field, head[field].dtype)
    dates = _date_style(content, places, head["date"])
    numbers = (
        _number_style(content, places, head, list(others), dates)
        if decimal is None
        else NumberStyle(decimal, "," if decimal == "." else ".")
    )
    cells = head["date"] if dates is None else _as_text(head["date"])
    return CellStyles(dates, numbers, tuple(look_one_day_early(cells, dates)))


def _number_style(
    content: DelimitedText | ParquetFile,
    places: Mapping[str, int],
    head: pl.DataFrame,
    others: Sequence[str],
    dates: DateStyle | None,
) -> NumberStyle:
    """Detect the format of the numbers from the first rows, or where no separator is in these, from all."""
    texts = {field: places[field] for field in NUMBERS if field in places and head[field].dtype == pl.String}
    further = [head[name] for name in others if head[name].dtype == pl.String]
    delimiter = content.delimiter if isinstance(content, DelimitedText) else ","
    dotted = dates is not None and dates.name.startswith("DD.MM.")
    try:
        style = number_style({field: head[field] for field in texts}, further, delimiter=delimiter, dotted_dates=dotted)
        if style.thousands or head.height < _SAMPLE_ROWS:
            return style
        with closing(content.pieces(texts)) as pieces:
            for piece in pieces:
                style = number_style({field: piece[field] for field in texts}, delimiter=delimiter, dotted_dates=dotted)
                if style.thousands:
                    break
    except AmbiguousNumbersError as error:
        raise InputError(
            f"The numbers in column {quoted(content.header[places[error.column]])} can be read with a decimal "
            f"separator or with a thousands separator: {quoted(error.cell)}.",
            where=str(content),
            hint="say which with --decimal point or --decimal comma",
        ) from None
    return style


def read_columns_of_tickers(
    content: DelimitedText | ParquetFile, groups: Mapping[str, Mapping[str, int]], styles: CellStyles
) -> Iterator[pl.DataFrame]:
    """Yield frames of the rows of a file that has columns of its own for each ticker, with a column `ticker`.

    A row without a number in any of a ticker's columns is no row of this ticker.

    Parameters
    ----------
    groups
        For each ticker, the positions of its columns by column of a bar.
    """
    named = {f"{field} {ticker}": place for ticker, places in groups.items() for field, place in places.items()}
    start = 0
    for raw in content.pieces(named):
        for ticker, places in groups.items():
            own = raw.select(pl.col(f"{field} {ticker}").alias(field) for field in places)
            for field in places:
                _require_readable_type(content, content.header[places[field]], field, own[field].dtype)
            read = _read_piece(own, content, places, styles, start)
            numbers = [name for name in read.columns if name in NUMBERS]
            yield read.filter(pl.any_horizontal(pl.col(numbers).is_not_null())).with_columns(ticker=pl.lit(ticker))
        start += raw.height


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
            f"Column {quoted(name)} holds {dtype}, not {kind}.", where=str(content), hint="convert the column"
        )


def _date_style(content: DelimitedText | ParquetFile, places: Mapping[str, int], dates: pl.Series) -> DateStyle | None:
    if dates.dtype in (pl.Date, pl.Datetime):
        return None
    texts = _as_text(dates).str.strip_chars()
    filled = (texts.is_not_null() & (texts != "")).arg_true()
    name = quoted(content.header[places["date"]])
    if filled.is_empty():
        raise InputError(f"Column {name} is empty.", where=str(content), hint="write a date in each row")
    first = texts[int(filled[0])]
    style = date_style(first)
    if style is None:
        excel = ": the number looks like a day of Excel's; format the column as a date"
        raise InputError(
            f"{quoted(first)} in column {name} is not a date.",
            where=content.place_of(int(filled[0])),
            hint="write dates as YYYY-MM-DD" + (excel if _looks_like_excel(first) else ""),
        )
    month_first_style = month_first(style)
    orders = short_years(style)
    if orders:
        with closing(content.pieces({"date": places["date"]})) as pieces:
            every = pl.concat([_as_text(piece["date"]) for piece in pieces])
        fit = fitting(every, orders, utc_today())
        if len(fit) == 1:
            return fit[0]
        finding = "can be read in several ways" if fit else "have no order of day, month and year that fits all"
        latest = None if fit else latest_cell(every, orders)
        if latest is not None:
            first = latest
            finding = (
                f"would be after today: years of two digits are those from 19{FIRST_OF_1900S} to 20{FIRST_OF_1900S - 1}"
            )
        raise InputError(
            f"The dates in column {name}, such as {quoted(first)}, {finding}.",
            where=str(content),
            hint="write dates as YYYY-MM-DD",
        )
    if month_first_style is None:
        return style
    for piece in content.pieces({"date": places["date"]}):
        parts = _as_text(piece["date"]).str.extract_groups(r"^\s*(\d{1,2})\D(\d{1,2})\D").struct.unnest()
        over = parts.select(pl.all().cast(pl.Int64) > 12).sum()
        if any(over.row(0)):
            return style if over.item(0, 0) else month_first_style
    raise InputError(
        f"The dates in column {name} can be read with the day or the month first.",
        where=str(content),
        hint="write dates as YYYY-MM-DD",
    )


def _looks_like_excel(cell: str) -> bool:
    """Return whether a text can be a day in Excel's count, between 1954 and 2064."""
    return cell.isdecimal() and len(cell) == 5 and 20_000 <= int(cell) < 60_000


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
            columns[field], bad[field] = _numbers(raw[field], styles.numbers, volume=field == "volume")
        elif field == "date":
            columns[field], bad[field] = _dates(raw[field], styles.dates)
        else:
            # Only an empty cell is a missing ticker: NA and NULL are tickers on some exchanges.
            text = _as_text(raw[field]).str.strip_chars()
            columns[field] = text.set(text == "", None)
    frame, bad_cells = pl.DataFrame(columns), pl.DataFrame(bad)
    is_action = _actions(raw, content, places)
    if is_action.any():
        frame = frame.select(pl.when(~is_action).then(pl.all()))
        bad_cells = bad_cells.select(pl.all() & ~is_action)
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    blank = empty & ~bad_cells.select(pl.any_horizontal(pl.all())).to_series()
    bad_cells = bad_cells.with_columns(pl.col("date") | (frame["date"].is_null() & ~blank))
    first = bad_cells.select(pl.any_horizontal(pl.all()).arg_max()).item()
    if first is not None and any(bad_cells.row(first)):
        field = bad_cells.columns[bad_cells.row(first).index(True)]
        name, where = quoted(content.header[places[field]]), content.place_of(start + first)
        raise _bad_cell(raw[field], first, field, name, where, styles)
    return frame.filter(~blank)


def _actions(raw: pl.DataFrame, content: DelimitedText | ParquetFile, places: Mapping[str, int]) -> pl.Series:
    """Return whether each row is no bar but a dividend or a split."""
    cells = [pl.col(field) for field in places if field in NUMBERS and raw[field].dtype == pl.String]
    if not isinstance(content, DelimitedText) or not content.has_actions or not cells:
        return pl.repeat(value=False, n=raw.height, eager=True)
    pattern = ACTION_CELL.replace("?P<dividend>", "?:").replace("?P<split>", "?:")
    return raw.select(
        pl.any_horizontal(cell.str.contains(pattern) for cell in cells).fill_null(value=False)
    ).to_series()


def _bad_cell(cells: pl.Series, row: int, field: str, name: str, where: str, styles: CellStyles) -> InputError:
    """Return the error about a cell; `name` is the column's, in quotes."""
    if cells.dtype in (pl.Date, pl.Datetime) and cells[row : row + 1].null_count() == 0:
        return InputError(
            f"A date in column {name} is before {EARLIEST} or after {LATEST}.", where=where, hint="correct it"
        )
    value = cells[row]
    if field != "date":
        return InputError(
            f"{quoted(value)} in column {name} is not a number.",
            where=where,
            hint="correct it, or leave the cell empty",
        )
    if value is None or not str(value).strip():
        return InputError(
            f"The row has no date in column {name}.", where=where, hint="write the date, or delete the row"
        )
    if styles.dates is not None and is_out_of_range(str(value), styles.dates):
        return InputError(
            f"{quoted(value)} in column {name} is before {EARLIEST} or after {LATEST}.", where=where, hint="correct it"
        )
    written = styles.dates.name if styles.dates else "YYYY-MM-DD"
    return InputError(
        f"{quoted(value)} in column {name} is not a date in the format of the first one, {written}.",
        where=where,
        hint="write all dates in one format; YYYY-MM-DD is best",
    )


def _dates(cells: pl.Series, style: DateStyle | None) -> tuple[pl.Series, pl.Series]:
    if style is not None:
        return parse_dates(_as_text(cells), style)
    # Far from today, a conversion to a date or to a zone's wall clock would overflow.
    count = cells.to_physical().cast(pl.Int64)
    per_day = _PER_DAY[cells.dtype.time_unit] if isinstance(cells.dtype, pl.Datetime) else 1
    first, last = (EARLIEST - _EPOCH).days, (LATEST - _EPOCH).days
    inside = (count // per_day).is_between(first, last).fill_null(value=True)
    cells = cells.set(~inside, None)
    # Of a time with a zone, the date is that of the wall clock in its zone.
    return cells if cells.dtype == pl.Date else cells.dt.date(), ~inside


def _numbers(cells: pl.Series, style: NumberStyle, *, volume: bool) -> tuple[pl.Series, pl.Series]:
    if cells.dtype == pl.String:
        values, bad = parse_numbers(cells, style, volume=volume)
        return _with_units(cells, values, bad, style) if volume and bad.any() else (values, bad)
    return cells.cast(pl.Float64), _all_false(cells)


def _with_units(cells: pl.Series, values: pl.Series, bad: pl.Series, style: NumberStyle) -> tuple[pl.Series, pl.Series]:
    """Return volumes, those among them that could not be read with the unit after them as a word: 1,69 Mio."""
    places = bad.arg_true()
    parts = cells.gather(places).str.strip_chars().str.to_lowercase().str.extract_groups(_UNIT).struct.unnest()
    factors = parts.to_series(1).replace_strict(_UNITS, default=None, return_dtype=pl.Float64)
    numbers, unread = parse_numbers(parts.to_series(0), style)
    unread = unread | factors.is_null()
    still_bad = _all_false(cells).scatter(places.filter(unread), values=True)
    return values.scatter(places, numbers * factors), still_bad


def _as_text(cells: pl.Series) -> pl.Series:
    """Return the cells as strings; whole numbers that are stored as floats without '.0'."""
    whole = cells.cast(pl.Int64, strict=False) if cells.dtype.is_float() else cells
    return whole.cast(pl.String)


def _all_false(cells: pl.Series) -> pl.Series:
    return pl.repeat(value=False, n=len(cells), eager=True)
