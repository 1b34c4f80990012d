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
    "FIRST_OF_1900S",
    "LATEST",
    "DateStyle",
    "date_style",
    "fitting",
    "is_out_of_range",
    "latest_cell",
    "look_one_day_early",
    "month_first",
    "parse_dates",
    "short_years",
]

_TIME = r"(?:[T ]+\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:[A-Z]{1,5}|[+-]\d{2}:?(?:\d{2})?))?)?$"
_MONTH = r"\p{L}{3,10}\.?"
_DAY_OF_WEEK = r"(?:\p{L}{2,13}\.?,? )?"
_WEEKDAY = r" ?(?:[(（]\p{L}{1,3}[)）])?"
"""Day of the week after a date in Japanese or Korean: (木)."""
_MONTHS = (
    "jan january januar januari janvier janv jänner jän ene enero gen gennaio janeiro oca ocak",
    "feb february februar februari février févr fevrier febrero febbraio fev fevereiro şub şubat",
    "mar march mär märz mrz mars marzo março maart mrt mart",
    "apr april avril avr abr abril aprile nis nisan",
    "may mai mayo maggio mag maio mei maj mayıs",
    "jun june juni juin junio giu giugno junho haz haziran",
    "jul july juli juillet juil julio lug luglio julho tem temmuz",
    "aug august août aout ago agosto augustus augusti ağu ağustos",
    "sep sept september septembre septiembre set settembre setembro eyl eylül",
    "oct october okt oktober octobre octubre ott ottobre out outubro eki ekim",
    "nov november novembre noviembre novembro kas kasım",
    "dec december dez dezember déc décembre dic diciembre dicembre dezembro ara aralık",
)
"""Names of each month in the languages of Yahoo and investing.com, short and whole. In other languages, some of these
words are other months: the Croatian `lis` is the tenth, the Polish one the eleventh."""
_NUMBER_OF_MONTH = {word: number for number, words in enumerate(_MONTHS, start=1) for word in words.split()}
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
        DateStyle("YYYY-MM-DD", rf"^(\d{{4}}- ?\d{{1,2}}- ?\d{{1,2}}){_TIME}", "%Y-%m-%d"),
        DateStyle("YYYY/MM/DD", rf"^(\d{{4}}/\d{{1,2}}/\d{{1,2}}){_TIME}", "%Y/%m/%d"),
        DateStyle("YYYY.MM.DD", rf"^(\d{{4}}\. ?\d{{1,2}}\. ?\d{{1,2}})\.?{_TIME}", "%Y.%m.%d"),
        DateStyle("YYYY年MM月DD日", rf"^(\d{{4}}年 ?\d{{1,2}}月 ?\d{{1,2}}日){_WEEKDAY}{_TIME}", "%Y年%m月%d日"),
        DateStyle("YYYY년 MM월 DD일", rf"^(\d{{4}}년 ?\d{{1,2}}월 ?\d{{1,2}}일){_WEEKDAY}{_TIME}", "%Y년%m월%d일"),
        DateStyle("YYYYMMDD", rf"^((?:1[89]|20|21)\d{{6}}){_TIME}", "%Y%m%d"),
        DateStyle("DD.MM.YYYY", rf"^(\d{{1,2}}\. ?\d{{1,2}}\. ?\d{{4}}){_TIME}", "%d.%m.%Y"),
        DateStyle("DD/MM/YYYY", rf"^(\d{{1,2}}/\d{{1,2}}/\d{{4}}){_TIME}", "%d/%m/%Y"),
        DateStyle("MM/DD/YYYY", rf"^(\d{{1,2}}/\d{{1,2}}/\d{{4}}){_TIME}", "%m/%d/%Y"),
        DateStyle("DD-MM-YYYY", rf"^(\d{{1,2}}-\d{{1,2}}-\d{{4}}){_TIME}", "%d-%m-%Y"),
        DateStyle("MM-DD-YYYY", rf"^(\d{{1,2}}-\d{{1,2}}-\d{{4}}){_TIME}", "%m-%d-%Y"),
        DateStyle("DD-Mon-YYYY", rf"^(\d{{1,2}}-{_MONTH}-\d{{4}}){_TIME}", "%d-%b-%Y"),
        DateStyle("DD Mon YYYY", rf"^{_DAY_OF_WEEK}(\d{{1,2}}\.? (?:de )?{_MONTH} (?:de )?\d{{4}}){_TIME}", "%d %b %Y"),
        DateStyle("Mon DD, YYYY", rf"^{_DAY_OF_WEEK}({_MONTH} \d{{1,2}},? \d{{4}}){_TIME}", "%b %d, %Y"),
        DateStyle("DD-Mon-YY", rf"^(\d{{1,2}}-{_MONTH}-\d{{2}}){_TIME}", "%d-%b-%y"),
        DateStyle("DD.MM.YY", rf"^(\d{{1,2}}\.\d{{1,2}}\.\d{{2}}){_TIME}", "%d.%m.%y"),
        DateStyle("DD/MM/YY", rf"^(\d{{1,2}}/\d{{1,2}}/\d{{2}}){_TIME}", "%d/%m/%y"),
        DateStyle("MM/DD/YY", rf"^(\d{{1,2}}/\d{{1,2}}/\d{{2}}){_TIME}", "%m/%d/%y"),
        DateStyle("DD-MM-YY", rf"^(\d{{1,2}}-\d{{1,2}}-\d{{2}}){_TIME}", "%d-%m-%y"),
        DateStyle("MM-DD-YY", rf"^(\d{{1,2}}-\d{{1,2}}-\d{{2}}){_TIME}", "%m-%d-%y"),
        DateStyle("YY/MM/DD", rf"^(\d{{1,2}}/\d{{1,2}}/\d{{2}}){_TIME}", "%y/%m/%d"),
        DateStyle("YY-MM-DD", rf"^(\d{{1,2}}-\d{{1,2}}-\d{{2}}){_TIME}", "%y-%m-%d"),
        DateStyle("YY.MM.DD", rf"^(\d{{1,2}}\.\d{{1,2}}\.\d{{2}}){_TIME}", "%y.%m.%d"),
        DateStyle("YYMMDD", r"^(\d{6})$", "%y%m%d"),
        DateStyle("DDMMYY", r"^(\d{6})$", "%d%m%y"),
        DateStyle("MMDDYY", r"^(\d{6})$", "%m%d%y"),
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
    "YYMMDD": ("YYMMDD", "DDMMYY", "MMDDYY"),
}
"""Formats with years of two digits, to all formats that have the same pattern."""
_YEAR_AND_MONTH = r"^(?:19|20)\d{2}(?:0[1-9]|1[0-2])$"
"""Pattern of the year and the month of a monthly bar, which can look like a day: 201012."""
FIRST_OF_1900S = 70
"""Smallest year of two digits that is one of the 1900s."""
_SECONDS = 86_400
"""Seconds of a day."""
_IN_UTC = r"[T ](\d{1,2}):(\d{2})(?::00(?:[.,]0+)?)?(?: ?(?:Z|UTC|GMT|\+00:?(?:00)?))?\s*$"
"""Pattern of the time after a date that is in UTC or in no zone, without seconds."""
_AFTERNOON = 13 * 3600
"""First second of the day in UTC at which it is midnight in a zone from Sydney to Berlin."""
_SUNDAY = 7
"""Number of the Sunday."""
_SUNDAYS = 0.1
"""Minimum share of Sundays among dates that are one day early; 0.2 if there are no holidays."""
_MANY_DAYS = 15
"""Minimum number of dates among which the absence of Fridays tells something."""
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
    texts = texts.str.strip_chars()
    if texts.filter(texts != "").str.contains(_YEAR_AND_MONTH).all():
        return []
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
    dates = _as_dates(text.str.extract(style.pattern, 1), style.layout)
    dates = dates.set(~dates.is_between(EARLIEST, LATEST).fill_null(value=True), None)
    return dates, dates.is_null() & text.is_not_null() & (text != "")


def is_out_of_range(cell: str, style: DateStyle) -> bool:
    """Return whether a cell is a date of a format, but before the first date that is accepted or after the last."""
    pattern = r"^(\d{8})$" if style.name == "YYYYMMDD" else style.pattern
    dates = _as_dates(pl.Series([cell]).str.strip_chars().str.extract(pattern, 1), style.layout)
    return (~dates.is_between(EARLIEST, LATEST)).any()


def latest_cell(texts: pl.Series, styles: Iterable[DateStyle]) -> str | None:
    """Return the cell of the latest date in the first of some formats in which all cells are dates; None if none is."""
    for style in styles:
        dates, bad = parse_dates(texts, style)
        place = dates.arg_max()
        if not bad.any() and place is not None:
            return str(texts[place])
    return None


def look_one_day_early(cells: pl.Series, style: DateStyle | None) -> list[str]:
    """Return the times of day of dates that look like midnights of a zone east of Greenwich told in UTC, or none.

    These are dates with one time in the afternoon, or with two that are an hour apart in summer and in winter, among
    them Sundays and neither Fridays nor Saturdays.

    Parameters
    ----------
    cells
        First dates of a file: strings, or times without a zone or in UTC.
    style
        Format of the strings; None for times.

    Returns
    -------
    list of str
        At most two times, such as '22:00' and '23:00'.
    """
    if style is None:
        if not isinstance(cells.dtype, pl.Datetime) or cells.dtype.time_zone not in {None, "UTC", "Etc/UTC"}:
            return []
        dates, seconds = cells.dt.date(), cells.dt.epoch("s") % _SECONDS
    else:
        dates, _ = parse_dates(cells, style)
        if style.layout in _PER_DAY:
            count = cells.str.strip_chars().str.extract(style.pattern, 1).cast(pl.Int64, strict=False)
            seconds = count % _PER_DAY[style.layout] // (_PER_DAY[style.layout] // _SECONDS)
        else:
            time = cells.str.extract_groups(_IN_UTC).struct.unnest()
            seconds = time.select(pl.nth(0).cast(pl.Int64) * 3600 + pl.nth(1).cast(pl.Int64) * 60).to_series()
            if seconds.null_count() > dates.null_count():
                return []
    days = dates.drop_nulls().unique().dt.weekday()
    times = seconds.drop_nulls().unique().sort().to_list()
    is_shifted = len(days) >= _MANY_DAYS and (days == _SUNDAY).mean() > _SUNDAYS and not days.is_in([5, 6]).any()  # type: ignore[operator]
    is_midnight = len(times) in {1, 2} and times[0] >= _AFTERNOON and times[-1] - times[0] in {0, 3600}
    if not is_shifted or not is_midnight or any(time % 1800 for time in times):
        return []
    return [f"{time // 3600:02}:{time % 3600 // 60:02}" for time in times]


def _as_dates(part: pl.Series, layout: str) -> pl.Series:
    """Return texts without times as dates of any year."""
    if layout in _PER_DAY:
        # Integer division rounds down, so that a time before 1970 has its own date.
        return (part.cast(pl.Int64, strict=False) // _PER_DAY[layout]).cast(pl.Int32).cast(pl.Date)
    if "%b" in layout:
        # Slow, and the dates of several tickers repeat.
        different = part.drop_nulls().unique()
        return part.replace_strict(different, _with_names_of_months(different, layout), default=None)
    if part.str.contains(" ", literal=True).any():
        part = part.str.replace_all(" ", "", literal=True)
    dates = part.str.to_date(layout, strict=False)
    return _in_its_century(dates) if "%y" in layout else dates


def _with_names_of_months(part: pl.Series, layout: str) -> pl.Series:
    """Return texts with the names of months as dates of any year."""
    # Of all formats with the name of a month, the day is the first number and the year the second.
    month = part.str.extract(r"(\p{L}{3,})").str.to_lowercase()
    number = month.replace_strict(_NUMBER_OF_MONTH, default=None, return_dtype=pl.Int64).cast(pl.String)
    day, year = part.str.extract(r"^\D*(\d+)"), part.str.extract(r"(\d+)$")
    has_century = "%Y" in layout
    dates = (year + "-" + number + "-" + day).str.to_date("%Y-%m-%d" if has_century else "%y-%m-%d", strict=False)
    return dates if has_century else _in_its_century(dates)


def _in_its_century(dates: pl.Series) -> pl.Series:
    """Return dates whose years had two digits in the century that these mean, whichever the parser chose."""
    year = dates.dt.year() % 100
    century = pl.select(pl.when(year >= FIRST_OF_1900S).then(1900).otherwise(2000)).to_series()
    frame = pl.DataFrame({"year": century + year, "month": dates.dt.month(), "day": dates.dt.day()})
    return frame.select(pl.date("year", "month", "day")).to_series()
