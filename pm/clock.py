"""The present moment."""

from __future__ import annotations

from datetime import UTC, date, datetime

__all__ = ["utc_now", "utc_today"]


def utc_now() -> datetime:
    """Return the present moment in UTC, without a zone, as the lake stores times."""
    return datetime.now(UTC).replace(tzinfo=None)


def utc_today() -> date:
    """Return the present day in UTC."""
    return utc_now().date()
