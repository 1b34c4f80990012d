"""Sessions, the days on which an exchange trades: past ones, and the next ones."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Any

from pm.errors import SettingsError, did_you_mean

__all__ = [
    "SESSIONS_PER_YEAR",
    "closes_between",
    "day_at",
    "exchange_codes",
    "last_closed",
    "next_close",
    "next_open",
    "next_sessions",
    "sessions_between",
]

SESSIONS_PER_YEAR = 252
"""Sessions per year by which volatility is annualised, for every market; docs/decisions has why."""

_LONGEST_CLOSURE = timedelta(days=30)
"""Time longer than any exchange is closed."""
_EARLIEST, _LATEST = date(1900, 1, 1), date(2200, 1, 1)
"""First and last day of the calendars of exchanges: the library fails on days that pandas cannot tell."""
_SATURDAY = 5
"""Number of the weekday."""


def sessions_between(exchange: str, start: date, end: date) -> list[date]:
    """Return the exchange's sessions from `start` to `end`, both included.

    Raises
    ------
    SettingsError
        The exchange code is unknown; the message suggests the nearest known one.
    """
    if end < start:
        return []
    calendar = _of_decades(exchange, start, end)
    first = max(start, calendar.first_session.date())
    last = min(end, calendar.last_session.date())
    return [stamp.date() for stamp in calendar.sessions_in_range(first, last)] if first <= last else []


def next_sessions(after: date, count: int, *, exchange: str | None = None) -> list[date]:
    """Return the first `count` sessions after a day.

    Parameters
    ----------
    after
        The last known session.
    count
        Number of sessions to return.
    exchange
        ISO 10383 code of the exchange. If it is None, and beyond the last day of its calendar, Monday to Friday count
        as sessions; holidays are then not skipped. `pm.markets` learns the sessions of a market without a calendar.

    Raises
    ------
    SettingsError
        The exchange code is unknown.
    """
    days: list[date] = []
    if exchange is not None:
        ahead = sessions_between(exchange, after, after + timedelta(days=count * 2 + 15))
        days = [day for day in ahead if day > after][:count]
    day = days[-1] if days else after
    while len(days) < count:
        day += timedelta(days=1)
        if day.weekday() < _SATURDAY:
            days.append(day)
    return days


def closes_between(exchange: str | None, start: date, end: date) -> list[tuple[date, datetime]]:
    """Return the sessions from `start` to `end`, both included, each with the time in UTC at which it closes.

    Parameters
    ----------
    exchange
        ISO 10383 code of the exchange. If it is None, and beyond the last day of its calendar, each day from Monday to
        Friday is a session that closes at midnight UTC.
    start, end
        First and last day.

    Raises
    ------
    SettingsError
        The exchange code is unknown.
    """
    return list(_closes(exchange, start, end))


@lru_cache(maxsize=4096)  # a refresh asks the same of thousands of tickers
def _closes(exchange: str | None, start: date, end: date) -> tuple[tuple[date, datetime], ...]:
    closes: list[tuple[date, datetime]] = []
    if exchange is not None and end >= start:
        calendar = _of_decades(exchange, start, end)
        first, last = max(start, calendar.first_session.date()), min(end, calendar.last_session.date())
        if first <= last:
            times = calendar.closes[str(first) : str(last)]
            closes = [(day.date(), close.to_pydatetime().replace(tzinfo=None)) for day, close in times.items()]
        start = max(start, calendar.last_session.date() + timedelta(days=1))
    day = start
    while day <= end:
        if day.weekday() < _SATURDAY:
            closes.append((day, datetime.combine(day + timedelta(days=1), time(), UTC).replace(tzinfo=None)))
        day += timedelta(days=1)
    return tuple(closes)


def last_closed(exchange: str | None, moment: datetime) -> date:
    """Return the last session that had closed at a moment in UTC; see `closes_between`."""
    day = moment.date()
    closed = [session for session, close in closes_between(exchange, day - _LONGEST_CLOSURE, day) if close <= moment]
    return closed[-1] if closed else day - _LONGEST_CLOSURE


def day_at(exchange: str | None, moment: datetime) -> date:
    """Return the day at an exchange at a moment in UTC, without a zone: the date there.

    Parameters
    ----------
    exchange
        ISO 10383 code of the exchange; None for the date in UTC.

    Raises
    ------
    SettingsError
        The exchange code is unknown.
    """
    if exchange is None:
        return moment.date()
    zone = _of_decades(exchange, moment.date(), moment.date()).tz
    there: date = moment.replace(tzinfo=UTC).astimezone(zone).date()
    return there


def next_close(exchange: str | None, after: date) -> datetime:
    """Return the time in UTC at which the first session after a day closes; see `closes_between`."""
    closes = closes_between(exchange, after + timedelta(days=1), after + _LONGEST_CLOSURE)
    if closes:
        return closes[0][1]
    return datetime.combine(after + _LONGEST_CLOSURE, time(), UTC).replace(tzinfo=None)


def next_open(exchange: str | None, moment: datetime) -> tuple[date, datetime]:
    """Return the first session that opens after a moment in UTC, and the time in UTC at which it does.

    Parameters
    ----------
    exchange
        ISO 10383 code of the exchange. If it is None, and beyond the last day of its calendar, each day from Monday to
        Friday is a session that opens at midnight UTC.
    moment
        A moment in UTC, without a zone. A session that opens at this very moment is not the next one. A moment before
        1900 counts as the first of 1900, and one after 2199 as the first of 2200.

    Raises
    ------
    SettingsError
        The exchange code is unknown.
    """
    first, last = (datetime.combine(end, time(), UTC).replace(tzinfo=None) for end in (_EARLIEST, _LATEST))
    moment = min(max(moment, first), last)
    # An exchange in the east opens on the day before, as the clock in UTC has it.
    day = moment.date() - timedelta(days=1)
    for session, opening in _opens(exchange, day, day + _LONGEST_CLOSURE):
        if opening > moment:
            return session, opening
    day += _LONGEST_CLOSURE
    return day, datetime.combine(day, time(), UTC).replace(tzinfo=None)


@lru_cache(maxsize=4096)
def _opens(exchange: str | None, start: date, end: date) -> tuple[tuple[date, datetime], ...]:
    """Return the sessions from `start` to `end`, both included, each with the time in UTC at which it opens."""
    opens: list[tuple[date, datetime]] = []
    if exchange is not None:
        calendar = _of_decades(exchange, start, end)
        first, last = max(start, calendar.first_session.date()), min(end, calendar.last_session.date())
        if first <= last:
            times = calendar.opens[str(first) : str(last)]
            opens = [(day.date(), opening.to_pydatetime().replace(tzinfo=None)) for day, opening in times.items()]
        start = max(start, calendar.last_session.date() + timedelta(days=1))
    day = start
    while day <= end:
        if day.weekday() < _SATURDAY:
            opens.append((day, datetime.combine(day, time(), UTC).replace(tzinfo=None)))
        day += timedelta(days=1)
    return tuple(opens)


def exchange_codes() -> list[str]:
    """Return the codes of all exchanges that have a calendar."""
    import exchange_calendars  # takes 0.4 s to import

    names: list[str] = exchange_calendars.get_calendar_names(include_aliases=True)
    return names


def _of_decades(exchange: str, start: date, end: date) -> Any:  # noqa: ANN401 - the library is untyped
    """Return the calendar of an exchange over the decades around two days, as far as they are from 1900 to 2200."""
    start, end = (min(max(day, _EARLIEST), _LATEST) for day in (start, end))
    return _calendar(exchange, date(start.year // 10 * 10, 1, 1), date(end.year // 10 * 10 + 10, 12, 31))


@cache
def _calendar(exchange: str, start: date, end: date) -> Any:  # noqa: ANN401 - the library is untyped
    """Build the calendar of an exchange from `start` to `end`, as far as the library covers it.

    Callers pass whole decades, so that questions about nearby days use one cached calendar.
    """
    import exchange_calendars  # takes 0.4 s to import
    from exchange_calendars.errors import InvalidCalendarName

    try:
        return exchange_calendars.get_calendar(exchange, start=str(start), end=str(end))
    except InvalidCalendarName:
        known = exchange_calendars.get_calendar_names()
        raise SettingsError(
            f"Unknown exchange {exchange!r}.{did_you_mean(exchange, known)}",
            where="config/sources.yml, exchanges",
            hint="use an ISO 10383 code such as XNYS, XLON or 24/7",
        ) from None
    except ValueError:  # the decades reach beyond the days that the library covers for this exchange
        kind = type(exchange_calendars.get_calendar(exchange))
        earliest, latest = kind.bound_min(), kind.bound_max()
        first = max(start, earliest.date()) if earliest is not None else start
        last = min(end, latest.date()) if latest is not None else end
        if first >= last:  # the library covers none of these days
            return exchange_calendars.get_calendar(exchange)
        return exchange_calendars.get_calendar(exchange, start=str(first), end=str(last))
