"""Times of day in time zones: the next one, the last one, and what daylight saving does to them."""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from pm.errors import InputError, ScheduleError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

__all__ = ["find_zone", "local_zone", "next_time", "parse_time", "previous_time", "same_clock", "shifted_times"]

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_DAY = timedelta(days=1)
_COMPARED_DAYS = 2 * 366
"""Number of days ahead on which two zones must have the same offset to count as the same."""


def parse_time(text: str) -> time:
    """Return a time of day from `HH:MM`, of 24 hours.

    Raises
    ------
    InputError
        The text is something else.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"{text!r} is not a time of day.", where="--at", hint="write hours and minutes, such as 22:30 or 06:05"
        )
    return time(int(found[1]), int(found[2]))


def find_zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name.

    Raises
    ------
    InputError
        There is no such zone; the message suggests the nearest one.
    """
    known = available_timezones()
    if name not in known:
        cities = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known, reverse=True)}
        same_city = cities.get(name.strip().rpartition("/")[2].replace(" ", "_").lower())
        guess = f" Did you mean {same_city!r}?" if same_city else did_you_mean(name, known)
        raise InputError(
            f"There is no time zone {name!r}.{guess}",
            where="--tz",
            hint="use a name of the IANA database, such as America/New_York, Europe/Berlin or UTC",
        )
    return ZoneInfo(name)


def local_zone() -> ZoneInfo:
    """Return the machine's time zone; UTC if the machine tells none, as the system's clock then shows.

    Raises
    ------
    ScheduleError
        The machine names a zone that is not in the IANA database.
    """
    import tzlocal

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that nothing is configured
            return tzlocal.reload_localzone()
    except (LookupError, ValueError, OSError, AttributeError) as error:
        raise ScheduleError(
            f"The time zone of this machine cannot be told: {error}.",
            where="variable TZ, /etc/localtime or /etc/timezone",
            hint="set the machine's time zone, as by `timedatectl set-timezone Europe/Berlin`",
        ) from None


def same_clock(one: ZoneInfo, other: ZoneInfo, now: datetime) -> bool:
    """Return whether clocks of two zones show the same time, now and in the two years to come."""
    # By UTC: a day added to a clock's time may end in the hour that daylight saving skips, which two zones read apart.
    days = [now.astimezone(UTC) + timedelta(days=day) for day in range(_COMPARED_DAYS)]
    return one.key == other.key or all(
        day.astimezone(one).utcoffset() == day.astimezone(other).utcoffset() for day in days
    )


def next_time(at: time, zone: ZoneInfo, after: datetime) -> datetime:
    """Return the first moment after another at which a night starts.

    There is one a day. A time that daylight saving skips is taken as if the clock had not been changed: 02:30 is 03:30
    then. Of a time that comes twice, the first counts.

    Parameters
    ----------
    at
        Time of day.
    zone
        Time zone in which it is meant.
    after
        A moment with a time zone.

    Returns
    -------
    datetime
        A moment in `zone`.
    """
    # In UTC: Python compares two times of one zone by the clock alone, and an hour comes twice in autumn.
    limit = after.astimezone(UTC)
    return next(moment for moment in _moments(at, zone, after, _DAY) if moment.astimezone(UTC) > limit)


def previous_time(at: time, zone: ZoneInfo, before: datetime) -> datetime:
    """Return the last moment up to another at which a night should have started; see `next_time`."""
    limit = before.astimezone(UTC)
    return next(moment for moment in _moments(at, zone, before, -_DAY) if moment.astimezone(UTC) <= limit)


def shifted_times(at: time, zone: ZoneInfo, first_year: int, last_year: int) -> list[datetime]:
    """Return the nights of some years that daylight saving moves to another time of day, since their own is skipped."""
    day, found = datetime(first_year, 1, 1, tzinfo=UTC).date(), []
    while day.year <= last_year:
        moment = _moment(day, at, zone)
        if moment.time() != at:
            found.append(moment)
        day += _DAY
    return found


def _moments(at: time, zone: ZoneInfo, near: datetime, step: timedelta) -> Iterator[datetime]:
    """Return the nights from two days before or after a moment on, forwards or backwards."""
    day = near.astimezone(zone).date() - 2 * step
    while True:
        yield _moment(day, at, zone)
        day += step


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    # By way of UTC a time that is skipped becomes one that exists. `fold` is 0: of two, the first.
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC).astimezone(zone)
