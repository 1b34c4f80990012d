"""Parse the dates of a file, which has one format of dates; day and month are never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "DATE_STYLES",
    "EARLIEST",
    "LATEST",
    "DateStyle",
    "date_style",
    "fitting",
    "month_first",
    "parse_dates",
    "short_years",
]

_TIME = r"(?:[T ]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:[A-Z]{1,5}|[+-]\d{2}:?(?:\d{2})?))?)?$"
EARLIEST, LATEST = date(1800, 1, 1), date(2199, 12, 31)
"""First and last date that is accepted."""


@dataclass(frozen=True)
class DateStyle:
    """A format of dates.

    Attributes
    ----------
    name
        Name of the format in messages.
    pattern
        Regular expression that a cell matches; its first group is the date without the time.
    layout
        Format of the date for strptime; for a count since 1970, the unit.
    """

    name: str
    pattern: str
    layout: str


DATE_STYLES: dict[str, DateStyle] = {
    style.name: style
    for style in (
        DateStyle("YYYY-MM-DD", rf"^(\d{{4}}-\d{{1,2}}-\d{{1,2}}){_TIME}", "%Y-%m-%d"),
        DateStyle("YYYY/MM/DD", rf"^(\d{{4}}/\d{{1,2}}/\d{{1,2}}){_TIME}", "%Y/%m/%d"),
        DateStyle("YYYY.MM.DD", rf"^(\d{{4}}\.\d{{1,2}}\.\d{{1,2}}){_TIME}", "%Y.%m.%d"),
        DateStyle("YYYYMMDD", rf"^((?:1[89]|20|21)\d{{6}}){_TIME}", "%Y%m%d"),
        DateStyle("DD.MM.YYYY", rf"^(\d{{1,2}}\.\d{{1,2}}\.\d{{4}}){_TIME}", "%d.%m.%Y"),
        DateStyle("DD/MM/YYYY", rf"^(\d{{1,2}}/\d{{1,2}}/\d{{4}}){_TIME}", "%d/%m/%Y"),
        DateStyle("MM/DD/YYYY", rf"^(\d{{1,2}}/\d{{1,2}}/\d{{4}}){_TIME}", "%m/%d/%Y"),
        DateStyle("DD-MM-YYYY", rf"^(\d{{1,2}}-\d{{1,2}}-\d{{4}}){_TIME}", "%d-%m-%Y"),
        DateStyle("MM-DD-YYYY", rf"^(\d{{1,2}}-\d{{1,2}}-\d{{4}}){_TIME}", "%m-%d-%Y"),
        DateStyle("DD-Mon-YYYY", rf"^(\d{{1,2}}-[A-Za-z]{{3,9}}-\d{{4}}){_TIME}", "%d-%b-%Y"),
        DateStyle("DD Mon YYYY", rf"^(\d{{1,2}} [A-Za-z]{{3,9}} \d{{4}}){_TIME}", "%d %b %Y"),
        DateStyle("Mon DD, YYYY", rf"^([A-Za-z]{{3,9}} \d{{1,2}}, \d{{4}}){_TIME}", "%b %d, %Y"),
        DateStyle("DD-Mon-YY", rf"^(\d{{1,2}}-[A-Za-z]{{3}}-\d{{2}}){_TIME}", "%d-%b-%y"),
        DateStyle("DD.MM.YY", rf"^(\d{{1,2}}\.\d{{1,2}}\.\d{{2}}){_TIME}", "%d.%m.%y"),
        DateStyle("DD/MM/YY", rf"^(\d{{1,2}}/\d{{1,2}}/\d{{2}}){_TIME}", "%d/%m/%y"),
        DateStyle("MM/DD/YY", rf"^(\d{{1,2}}/\d{{1,2}}/\d{{2}}){_TIME}", "%m/%d/%y"),
        DateStyle("DD-MM-YY", rf"^(\d{{1,2}}-\d{{1,2}}-\d{{2}}){_TIME}", "%d-%m-%y"),
        DateStyle("MM-DD-YY", rf"^(\d{{1,2}}-\d{{1,2}}-\d{{2}}){_TIME}", "%m-%d-%y"),
        DateStyle("YY/MM/DD", rf"^(\d{{1,2}}/\d{{1,2}}/\d{{2}}){_TIME}", "%y/%m/%d"),
        DateStyle("YY-MM-DD", rf"^(\d{{1,2}}-\d{{1,2}}-\d{{2}}){_TIME}", "%y-%m-%d"),
        DateStyle("YY.MM.DD", rf"^(\d{{1,2}}\.\d{{1,2}}\.\d{{2}}){_TIME}", "%y.%m.%d"),
        DateStyle("seconds since 1970", r"^(-?\d{9,10})(?:\.\d+)?$", "s"),
        DateStyle("milliseconds since 1970", r"^(-?\d{12,13})(?:\.\d+)?$", "ms"),
        DateStyle("microseconds since 1970", r"^(-?\d{15,16})$", "us"),
        DateStyle("nanoseconds since 1970", r"^(-?\d{18,19})$", "ns"),
    )
}
"""Formats that are read, by name. Of two with the same pattern, the one with the day first comes first."""

_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
"""Units of a count since 1970 in a day."""
_MONTH_FIRST = {"DD/MM/YYYY": "MM/DD/YYYY", "DD-MM-YYYY": "MM-DD-YYYY"}
"""Format with the day first, to the format with the month first that has the same pattern."""
_SHORT_YEARS = {
    "DD/MM/YY": ("DD/MM/YY", "MM/DD/YY", "YY/MM/DD"),
    "DD-MM-YY": ("DD-MM-YY", "MM-DD-YY", "YY-MM-DD"),
    "DD.MM.YY": ("DD.MM.YY", "YY.MM.DD"),
}
"""Formats with years of two digits, to all formats that have the same pattern."""
_FIRST_OF_1900S = 70
"""Smallest year of two digits that is one of the 1900s."""
_DAILY_GAP = 7
"""Largest median of the days between two dates that is taken for that of daily bars."""


def date_style(cell: str) -> DateStyle | None:
    """Return the format of a date, or None; of two with the same pattern, the one with the day first."""
    text = pl.Series([cell]).str.strip_chars()
    return next((style for style in DATE_STYLES.values() if text.str.contains(style.pattern).item()), None)


def month_first(style: DateStyle) -> DateStyle | None:
    """Return the format with the month first and the same pattern as `style`, or None if there is none."""
    name = _MONTH_FIRST.get(style.name)
    return DATE_STYLES[name] if name else None


def short_years(style: DateStyle) -> list[DateStyle]:
    """Return the formats with years of two digits that have the same pattern as `style`; none for other formats."""
    return [DATE_STYLES[name] for name in _SHORT_YEARS.get(style.name, ())]


def fitting(texts: pl.Series, styles: Iterable[DateStyle], today: date) -> list[DateStyle]:
    """Return those of some formats in which dates can be meant.

    These are the formats in which each cell is a date, and none is after today. If the dates are those of daily bars in
    some of them, only these are returned: read in a wrong order, the dates are months or years apart.

    Parameters
    ----------
    texts
        All dates of a file, as strings.
    """
    gaps: dict[DateStyle, float] = {}
    for style in styles:
        dates, bad = parse_dates(texts, style)
        days = dates.drop_nulls().unique().sort()
        if not bad.any() and len(days) and not (days > today).any():
            median = days.diff().dt.total_days().median()
            gaps[style] = float(median) if isinstance(median, (int, float)) else 0.0
    daily = [style for style, gap in gaps.items() if gap <= _DAILY_GAP]
    return daily or list(gaps)


def parse_dates(text: pl.Series, style: DateStyle) -> tuple[pl.Series, pl.Series]:
    """Parse dates: of a time with a zone, the date on the wall clock there; of a count since 1970, the date in UTC.

    Parameters
    ----------
    text
        Cells, as strings.
    style
        Format of the file's dates.

    Returns
    -------
    dates, bad
        Dates, null where the cell is empty or bad; and whether a cell is not empty and not a date of this format.
    """
    text = text.str.strip_chars()
    part = text.str.extract(style.pattern, 1)
    if style.layout in _PER_DAY:
        # Integer division rounds down, so that a time before 1970 has its own date.
        dates = (part.cast(pl.Int64, strict=False) // _PER_DAY[style.layout]).cast(pl.Int32).cast(pl.Date)
    else:
        if "%b" in style.layout:
            part = part.str.replace("([A-Za-z]{3})[A-Za-z]+", "$1")  # January is Jan
        dates = part.str.to_date(style.layout, strict=False)
        if "%y" in style.layout:
            dates = _in_its_century(dates)
    dates = dates.set(~dates.is_between(EARLIEST, LATEST).fill_null(value=True), None)
    return dates, dates.is_null() & text.is_not_null() & (text != "")


def _in_its_century(dates: pl.Series) -> pl.Series:
    """Return dates whose years had two digits in the century that these mean, whichever the parser chose."""
    year = dates.dt.year() % 100
    century = pl.select(pl.when(year >= _FIRST_OF_1900S).then(1900).otherwise(2000)).to_series()
    frame = pl.DataFrame({"year": century + year, "month": dates.dt.month(), "day": dates.dt.day()})
    return frame.select(pl.date("year", "month", "day")).to_series()
