"""Compare the ledger of an account with what its broker tells."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pm.broker.unpaid_dividends import recent_dividends, unpaid_dividends
from pm.clock import utc_today
from pm.errors import InputError
from pm.ledger.money import ZERO
from pm.plural import first_of
from pm.sources.symbols import known_spelling
from pm.tables.ledger import CASH_EVENTS
from pm.tables.vocabulary import CashKind, HaltCause

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pm.broker.base import BrokerAccount
    from pm.broker.planning import Quote
    from pm.ledger.book import Book
    from pm.ledger.ledger import Ledger
    from pm.settings.broker import BrokerSettings

__all__ = ["accept_differences", "compare"]


def compare(
    ledger: Ledger,
    account: str,
    told: BrokerAccount,
    settings: BrokerSettings,
    known: Collection[str] = (),
    *,
    today: date | None = None,
) -> list[str]:
    """Add a row for cash and for each ticker that the ledger or the broker has; return the differences, in words.

    Cash that the broker does not tell is not compared.

    No trade is made up. A difference stops trading until a person has accepted it. Cash that dividends explain which
    the broker has not paid yet is none.

    Parameters
    ----------
    today
        Day of the comparison; by default, that of the clock.
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
    if told.cash is not None:
        since = (today or utc_today()) - timedelta(days=settings.dividend_days)
        matches, detail = _compared_cash(ledger, account, told.cash, since, Decimal(str(settings.cash_tolerance)))
        ledger.add_comparison(
            account=account, ticker=None, ledger_cash=book.cash, broker_cash=told.cash, matches=matches,
            accepted=False, detail=detail,
        )  # fmt: skip
        differences += [] if matches else [detail or ""]
    for held in sorted(ours.keys() | theirs.keys()):
        own, other = ours.get(held, ZERO), theirs.get(held, ZERO)
        detail = None if own == other else _differing(f"shares of {held}", own, other)
        ledger.add_comparison(
            account=account, ticker=held, ledger_value=own, broker_value=other, matches=own == other, accepted=False,
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

    Raises
    ------
    InputError
        The ledger has changed since the reconciliation: what it found may be explained by now.
    """
    book, found = ledger.books[account], ledger.differences(account)
    for row in found:
        _require_unchanged(book, row)
    for row in found:
        compared, told = _values(row)
        change, name = told - compared, f"accept-{row['sequence']}"
        if row["ticker"] is None:
            event = book.cash_event(CashKind.ACCEPTED, change, day=day, name=name, detail=reason)
        else:
            quote = quotes[row["ticker"]]
            event = book.adjust(
                row["ticker"], change, price=quote.price, day=day, currency=quote.currency, rate=quote.rate, name=name,
                detail=reason,
            )  # fmt: skip
        ledger.add_cash_event(event)
        columns = ("ledger_cash", "broker_cash") if row["ticker"] is None else ("ledger_value", "broker_value")
        ledger.add_comparison(
            account=account, ticker=row["ticker"], matches=True, accepted=True, detail=reason,
            **dict.fromkeys(columns, told),
        )  # fmt: skip
    ledger.resume(reason, person=person, cause=HaltCause.RECONCILIATION, account=account)
    return len(found)


def _compared_cash(
    ledger: Ledger, account: str, told: Decimal, since: date, tolerance: Decimal
) -> tuple[bool, str | None]:
    """Return whether the cash agrees, and what there is to say of it."""
    own = ledger.books[account].cash
    if abs(own - told) <= tolerance:
        return True, None
    recent = recent_dividends(account, ledger.rows[CASH_EVENTS.qualified], since)
    unpaid = unpaid_dividends(own - told, recent, tolerance)
    names = [f"{ticker} {amount.normalize():f} (ex-date {day})" for ticker, day, amount in unpaid or recent]
    detail = _differing("cash", own, told)
    if unpaid:
        return True, f"{detail}; not paid yet: {first_of(names)}"
    return False, f"{detail}; maybe not paid yet: {first_of(names)}" if names else detail


def _differing(what: str, own: Decimal, other: Decimal) -> str:
    return f"{what}: {own.normalize():,f} in the ledger, {other.normalize():,f} at the broker"


def _values(row: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Return what a comparison found in the ledger and at the broker; cash of older versions is among the shares."""
    if row["ledger_cash"] is not None:
        return row["ledger_cash"], row["broker_cash"]
    return row["ledger_value"], row["broker_value"]


def _require_unchanged(book: Book, row: Mapping[str, Any]) -> None:
    now = book.cash if row["ticker"] is None else book.shares(row["ticker"])
    compared, _ = _values(row)
    if now != compared:
        what = "cash" if row["ticker"] is None else f"number of shares of {row['ticker']}"
        raise InputError(
            f"The {what} in the ledger was {compared.normalize():f} when it was compared, and is "
            f"{now.normalize():f} now: the difference may be none any more.",
            where="table reconciliations",
            hint="compare again with pm trade reconcile, and accept what it finds then",
        )
