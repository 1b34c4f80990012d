"""An exchange's trading days: which there were, and which come next."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from pm.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["next_sessions", "sessions_between"]

_EARLIEST = date(1960, 1, 1)


def sessions_between(exchange: str, start: date, end: date) -> list[date]:
    """Give the exchange's sessions from `start` to `end`, both included.

    Raises
    ------
    SettingsError
        An exchange code nobody knows; the nearest known one is named.
    """
    if end < start:
        return []
    calendar = _calendar(exchange, date(start.year // 10 * 10, 1, 1), date(end.year // 10 * 10 + 10, 12, 31))
    first = max(start, calendar.first_session.date())
    last = min(end, calendar.last_session.date())
    return [stamp.date() for stamp in calendar.sessions_in_range(first, last)] if first <= last else []


def next_sessions(after: date, count: int, *, exchange: str | None = None, observed: Sequence[date] = ()) -> list[date]:
    """Give the `count` sessions that follow a day.

    Parameters
    ----------
    after
        The last known session.
    count
        How many to give.
    exchange
        Its code. Where it is None, and beyond the last day its calendar knows, the weekdays seen in `observed`
        (Monday to Friday if none) are taken for sessions: a market that trades at weekends is forecast at weekends,
        and holidays are not known.
    observed
        Recent days that had a bar.
    """
    days: list[date] = []
    if exchange is not None:
        ahead = sessions_between(exchange, after, after + timedelta(days=count * 2 + 15))
        days = [day for day in ahead if day > after][:count]
    weekdays = {day.weekday() for day in observed} or {0, 1, 2, 3, 4}
    day = days[-1] if days else after
    while len(days) < count:
        day += timedelta(days=1)
        if day.weekday() in weekdays:
            days.append(day)
    return days


@cache
def _calendar(exchange: str, start: date, end: date) -> Any:  # noqa: ANN401 - the library is untyped
    """Build a calendar of whole decades, so that nearby questions share one, within the library's own bounds."""
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
    except ValueError:  # the decades reach beyond what the library knows of this exchange
        kind = type(exchange_calendars.get_calendar(exchange))
        earliest, latest = kind.bound_min(), kind.bound_max()
        first = max(start, earliest.date()) if earliest is not None else start
        last = min(end, latest.date()) if latest is not None else end
        if first >= last:  # none of them does it know
            return exchange_calendars.get_calendar(exchange)
        return exchange_calendars.get_calendar(exchange, start=str(first), end=str(last))
