from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.errors import InputError
from pm.schedule.job import Job
from pm.schedule.times import (
    find_zone,
    local_zone,
    next_time,
    parse_time,
    previous_time,
    same_clock,
    shifted_times,
)
from pm.schedule.units import render_timer

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Antarctica/Troll", "Asia/Kolkata",
     "Africa/Casablanca", "UTC"]
).map(ZoneInfo)  # fmt: skip
MINUTES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2036, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds UTC


@pytest.mark.parametrize(("text", "expected"), [("22:30", time(22, 30)), ("6:05", time(6, 5)), (" 00:00 ", time(0))])
def test_a_time_is_hours_and_minutes(text: str, expected: time) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text", ["", "24:00", "22:60", "2230", "22.30", "10:30pm", "22:3", "22:30:00", "-1:30", "٢٢:٣٠"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a time of day"):
        parse_time(text)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("Europe/Berln", "Europe/Berlin"), ("berlin", "Europe/Berlin"), ("New York", "America/New_York"),
     ("US/NewYork", "America/New_York"), ("europe/london", "Europe/London")],
)  # fmt: skip
def test_an_unknown_zone_is_refused_with_the_nearest_name(name: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"Did you mean '{meant}"):
        find_zone(name)


def test_every_zone_of_the_database_is_known() -> None:
    assert all(find_zone(name).key == name for name in available_timezones())


@pytest.mark.posix
@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "UTC"])
def test_the_machines_zone_is_that_of_the_variable_tz(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", name)
    assert local_zone().key == name


def test_zones_are_the_same_if_their_clocks_are() -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    assert same_clock(ZoneInfo("Etc/UTC"), ZoneInfo("UTC"), now)
    assert same_clock(ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/Vienna"), now)
    assert not same_clock(ZoneInfo("Europe/Berlin"), ZoneInfo("Africa/Tunis"), now)  # equal in winter only


def test_clocks_are_compared_alike_at_every_hour_of_a_day() -> None:
    """From half past two of one day to half past two of another is an hour that daylight saving skips."""
    here, other = ZoneInfo("America/Toronto"), ZoneInfo("America/New_York")
    for hour in range(24):
        assert same_clock(here, other, datetime(2026, 11, 28, hour, 30, tzinfo=here))


def next_nights(at: time, zone: ZoneInfo, after: str, count: int) -> list[datetime]:
    moments = [datetime.fromisoformat(after)]
    for _ in range(count):
        moments.append(next_time(at, zone, moments[-1]))
    return moments[1:]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2026-03-27T12:00+00:00", ["28 02:30 +0100", "29 03:30 +0200", "30 02:30 +0200", "31 02:30 +0200"]),
        ("2026-10-23T12:00+00:00", ["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100", "27 02:30 +0100"]),
    ],
)
def test_a_night_at_half_past_two_is_once_a_day_when_the_clocks_change(after: str, expected: list[str]) -> None:
    assert [f"{night:%d %H:%M %z}" for night in next_nights(time(2, 30), BERLIN, after, 4)] == expected


def test_in_the_hour_that_comes_twice_the_second_half_past_two_is_no_night() -> None:
    again = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1)
    assert next_time(time(2, 30), BERLIN, again).isoformat() == "2026-10-26T02:30:00+01:00"
    assert previous_time(time(2, 30), BERLIN, again).isoformat() == "2026-10-25T02:30:00+02:00"


@given(at=MINUTES, zone=ZONES, moment=MOMENTS)
def test_there_is_one_night_on_every_day_of_the_zone(at: time, zone: ZoneInfo, moment: datetime) -> None:
    days: list[date] = []
    for _ in range(400):
        following = next_time(at, zone, moment)
        just_before = following.astimezone(UTC) - timedelta(seconds=1)
        assert following.astimezone(UTC) > moment.astimezone(UTC)
        assert previous_time(at, zone, following) == following
        assert previous_time(at, zone, just_before).astimezone(UTC) <= moment.astimezone(UTC)
        moment = following
        days.append(following.date())
    assert days == [days[0] + timedelta(days=place) for place in range(400)]


@given(at=MINUTES, zone=ZONES)
def test_shifted_times_are_the_only_ones_at_another_time_of_day(at: time, zone: ZoneInfo) -> None:
    shifted = shifted_times(at, zone, 2026, 2027)
    moment, seen = datetime(2025, 12, 31, 12, tzinfo=UTC), []
    while (moment := next_time(at, zone, moment)).year < 2028:
        if moment.year > 2025 and (moment.hour, moment.minute) != (at.hour, at.minute):
            seen.append(moment)
    assert shifted == seen


def systemd_calendar(calendar: str, since: str, count: int) -> list[datetime]:
    """Return the next times of a calendar event by systemd itself."""
    done = subprocess.run(
        ["systemd-analyze", "calendar", f"--base-time={since}", f"--iterations={count}", calendar],
        capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
    )  # fmt: skip
    found = [line.partition(":")[2].split() for line in done.stdout.splitlines() if "elapse" in line or "Iter" in line]
    return [datetime.fromisoformat(f"{words[1]}T{words[2]}+00:00") for words in found if words != ["never"]]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing (apt install systemd)")
@pytest.mark.parametrize("at", ["22:30", "02:30"])
@pytest.mark.parametrize("base", ["2026-03-26 12:00 UTC", "2026-10-22 12:00 UTC"])
def test_systemd_starts_a_timer_once_a_day_when_the_clocks_change(at: str, base: str) -> None:
    began = datetime.fromisoformat(f"{base[:10]}T12:00+00:00")
    job = Job(Path("/ws"), ("/python",), parse_time(at), "Europe/Berlin")
    timer = render_timer(job, BERLIN, datetime(2026, 1, 1, tzinfo=UTC))
    calendars = [line.partition("=")[2] for line in timer.splitlines() if line.startswith("OnCalendar=")]
    starts = {start for calendar in calendars for start in _within(calendar, base, began, days=7)}
    expected, moment = set(), began
    while (moment := next_time(job.at, BERLIN, moment)) < began + timedelta(days=7):
        expected.add(moment.astimezone(UTC))  # an hour that comes twice equals no moment of another zone
    assert starts == expected
    assert len(starts) == 7


def _within(calendar: str, base: str, began: datetime, *, days: int) -> list[datetime]:
    return [start for start in systemd_calendar(calendar, base, 10) if start < began + timedelta(days=days)]
