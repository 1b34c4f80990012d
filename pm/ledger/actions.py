"""Record dividends and splits of what an account holds, once each, and correct those that a source tells anew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date  # noqa: TC003 - a field's type
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pm.ledger.book import event_id
from pm.ledger.money import ratio_of
from pm.tables.vocabulary import CashKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pm.ledger.book import Book

__all__ = ["KnownAction", "actions_known", "record_action"]

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


def actions_known(account: str, events: Iterable[Mapping[str, Any]]) -> dict[tuple[str, date, str], Fraction]:
    """Return what is recorded of each ticker, ex-date and kind: dividend per share, or ratio, corrections included."""
    known: dict[tuple[str, date, str], Fraction] = {}
    for row in events:
        if row["account"] != account or row["ticker"] is None:
            continue
        if row["kind"] not in {CashKind.DIVIDEND, CashKind.SPLIT, CashKind.CORRECTION}:
            continue
        if row["ratio"]:
            key = (row["ticker"], row["date"], _SPLIT)
            known[key] = known.get(key, Fraction(1)) * Fraction(row["ratio"])
        elif row["value"] is not None:
            key = (row["ticker"], row["date"], _DIVIDEND)
            known[key] = known.get(key, Fraction(0)) + Fraction(row["value"])
    return known


def record_action(
    book: Book,
    action: KnownAction,
    recorded: Fraction | None,
    *,
    rate: Callable[[str, date], Decimal],
) -> tuple[dict[str, Any] | None, Fraction | None]:
    """Return the row of an event that brings a book to what sources tell of a dividend or a split, and apply it.

    Parameters
    ----------
    action
        What sources tell; without a problem.
    recorded
        What the ledger has of it; None if nothing.
    rate
        Returns the rate of a currency on a day.

    Returns
    -------
    tuple
        The row, None if nothing changes; and for a split, the ratio by which open orders change.
    """
    ticker, day = action.ticker, action.date
    if ticker not in book.currencies:
        return None, None
    currency = book.currencies[ticker]
    corrects = None if recorded is None else event_id(book.account, action.kind, ticker, day)
    name = event_id(
        book.account, action.kind, ticker, day, *(() if recorded is None else (action.value, len(book.known)))
    )
    if action.kind == _SPLIT:
        told = Fraction(1) if action.value is None else ratio_of(action.value)
        ratio = told / (recorded or 1)
        if ratio == 1:
            return None, None
        close = action.on if action.on is not None else (action.before or 0.0) / float(ratio)
        row = book.split(
            ticker,
            ratio,
            day=day,
            price=Decimal(repr(float(close))).quantize(Decimal("0.000001")),
            currency=currency,
            rate=rate(currency, day),
            name=name,
            corrects=corrects,
        )
        return row, None if row is None else ratio
    told = (
        Fraction(0) if action.value is None else Fraction(Decimal(repr(action.value)).quantize(Decimal("0.000000001")))
    )
    change = told - (recorded or 0)
    shares = book.shares_before(ticker, day)
    if not change or not shares:
        return None, None
    row = book.cash_event(
        CashKind.CORRECTION if corrects else CashKind.DIVIDEND,
        _decimal(Fraction(shares) * change),
        day=day,
        name=name,
        currency=currency,
        rate=rate(currency, day),
        ticker=ticker,
        value=_decimal(change),
        corrects=corrects,
    )
    return row, None


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
