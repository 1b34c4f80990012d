"""Dates as files write them; one format a file, and never a guess between day and month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

__all__ = ["DATE_STYLES", "DateStyle", "date_style", "month_first", "parse_dates"]

_TIME = r"(?:[T ]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?))?)?$"
_EARLIEST, _LATEST = date(1800, 1, 1), date(2199, 12, 31)


@dataclass(frozen=True)
class DateStyle:
    """A way to write a date.

    Attributes
    ----------
    name
        As it is shown to a user.
    pattern
        What a cell must look like; the first group is the date, without the time.
    layout
        The date as strptime reads it; for a count since 1970, the unit.
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
        DateStyle("DD-Mon-YYYY", rf"^(\d{{1,2}}-[A-Za-z]{{3}}-\d{{4}}){_TIME}", "%d-%b-%Y"),
        DateStyle("DD Mon YYYY", rf"^(\d{{1,2}} [A-Za-z]{{3}} \d{{4}}){_TIME}", "%d %b %Y"),
        DateStyle("Mon DD, YYYY", rf"^([A-Za-z]{{3}} \d{{1,2}}, \d{{4}}){_TIME}", "%b %d, %Y"),
        DateStyle("seconds since 1970", r"^(-?\d{9,10})(?:\.\d+)?$", "s"),
        DateStyle("milliseconds since 1970", r"^(-?\d{12,13})(?:\.\d+)?$", "ms"),
        DateStyle("microseconds since 1970", r"^(-?\d{15,16})$", "us"),
        DateStyle("nanoseconds since 1970", r"^(-?\d{18,19})$", "ns"),
    )
}
"""Every format understood, by name. Of two that look alike the day comes first: see `month_first`."""

_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_DAY_FIRST = {"DD/MM/YYYY": "MM/DD/YYYY", "DD-MM-YYYY": "MM-DD-YYYY"}


def date_style(cell: str) -> DateStyle | None:
    """Give the format of a date, or None where none fits; of two that look alike, the one with the day first."""
    text = pl.Series([cell]).str.strip_chars()
    return next((style for style in DATE_STYLES.values() if text.str.contains(style.pattern).item()), None)


def month_first(style: DateStyle) -> DateStyle | None:
    """Give the format with the month first that looks the same, or None where a format can mean one thing only."""
    twin = _DAY_FIRST.get(style.name)
    return DATE_STYLES[twin] if twin else None


def parse_dates(text: pl.Series, style: DateStyle) -> tuple[pl.Series, pl.Series]:
    """Read dates: the day on the wall clock that wrote the cell, whatever its zone; counts since 1970 in UTC.

    Parameters
    ----------
    text
        Cells, as strings.
    style
        The file's format.

    Returns
    -------
    dates, bad
        Date values, null where the cell is empty; and where a cell holds something that is no date of this format.
    """
    text = text.str.strip_chars()
    part = text.str.extract(style.pattern, 1)
    if style.layout in _PER_DAY:
        # Floor, so that a moment before 1970 falls on its own day.
        dates = (part.cast(pl.Int64, strict=False) // _PER_DAY[style.layout]).cast(pl.Int32).cast(pl.Date)
    else:
        dates = part.str.to_date(style.layout, strict=False)
    dates = dates.set(~dates.is_between(_EARLIEST, _LATEST).fill_null(value=True), None)
    return dates, dates.is_null() & text.is_not_null() & (text != "")
