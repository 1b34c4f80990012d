"""Read moments as files write them, into UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = ["moment_of"]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}|\d{4}-?W\d{2}-?\d")
"""A day, as ISO 8601 writes it: of a month, or of a week."""
_SECONDS = re.compile(r"\d{9,10}(?:\.\d+)?")
_MILLISECONDS = re.compile(r"\d{13}")
"""Milliseconds since 2001. Twelve digits are as likely a time written as 202401311430, and are refused."""
_ISO = re.compile(
    rf"(?:{_DAY.pattern})[T ]\d{{2}}:?\d{{2}}(?::?\d{{2}}(?:[.,]\d+)?)?\s?(?P<zone>Z|UTC|[+-]\d{{2}}(?::?\d{{2}})?)?"
)
_MAIL = re.compile(
    r"(?:[A-Za-z]{3},?\s+)?\d{1,2}\s+[A-Za-z]{3,9}\s+\d{4}\s+\d{1,2}:\d{2}(?::\d{2})?"
    r"(?:\s+(?P<zone>[^\s()]+))?(?:\s*\([^()]*\))?"
)
_MAIL_ZONE = re.compile(r"[+-]\d{4}|UT|UTC|GMT|Z|[ECMP][SD]T")
"""A zone of the form of mails: of names, those that RFC 822 gives an offset from UTC."""


def moment_of(cell: object, zone: ZoneInfo | None = None) -> datetime | Literal["no zone", "unknown zone"] | None:
    """Return a moment in UTC, without a zone.

    A moment that needs a zone to be known is 'no zone', one whose zone has a name that is not understood is
    'unknown zone', and what is no moment is None.

    Parameters
    ----------
    cell
        ISO 8601 with hours and minutes, or a day alone; the form of mails; or the number of seconds (9 or 10 digits) or
        milliseconds (13 digits) since 1970.
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
        if not isinstance(read, datetime):
            return read
        if read.tzinfo is None:
            if zone is None:
                return "no zone"
            read = read.replace(tzinfo=zone, fold=1)
        return read.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None


def _read(text: str) -> datetime | Literal["unknown zone"] | None:
    """Return a moment with the zone that it names, if it does."""
    if _DAY.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), time(23, 59, 59))
    if _SECONDS.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    if _MILLISECONDS.fullmatch(text):
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    if _ISO.fullmatch(text):
        return datetime.fromisoformat(text.replace("UTC", "Z").replace(" Z", "Z"))
    mail = _MAIL.fullmatch(text)
    return None if mail is None else _of_mail(text, mail["zone"])


def _of_mail(text: str, zone: str | None) -> datetime | Literal["unknown zone"]:
    if zone is not None and not _MAIL_ZONE.fullmatch(zone):
        return "unknown zone"
    read = parsedate_to_datetime(text)
    # Zone -0000 is UTC, in which the sender does not say where he is; the library takes it for none.
    return read.replace(tzinfo=UTC) if zone is not None and read.tzinfo is None else read
