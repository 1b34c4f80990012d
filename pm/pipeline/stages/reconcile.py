"""Compare the ledger with what the broker tells, and accept differences."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from pm.broker.base import BrokerAccount
from pm.broker.reconcile import accept_differences, compare
from pm.broker.sending import settle_forgotten
from pm.clock import utc_now
from pm.errors import InputError
from pm.ledger.money import ZERO, money
from pm.pipeline.at_broker import (
    account_of,
    differing_error,
    drained,
    known_tickers,
    open_account,
    trade_stage,
)
from pm.pipeline.trading import ledger_day, new_rows, prices_of, rates_of
from pm.pipeline.writes import Result
from pm.plural import plural
from pm.tables.vocabulary import BrokerName, OrderState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.broker.positions_file import PositionsFile
    from pm.pipeline.stage import Context, Stage

__all__ = ["accepting", "reconciling", "reconciling_file"]


def reconciling(account: str | None) -> Stage:
    """Return the stage that compares the ledger with the broker's account."""
    return trade_stage(partial(_reconcile, account=account))


def reconciling_file(account: str | None, told: PositionsFile, *, where: str) -> Stage:
    """Return the stage that compares the ledger with the positions and the cash of a broker's file."""
    return trade_stage(partial(_reconcile_file, account=account, told=told, where=where))


def accepting(account: str | None, *, reason: str, person: str) -> Stage:
    """Return the stage that accepts the differences that the newest reconciliation found."""
    return trade_stage(partial(_accept, account=account, reason=reason, person=person), network=False)


def _reconcile(context: Context, *, account: str | None) -> Iterator[Result]:
    ledger, row = account_of(context, account)
    broker, told = open_account(context, row)
    try:
        ended = settle_forgotten(ledger, broker, row["account"], now=utc_now())
    finally:
        broker.close()
    if ended:
        context.notify(f"{plural(ended, 'order')} of which the broker does not tell any more: taken as ended")
    differences = compare(ledger, row["account"], told, context.settings.broker, known_tickers(context, ledger))
    if not differences:
        yield Result(drained(ledger), "the ledger and the broker agree")
        return
    yield Result(drained(ledger), plural(len(differences), "difference"))
    raise differing_error(row["account"], differences)


def _reconcile_file(context: Context, *, account: str | None, told: PositionsFile, where: str) -> Iterator[Result]:
    ledger, row = account_of(context, account)
    if row["broker"] == BrokerName.PAPER:
        raise InputError(
            f"Account {row['account']} is a paper account, which no broker has a file of.",
            where=where,
            hint="name an account at a broker with --account, or take the positions over: pm account import FILE",
        )
    base, day = row["currency"], ledger_day(context)
    rates = rates_of(context, base, {position.currency or base for position in told.held if position.ticker is None})
    spellings = {ticker.casefold(): ticker for ticker in ledger.books[row["account"]].positions()}
    cash, positions = ZERO, dict[str, Decimal]()
    for position in told.held:
        if position.ticker is None:
            cash += money(position.shares * rates.rate(position.currency or base, day))
        else:
            ticker = spellings.get(position.ticker.casefold(), position.ticker)
            positions[ticker] = positions.get(ticker, ZERO) + position.shares
    seen = BrokerAccount(row["number"] or "", base, cash if told.has_cash else None, positions, clock=None, live=False)
    differences = compare(ledger, row["account"], seen, context.settings.broker, known_tickers(context, ledger))
    if not told.has_cash:
        context.notify(f"{where} does not tell cash, which is not compared")
    found = plural(len(differences), "difference") if differences else f"the ledger and {where} agree"
    yield Result(drained(ledger), found)
    if differences:
        raise differing_error(row["account"], differences)


def _accept(context: Context, *, account: str | None, reason: str, person: str) -> Result:
    ledger, row = account_of(context, account)
    name = row["account"]
    if not reason.strip():
        raise InputError("A difference is accepted for a reason.", where="--accept", hint='--accept --reason "…"')
    day = ledger_day(context)
    tickers = [found["ticker"] for found in ledger.differences(name) if found["ticker"] is not None]
    prices = prices_of(context, ledger.books[name], tickers, day)
    quotes = {ticker: prices.quote(ticker, ledger.books[name]) for ticker in tickers}
    unknown = sorted(ticker for ticker, quote in quotes.items() if quote is None)
    if unknown:
        raise InputError(
            f"There is no close of {unknown[0]}, by which to take it over.",
            where="table bars",
            hint="fetch or import its bars, or import the position with its cost: pm account import FILE",
        )
    count = accept_differences(
        ledger,
        name,
        day=day,
        quotes={ticker: quote for ticker, quote in quotes.items() if quote is not None},
        reason=reason,
        person=person,
    )
    # What was planned followed from what the ledger had.
    planned = [order for order in ledger.open_orders(name) if order.state == OrderState.PLANNED] if count else []
    for order in planned:
        ledger.order_event(order.order_id, OrderState.CANCELLED, detail="planned before differences were accepted")
    anew = f"; {plural(len(planned), 'planned order')} cancelled, pm run plans anew" if planned else ""
    return Result(new_rows(ledger), f"{plural(count, 'difference')} accepted{anew}")
