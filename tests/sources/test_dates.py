from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.sources.dates import (
    DATE_STYLES,
    date_style,
    fitting,
    look_one_day_early,
    month_first,
    parse_dates,
    short_years,
)

DAY = date(2020, 12, 31)


def test_every_format_is_detected_and_parsed() -> None:
    cases = [
        ("2020-12-31", "YYYY-MM-DD"),
        ("2020-12-31 16:00", "YYYY-MM-DD"),
        ("2020-12-31T23:59:59.999", "YYYY-MM-DD"),
        ("2020-12-31T23:30:00Z", "YYYY-MM-DD"),
        ("2020-12-31 00:00:00+09:00", "YYYY-MM-DD"),
        ("2020-12-31 19:30:00-0500", "YYYY-MM-DD"),
        ("2020-12-31 00:00:00 UTC", "YYYY-MM-DD"),
        (" 2020-12-31 ", "YYYY-MM-DD"),
        ("2020/12/31", "YYYY/MM/DD"),
        ("2020.12.31", "YYYY.MM.DD"),
        ("20201231", "YYYYMMDD"),
        ("31.12.2020", "DD.MM.YYYY"),
        ("31/12/2020", "DD/MM/YYYY"),
        ("31-12-2020", "DD-MM-YYYY"),
        ("31-Dec-2020", "DD-Mon-YYYY"),
        ("31 Dec 2020", "DD Mon YYYY"),
        ("31-December-2020", "DD-Mon-YYYY"),
        ("December 31, 2020", "Mon DD, YYYY"),
        ("31-Dec-20", "DD-Mon-YY"),
        ("31.12.20", "DD.MM.YY"),
        ("31/12/20", "DD/MM/YY"),
        ("2020-12-31 16:00:00 EST", "YYYY-MM-DD"),
        ("Dec 31, 2020", "Mon DD, YYYY"),
        ("2020- 12- 31", "YYYY-MM-DD"),
        ("2020. 12. 31.", "YYYY.MM.DD"),
        ("2020年12月31日", "YYYY年MM月DD日"),
        ("2020年12月31日(木)", "YYYY年MM月DD日"),
        ("2020년 12월 31일", "YYYY년 MM월 DD일"),
        ("31. 12. 2020", "DD.MM.YYYY"),
        ("31. Dez. 2020", "DD Mon YYYY"),
        ("31 de dez. de 2020", "DD Mon YYYY"),
        ("31 décembre 2020", "DD Mon YYYY"),
        ("Thursday, December 31, 2020", "Mon DD, YYYY"),
        ("Thu, 31 Dec 2020", "DD Mon YYYY"),
        ("1609372800", "seconds since 1970"),
        ("1609459199", "seconds since 1970"),
        ("1609372800000", "milliseconds since 1970"),
        ("1609372800000000", "microseconds since 1970"),
        ("1609372800000000000", "nanoseconds since 1970"),
    ]
    styles = {cell: date_style(cell) for cell, _ in cases}
    assert [(cell, style.name) for cell, style in styles.items() if style] == cases
    parsed = {cell: parse_dates(pl.Series([cell]), style) for cell, style in styles.items() if style}
    assert {cell: found for cell, found in parsed.items() if found[0].to_list() != [DAY] or found[1].any()} == {}


def test_the_months_of_other_languages_are_read_and_no_word_that_only_begins_like_one() -> None:
    months = {
        "3 mars 2026": 3, "3 März 2026": 3, "3. Okt. 2026": 10, "3 ott 2026": 10, "3 out 2026": 10, "3 août 2026": 8,
        "3 set 2026": 9, "3 ene 2026": 1, "3 Ocak 2026": 1, "3 Kas 2026": 11, "3 maj 2026": 5, "3 févr. 2026": 2,
    }  # fmt: skip
    style = DATE_STYLES["DD Mon YYYY"]
    dates, bad = parse_dates(pl.Series(list(months)), style)
    assert dates.to_list() == [date(2026, month, 3) for month in months.values()]
    assert not bad.any()
    # marraskuu is November in Finnish, and lis is not the same month in Polish and Croatian
    for cell in ("3 marraskuu 2026", "3 lis 2026", "3 Foo 2026"):
        assert parse_dates(pl.Series([cell]), style)[1].all(), cell


def test_dates_of_six_digits_are_read_where_one_order_fits() -> None:
    cases = [
        (["251003", "251006", "251007"], ["YYMMDD"]),
        (["251003", "261126"], ["YYMMDD", "DDMMYY"]),
        (["031025", "061025", "311025"], ["DDMMYY"]),
        (["100325", "100625", "103125"], ["MMDDYY"]),
        (["", "010203"], ["YYMMDD", "DDMMYY", "MMDDYY"]),
        (["201001", "201002", "", "201012"], []),  # months
        (["202601", "202602"], []),
    ]
    for cells, names in cases:
        found = fitting(pl.Series(cells), short_years(DATE_STYLES["YYMMDD"]), date(2026, 11, 26))
        assert [style.name for style in found] == names, cells


def test_midnights_told_in_utc_are_seen() -> None:
    days = [date(2026, 1, 1) + timedelta(days=count) for count in range(120)]
    weekdays = [day for day in days if day.weekday() < 5]

    def texts(zone: str, hour: int, wanted: list[date], tail: str) -> list[str]:
        moments = (datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(zone)) for day in wanted)
        return [f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}{tail}" for moment in moments]

    style = DATE_STYLES["YYYY-MM-DD"]
    for tail in ("Z", "+00:00", "", ".000Z", " UTC"):
        cells = pl.Series(texts("Europe/Berlin", 0, weekdays, tail))
        assert look_one_day_early(cells, style) == ["22:00", "23:00"], tail
    assert look_one_day_early(pl.Series(texts("Asia/Tokyo", 0, weekdays, "Z")), style) == ["15:00"]
    assert look_one_day_early(pl.Series(texts("Asia/Kolkata", 0, weekdays, "Z")), style) == ["18:30"]
    berlin = pl.Series(texts("Europe/Berlin", 0, weekdays, "Z")).str.to_datetime("%Y-%m-%dT%H:%M:%SZ")
    assert look_one_day_early(berlin, None) == ["22:00", "23:00"]
    milliseconds = DATE_STYLES["milliseconds since 1970"]
    assert look_one_day_early(berlin.dt.epoch("ms").cast(pl.String), milliseconds) == ["22:00", "23:00"]
    right = {
        "closes in New York": texts("America/New_York", 16, weekdays, "Z"),
        "midnights in New York": texts("America/New_York", 0, weekdays, "Z"),
        "coins": texts("Europe/Berlin", 0, days, "Z"),
        "closes from Sunday to Thursday": texts("Asia/Riyadh", 15, [d for d in days if d.weekday() not in {4, 5}], "Z"),
        "another zone": texts("Europe/Berlin", 0, weekdays, "+01:00"),
        "few": texts("Europe/Berlin", 0, weekdays[:8], "Z"),
        "dates": [str(day) for day in weekdays],
    }
    assert {name for name, cells in right.items() if look_one_day_early(pl.Series(cells), style)} == set()


def test_a_cell_that_is_not_a_date_has_no_format() -> None:
    cells = ["", "yesterday", "31/12/2", "43831", "2020-12", "12.5", "2020-12-31x"]
    assert {cell: date_style(cell) for cell in cells} == dict.fromkeys(cells)


def test_a_cell_that_does_not_fit_the_format_of_the_file_is_bad() -> None:
    cases = [
        ("2020-02-30", "YYYY-MM-DD"),
        ("2020-13-01", "YYYY-MM-DD"),
        ("20201231", "YYYY-MM-DD"),
        ("0001-01-01", "YYYY-MM-DD"),
        ("9999-12-31", "YYYY-MM-DD"),
        ("12/31/2020", "DD/MM/YYYY"),
        ("31/12/2020", "MM/DD/YYYY"),
        ("20200230", "YYYYMMDD"),
        ("nan", "seconds since 1970"),
    ]
    for cell, name in cases:
        dates, bad = parse_dates(pl.Series([cell, "", None]), DATE_STYLES[name])
        assert dates.to_list() == [None, None, None], (cell, name)
        assert bad.to_list() == [True, False, False], (cell, name)


@given(
    st.dates(date(1800, 1, 1), date(2199, 12, 31)),
    st.sampled_from([style for style in DATE_STYLES.values() if "%" in style.layout]),
)
@hypothesis_settings(deadline=None)
def test_every_format_parses_what_strftime_writes(day: date, style: object) -> None:
    layout = style.layout  # type: ignore[attr-defined]
    assume("%y" not in layout or date(1970, 1, 1) <= day < date(2070, 1, 1))
    dates, bad = parse_dates(pl.Series([day.strftime(layout)]), style)  # type: ignore[arg-type]
    assert dates.to_list() == [day]
    assert not bad.any()


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - hypothesis adds the zone itself
    st.integers(-12, 14),
)
@hypothesis_settings(deadline=None)
def test_the_date_of_a_time_with_a_zone_is_that_of_its_wall_clock(moment: datetime, offset: int) -> None:
    cell = moment.replace(tzinfo=timezone(timedelta(hours=offset))).isoformat(sep=" ")
    dates, bad = parse_dates(pl.Series([cell]), DATE_STYLES["YYYY-MM-DD"])
    assert dates.to_list() == [moment.date()]
    assert not bad.any()


@given(st.datetimes(datetime(1974, 1, 1), datetime(2199, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001 - as above
@hypothesis_settings(deadline=None)
def test_the_date_of_a_count_since_1970_is_that_in_utc(moment: datetime) -> None:
    seconds = int(moment.timestamp())
    for unit, scale in (("seconds", 1), ("milliseconds", 1_000), ("microseconds", 10**6), ("nanoseconds", 10**9)):
        style = DATE_STYLES[f"{unit} since 1970"]
        dates, _ = parse_dates(pl.Series([str(seconds * scale)]), style)
        assert dates.to_list() == [moment.date()]


def test_only_dates_with_slashes_and_dashes_have_two_formats() -> None:
    twins = {style.name: twin.name for style in DATE_STYLES.values() if (twin := month_first(style))}
    assert twins == {"DD/MM/YYYY": "MM/DD/YYYY", "DD-MM-YYYY": "MM-DD-YYYY"}


def test_dates_with_short_years_are_read_in_the_only_order_that_fits() -> None:
    cases = [
        (["01/17/24", "01/16/24"], ["MM/DD/YY"]),
        (["17/01/24", "16/01/24"], ["DD/MM/YY"]),
        (["24/01/16", "24/01/17", "24/01/18"], ["YY/MM/DD"]),  # the others are a year apart
        (["16.01.24", "17.01.24"], ["DD.MM.YY"]),
        (["99-12-30", "99-12-31"], ["YY-MM-DD"]),
        (["01/02/03"], ["DD/MM/YY", "MM/DD/YY", "YY/MM/DD"]),
        (["01/17/24", "17/01/24"], []),
    ]
    for cells, names in cases:
        first = date_style(cells[0])
        assert first is not None
        found = fitting(pl.Series(cells), short_years(first), date(2026, 11, 26))
        assert [style.name for style in found] == names, cells
