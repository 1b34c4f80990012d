"""Find the dividends that a broker has not paid yet.

The ledger has a dividend from its ex-date on, when the price has fallen by it; a broker pays it two to four weeks
later. Until then the broker has less cash.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from pm.tables.vocabulary import CashKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal
    from typing import Any

__all__ = ["recent_dividends", "unpaid_dividends"]

_MOST_SUMS = 200_000
"""Largest number of different sums that are looked at: beyond it, some sum is near any amount."""

Dividend = tuple[str, "date", "Decimal"]
"""Ticker, ex-date, and amount in the base currency."""


def recent_dividends(account: str, events: Iterable[Mapping[str, Any]], since: date) -> list[Dividend]:
    """Return the dividends of an account with an ex-date from a day on, corrections included, the newest first.

    Parameters
    ----------
    events
        Rows of cash_events.
    """
    found: dict[tuple[date, str], Decimal] = {}
    for row in events:
        is_dividend = row["kind"] == CashKind.DIVIDEND or (row["kind"] == CashKind.CORRECTION and not row["ratio"])
        if row["account"] == account and row["ticker"] is not None and is_dividend and row["date"] >= since:
            key = row["date"], row["ticker"]
            found[key] = found.get(key, row["base_amount"] * 0) + row["base_amount"]
    return [(ticker, day, amount) for (day, ticker), amount in sorted(found.items(), reverse=True) if amount]


def unpaid_dividends(difference: Decimal, dividends: Sequence[Dividend], tolerance: Decimal) -> list[Dividend] | None:
    """Return the dividends that together are what the ledger has more than the broker; None if none are.

    Where several choices are, the newest are taken. Of very many dividends, all are returned if the difference is
    between nothing and their sum: then some choice is near any amount.
    """
    # What is paid on a short position counts the other way round: as paid already unless it is chosen.
    taken = sum((amount for *_, amount in dividends if amount < 0), difference * 0)
    goal, slack = _units(difference - taken), _units(tolerance)
    sums: dict[int, tuple[int, int]] = {0: (0, -1)}
    for place, (*_, amount) in enumerate(dividends):
        step = abs(_units(amount))
        for known in list(sums):
            if known + step <= goal + slack:
                sums.setdefault(known + step, (known, place))
        if len(sums) > _MOST_SUMS:
            return list(dividends) if 0 <= goal <= sum(abs(_units(one)) for *_, one in dividends) else None
    ordered = sorted(sums)
    near = ordered[max(bisect_left(ordered, goal) - 1, 0) :][:2]
    best = min(near, key=lambda value: abs(value - goal))
    if abs(best - goal) > slack:
        return None
    chosen = set()
    while best:
        best, place = sums[best]
        chosen.add(place)
    return [one for place, one in enumerate(dividends) if (place in chosen) == (one[2] > 0)]


def _units(amount: Decimal) -> int:
    """Return an amount in units of the smallest that the ledger knows."""
    return int(amount.scaleb(4))
