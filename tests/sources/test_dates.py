from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.sources.dates import DATE_STYLES, date_style, fitting, month_first, parse_dates, short_years

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
