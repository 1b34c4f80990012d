"""Compute the money-weighted return of dated payments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

__all__ = ["xirr"]

_DAYS = 365.0
"""Days of a year, as spreadsheets count them."""


def xirr(payments: Sequence[tuple[date, float]]) -> float | None:
    """Return the yearly rate at which payments are worth nothing together; None where there is no one such rate.

    Parameters
    ----------
    payments
        Days and amounts: negative for money paid in, positive for money taken out, the value at the end last.

    Notes
    -----
    The rate r solves Σ amount / (1 + r)^(days / 365) = 0.

    Examples
    --------
    >>> from datetime import date
    >>> round(xirr([(date(2020, 1, 1), -100.0), (date(2020, 12, 31), 110.0)]), 6)
    0.1
    """
    from scipy.optimize import brentq

    if not any(amount > 0 for _, amount in payments) or not any(amount < 0 for _, amount in payments):
        return None
    first = min(day for day, _ in payments)

    def value(rate: float) -> float:
        return sum((amount / (1 + rate) ** ((day - first).days / _DAYS) for day, amount in payments), 0.0)

    low, high = -0.999999, 1.0
    while value(low) * value(high) > 0:
        high *= 4
        if high > 1e6:
            return None
    root: float = brentq(value, low, high, xtol=1e-14, rtol=1e-14)
    return root
