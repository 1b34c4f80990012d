"""Compare the ledger of an account with what its broker tells."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from pm.ledger.money import ZERO
from pm.sources.symbols import known_spelling
from pm.tables.vocabulary import CashKind, HaltCause

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from pm.broker.base import BrokerAccount
    from pm.broker.planning import Quote
    from pm.ledger.ledger import Ledger
    from pm.settings.broker import BrokerSettings

__all__ = ["accept_differences", "compare"]


def compare(
    ledger: Ledger, account: str, told: BrokerAccount, settings: BrokerSettings, known: Collection[str] = ()
) -> list[str]:
    """Add a row for cash and for each ticker that the ledger or the broker has; return the differences, in words.

    Cash that the broker does not tell is not compared.

    No trade is made up. A difference stops trading until a person has accepted it.

    Parameters
    ----------
    known
        Tickers as the lake spells them, besides those of the account. The broker can spell a class of shares otherwise.
    """
    book = ledger.books[account]
    ours = book.positions()
    names = [*ours, *book.currencies, *known]
    theirs: dict[str, Decimal] = {}
    for symbol, shares in told.positions.items():
        known_as = known_spelling(symbol, names)
        theirs[known_as] = theirs.get(known_as, ZERO) + shares
    differences = []
    tolerance = Decimal(str(settings.cash_tolerance))
    rows: list[tuple[str | None, Decimal, Decimal, bool]] = []
    if told.cash is not None:
        rows.append((None, book.cash, told.cash, abs(book.cash - told.cash) <= tolerance))
    for held in sorted(ours.keys() | theirs.keys()):
        own, other = ours.get(held, ZERO), theirs.get(held, ZERO)
        rows.append((held, own, other, own == other))
    for name, own, other, matches in rows:
        what = "cash" if name is None else f"shares of {name}"
        detail = None if matches else f"{what}: {own.normalize():f} in the ledger, {other.normalize():f} at the broker"
        ledger.add_comparison(
            account=account, ticker=name, ledger_value=own, broker_value=other, matches=matches, accepted=False,
            detail=detail,
        )  # fmt: skip
        differences += [] if detail is None else [detail]
    if differences:
        ledger.halt(HaltCause.RECONCILIATION, f"Account {account} differs from its broker.", account=account)
    return differences


def accept_differences(
    ledger: Ledger, account: str, *, day: date, quotes: dict[str, Quote], reason: str, person: str
) -> int:
    """Bring the ledger to what the broker told in the newest reconciliation, and return the number of differences.

    Cash is corrected by an event of its own; shares are taken over, or given up, at the last close, so that neither has
    a gain. The halt that the reconciliation set ends; others stay.

    Parameters
    ----------
    quotes
        Last closes of the tickers that differ.
    """
    book, found = ledger.books[account], ledger.differences(account)
    for row in found:
        change = row["broker_value"] - row["ledger_value"]
        name = f"accept-{row['sequence']}"
        if row["ticker"] is None:
            event = book.cash_event(CashKind.CORRECTION, change, day=day, name=name, detail=reason)
        else:
            quote = quotes[row["ticker"]]
            event = book.adjust(
                row["ticker"], change, price=quote.price, day=day, currency=quote.currency, rate=quote.rate, name=name,
                detail=reason,
            )  # fmt: skip
        ledger.add_cash_event(event)
        ledger.add_comparison(
            account=account, ticker=row["ticker"], ledger_value=row["broker_value"], broker_value=row["broker_value"],
            matches=True, accepted=True, detail=reason,
        )  # fmt: skip
    ledger.resume(reason, person=person, cause=HaltCause.RECONCILIATION, account=account)
    return len(found)
