"""Read moments as files write them, into UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = ["moment_of"]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")
_SECONDS = re.compile(r"\d{9,10}(?:\.\d+)?")
_MILLISECONDS = re.compile(r"\d{12,13}")
_MAIL = re.compile(r"(?:[A-Za-z]{3},\s*)?\d{1,2}\s+[A-Za-z]{3}\s+\d{4}\s+\d{1,2}:\d{2}")


def moment_of(cell: object, zone: ZoneInfo | None = None) -> datetime | Literal["no zone"] | None:
    """Return a moment in UTC, without a zone; 'no zone' if it needs one to be known, and None if it is none.

    Parameters
    ----------
    cell
        ISO 8601, the form of mails, or the number of seconds or milliseconds since 1970.
    zone
        Zone of moments that name none. Of a moment that a clock shows twice, when it is set back, the later one
        is taken. A day alone is its end, the last second of it.

    Examples
    --------
    >>> moment_of("2024-01-31T09:30:00-05:00"), moment_of("2024-01-31 09:30")
    (datetime.datetime(2024, 1, 31, 14, 30), 'no zone')
    """
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    text = str(cell).strip()
    try:
        read = _read(text)
        if read.tzinfo is None:
            if zone is None:
                return "no zone"
            read = read.replace(tzinfo=zone, fold=1)
        return read.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None


def _read(text: str) -> datetime:
    """Return a moment with the zone that it names, if it does."""
    if _DAY.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), time(23, 59, 59))
    if _SECONDS.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    if _MILLISECONDS.fullmatch(text):
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    return parsedate_to_datetime(text) if _MAIL.match(text) else datetime.fromisoformat(text.replace(" Z", "Z"))
