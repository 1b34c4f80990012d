"""Record dividends and splits of what an account holds, once each, and correct those that a source tells anew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date  # noqa: TC003 - a field's type
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pm.ledger.book import event_id
from pm.ledger.money import ZERO, money, ratio_of
from pm.tables.vocabulary import CashKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.ledger.book import Book

__all__ = ["KnownAction", "record_action"]

_DIVIDEND, _SPLIT = "dividend", "split"


@dataclass(frozen=True)
class KnownAction:
    """A dividend or a split as sources tell it now.

    Attributes
    ----------
    kind
        'dividend' or 'split'.
    value
        Dividend per share, or new shares for an old one; None if the user took it back.
    before, on
        Closes as traded before the ex-date and on it; None without such a bar.
    certain
        Whether it counts even if the closes do not show it: a vendor whose bars are as traded, or the user, told it.
    """

    ticker: str
    date: date
    kind: str
    value: float | None
    before: float | None
    on: float | None
    certain: bool = True

    @property
    def problem(self) -> str | None:
        """Why it cannot be recorded, in a sentence; None if it can."""
        if self.value is None:
            return None
        if not math.isfinite(self.value) or self.value <= 0:
            return f"The {self.kind} of {self.ticker} on {self.date} has an impossible value, {self.value}."
        if self.kind == _DIVIDEND and self.before is not None and self.value >= self.before:
            return (
                f"The dividend of {self.ticker} on {self.date}, {self.value:g}, is not below the close before, "
                f"{self.before:g}; it was not recorded."
            )
        if self.kind == _SPLIT and not self.certain and self.before and self.on:
            expected, move = -math.log(self.value), math.log(self.on / self.before)
            if abs(move - expected) > abs(move):
                return f"The split of {self.ticker} on {self.date} does not show in the closes; it was not recorded."
        return None


def record_action(
    book: Book, action: KnownAction, *, rate: Callable[[str, date], Decimal]
) -> tuple[dict[str, Any] | None, Fraction | None]:
    """Return the row of an event that brings a book to what sources tell of a dividend or a split, and apply it.

    What the book has of it can differ in its value, and in the number of shares: of a split before it that was told
    later, or of a trade. Both are corrected.

    Parameters
    ----------
    action
        What sources tell; without a problem.
    rate
        Returns the rate of a currency on a day. It is asked for only if there is a row to make.

    Returns
    -------
    tuple
        The row, None if nothing changes; and for a split, the ratio by which open orders change.
    """
    if action.ticker not in book.histories:
        return None, None
    return _record_split(book, action, rate) if action.kind == _SPLIT else (_record_dividend(book, action, rate), None)


def _record_split(
    book: Book, action: KnownAction, rate: Callable[[str, date], Decimal]
) -> tuple[dict[str, Any] | None, Fraction | None]:
    ticker, day = action.ticker, action.date
    known, told = book.splits.get((ticker, day)), Fraction(1) if action.value is None else ratio_of(action.value)
    if not book.is_split_due(ticker, told, day):
        return None, None
    change = told if known is None else told / known.ratio
    currency = book.currencies[ticker]
    close = action.on if action.on is not None else (action.before or 0.0) / float(told)
    row = book.split(
        ticker,
        told,
        day=day,
        price=Decimal(repr(float(close))).quantize(Decimal("0.000001")),
        currency=currency,
        rate=rate(currency, day),
        **_named(book, action, is_known=known is not None),
    )
    return row, None if row is None or change == 1 else change


def _record_dividend(book: Book, action: KnownAction, rate: Callable[[str, date], Decimal]) -> dict[str, Any] | None:
    ticker, day = action.ticker, action.date
    told = (
        Fraction(0) if action.value is None else Fraction(Decimal(repr(action.value)).quantize(Decimal("0.000000001")))
    )
    known = book.dividends.get((ticker, day))
    value, amount = known or (Fraction(0), ZERO)
    due = money(Fraction(book.shares_before(ticker, day)) * told)
    if due == amount:
        return None
    currency, named = book.currencies[ticker], _named(book, action, is_known=known is not None)
    return book.cash_event(
        CashKind.DIVIDEND if known is None else CashKind.CORRECTION,
        due - amount,
        day=day,
        currency=currency,
        rate=rate(currency, day),
        ticker=ticker,
        value=_decimal(told - value),
        **named,
    )


def _named(book: Book, action: KnownAction, *, is_known: bool) -> dict[str, Any]:
    """Return the name of the event of an action, and of the one that it corrects."""
    first = event_id(book.account, action.kind, action.ticker, action.date)
    if not is_known:
        return {"name": first, "corrects": None}
    return {
        "name": event_id(book.account, action.kind, action.ticker, action.date, action.value, len(book.known)),
        "corrects": first,
    }


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
