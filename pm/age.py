"""Say how old bars are on the present day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.plural import plural

if TYPE_CHECKING:
    from datetime import date

__all__ = ["age"]


def age(day: date, today: date) -> str:
    """Return how long ago a day was, in calendar days.

    Examples
    --------
    >>> from datetime import date
    >>> age(date(2013, 3, 1), date(2013, 3, 4))
    '3 days ago'
    """
    days = (today - day).days
    return "today" if days <= 0 else f"{plural(days, 'day')} ago"
