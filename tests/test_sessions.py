from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.errors import SettingsError
from pm.sessions import closes_between, last_closed, next_close, next_open, next_sessions, sessions_between


def _closed(exchange: str, *days: date) -> bool:
    return not any(sessions_between(exchange, day, day) for day in days)


def test_new_york_was_closed_on_known_holidays_and_special_closures() -> None:
    assert _closed("XNYS", *(date(2001, 9, day) for day in range(11, 15)))  # the attacks
    assert _closed("XNYS", date(2012, 10, 29), date(2012, 10, 30))  # hurricane Sandy
    assert _closed("XNYS", date(2004, 6, 11), date(2007, 1, 2), date(2018, 12, 5))  # mourning Reagan, Ford, Bush
    assert _closed("XNYS", date(2023, 7, 4), date(2021, 12, 24), date(2024, 3, 29), date(2022, 6, 20))
    assert sessions_between("XNYS", date(2012, 10, 26), date(2012, 10, 31)) == [date(2012, 10, 26), date(2012, 10, 31)]
    assert sessions_between("XNYS", date(2001, 9, 10), date(2001, 9, 17)) == [date(2001, 9, 10), date(2001, 9, 17)]


def test_years_have_their_known_numbers_of_sessions() -> None:
    counts = {2001: 248, 2011: 252, 2012: 250, 2020: 253, 2023: 250}
    assert {year: len(sessions_between("XNYS", date(year, 1, 1), date(year, 12, 31))) for year in counts} == counts


def test_london_has_its_own_holidays() -> None:
    assert _closed("XLON", date(2022, 9, 19), date(2023, 5, 8), date(2011, 4, 29), date(2024, 8, 26))
    assert sessions_between("XLON", date(2023, 7, 4), date(2023, 7, 4)) == [date(2023, 7, 4)]


def test_crypto_never_closes() -> None:
    year = sessions_between("24/7", date(2024, 1, 1), date(2024, 12, 31))
    assert year == [date(2024, 1, 1) + timedelta(days=day) for day in range(366)]


def test_there_are_no_sessions_if_the_end_is_before_the_start() -> None:
    assert sessions_between("XNYS", date(2020, 1, 3), date(2020, 1, 2)) == []


def test_an_unknown_exchange_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(SettingsError, match=r"Unknown exchange 'XLOON'\. Did you mean 'XLON'\?"):
        sessions_between("XLOON", date(2020, 1, 1), date(2020, 1, 5))
    with pytest.raises(SettingsError):
        next_sessions(date(2020, 1, 1), 3, exchange="nowhere")


def test_holidays_are_skipped_where_the_exchange_is_known() -> None:
    assert next_sessions(date(2023, 6, 30), 3, exchange="XNYS") == [
        date(2023, 7, 3),
        date(2023, 7, 5),
        date(2023, 7, 6),
    ]
    assert next_sessions(date(2023, 6, 30), 3) == [date(2023, 7, 3), date(2023, 7, 4), date(2023, 7, 5)]


def test_beyond_the_end_of_a_calendar_weekdays_are_sessions() -> None:
    ahead = next_sessions(date(2090, 12, 1), 30, exchange="XHKG")
    assert len(ahead) == 30
    assert all(day.weekday() < 5 for day in ahead)


@given(
    after=st.dates(date(1990, 1, 1), date(2030, 1, 1)),
    count=st.integers(0, 60),
    exchange=st.sampled_from([None, "XNYS", "XLON", "24/7"]),
)
@settings(deadline=None, max_examples=40)
def test_the_next_sessions_are_as_many_as_requested_and_in_order(after: date, count: int, exchange: str | None) -> None:
    ahead = next_sessions(after, count, exchange=exchange)
    assert len(ahead) == count
    assert ahead == sorted(set(ahead))
    assert all(day > after for day in ahead)
    if exchange is not None and count:
        assert ahead == [day for day in sessions_between(exchange, after, ahead[-1]) if day > after]


@given(
    st.sampled_from(["XNYS", "XLON", "XTKS", "24/7", None]),
    st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2025, 1, 1)),  # noqa: DTZ001 - UTC without a zone
)
def test_the_last_session_that_has_closed_is_the_one_before_the_next_close(
    exchange: str | None, moment: datetime
) -> None:
    day = last_closed(exchange, moment)
    ((session, close),) = closes_between(exchange, day, day)
    assert session == day
    assert close <= moment < next_close(exchange, day)
    if exchange is not None:
        assert sessions_between(exchange, day, moment.date())[0] == day


def test_early_closes_are_known_and_unknown_exchanges_close_at_midnight() -> None:
    assert [close.isoformat() for _, close in closes_between("XNYS", date(2024, 7, 2), date(2024, 7, 5))] == [
        "2024-07-02T20:00:00",
        "2024-07-03T17:00:00",
        "2024-07-05T20:00:00",
    ]
    friday = closes_between(None, date(2024, 7, 5), date(2024, 7, 7))
    assert [(day, close.isoformat()) for day, close in friday] == [(date(2024, 7, 5), "2024-07-06T00:00:00")]
    assert next_close(None, date(2024, 7, 5)).isoformat() == "2024-07-09T00:00:00"


@pytest.mark.parametrize(
    ("exchange", "moment", "session", "opening"),
    [
        ("XNYS", "2024-01-12 14:29:59", "2024-01-12", "2024-01-12 14:30"),
        ("XNYS", "2024-01-12 14:30", "2024-01-16", "2024-01-16 14:30"),  # at the open; then a weekend and a holiday
        ("XNYS", "2024-07-03 20:00", "2024-07-05", "2024-07-05 13:30"),  # summer time
        ("XTKS", "2024-01-10 23:59", "2024-01-11", "2024-01-11 00:00"),
        ("XASX", "2024-01-10 22:30", "2024-01-11", "2024-01-10 23:00"),  # opens on the day before, in UTC
        (None, "2024-01-12 00:00", "2024-01-15", "2024-01-15 00:00"),
        (None, "2024-01-11 12:00", "2024-01-12", "2024-01-12 00:00"),
    ],
)
def test_the_next_open_is_the_first_after_a_moment(
    exchange: str | None, moment: str, session: str, opening: str
) -> None:
    found = next_open(exchange, datetime.fromisoformat(moment))
    assert found == (date.fromisoformat(session), datetime.fromisoformat(opening))


def test_the_next_open_is_found_by_going_through_all_opens() -> None:
    import exchange_calendars

    calendar = exchange_calendars.get_calendar("XLON", start="2023-01-01", end="2024-12-31")
    opens = [(day.date(), at.to_pydatetime().replace(tzinfo=None)) for day, at in calendar.opens.items()]
    moment = datetime(2023, 3, 1, 3, 17)  # noqa: DTZ001
    while moment < datetime(2024, 6, 1):  # noqa: DTZ001
        assert next_open("XLON", moment) == next(pair for pair in opens if pair[1] > moment)
        moment += timedelta(hours=13, minutes=11)


@pytest.mark.parametrize("exchange", ["XNYS", "XKRX", "24/7", None])
def test_a_moment_of_any_year_has_a_next_open(exchange: str | None) -> None:
    moments = [datetime(year, 9, 21) for year in (1, 1500, 1677, 2262, 9999)]  # noqa: DTZ001
    years = [next_open(exchange, moment)[0].year for moment in moments]
    assert years == [1900, 1900, 1900, 2200, 2200]
    for day in (date.min, date(1500, 6, 1), date(2500, 6, 1)):
        assert exchange is None or sessions_between(exchange, day, day + timedelta(days=20)) == []
