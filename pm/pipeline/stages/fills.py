"""Learn what became of orders: from the broker, or from a ticket that a person has filled in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pm.broker.reconcile import compare
from pm.broker.sending import sync_orders
from pm.clock import utc_now
from pm.errors import InputError
from pm.ledger.book import Trade
from pm.pipeline.at_broker import (
    account_of,
    committing,
    counted_orders,
    differing_error,
    drained,
    known_tickers,
    open_account,
    trade_stage,
)
from pm.pipeline.trading import new_rows, rates_of
from pm.pipeline.writes import Result
from pm.plural import plural
from pm.sessions import day_at
from pm.sources.symbols import exchange_code, exchange_suffix
from pm.tables.sources import UNIVERSE
from pm.tables.vocabulary import BrokerName, LotMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime

    from pm.broker.ticket import TicketLine
    from pm.ledger.book import Book
    from pm.ledger.orders import OrderNow
    from pm.pipeline.stage import Context, Stage

__all__ = ["reading_fills", "syncing"]

_LIKELY = 20
"""Largest ratio of a price that a person wrote and the last close: a misplaced separator makes 100 or 1,000."""


def syncing(account: str | None) -> Stage:
    """Return the stage that asks the broker what became of the orders."""
    return trade_stage(partial(_sync, account=account))


def reading_fills(account: str | None, lines: Sequence[TicketLine]) -> Stage:
    """Return the stage that records the trades of a ticket that a person has filled in: all of them, or none."""
    return trade_stage(partial(_read_fills, account=account, lines=tuple(lines)), network=False)


def _sync(context: Context, *, account: str | None) -> Iterator[Result]:
    ledger, row = account_of(context, account)
    name = row["account"]
    broker, _ = open_account(context, row)
    currencies = {order.row["currency"] for order in ledger.orders.values() if order.row["account"] == name}
    rates, settings = rates_of(context, row["currency"], currencies), context.settings.broker
    problems: list[str] = []
    differences: list[str] = []
    try:
        steps = sync_orders(
            ledger, broker, name, now=utc_now(), rate=rates.rate, day_of=_session_days(context), settings=settings,
            problems=problems,
        )  # fmt: skip
        for result in committing(ledger, steps):
            if result.summary:
                context.notify(result.summary)
            yield result
        if problems:
            differences = compare(ledger, name, broker.account(), settings, known_tickers(context, ledger))
    finally:
        broker.close()
    for problem in problems:
        context.notify(f"not recorded: {problem}")
    yield Result(drained(ledger), counted_orders(ledger, name))
    if differences:
        raise differing_error(name, differences)


def _session_days(context: Context) -> Callable[[str, datetime], date]:
    """Return the function that tells the session of a ticker at a time in UTC: the day at its exchange.

    Where the exchange is not known, that of New York counts for dollars, and the day in UTC for any other currency.
    """
    told = {row["ticker"]: row for row in context.read(UNIVERSE).iter_rows(named=True)}
    exchange_of = context.settings.sources.exchanges.exchange_of

    def day_of(ticker: str, moment: datetime) -> date:
        row = told.get(ticker, {})
        exchange = exchange_of(ticker, row.get("source") or "") or exchange_code(row.get("exchange"))
        if exchange is None and (row.get("currency") or "USD") == "USD" and not exchange_suffix(ticker):
            exchange = "XNYS"
        return day_at(exchange, moment)

    return day_of


def _read_fills(context: Context, *, account: str | None, lines: Sequence[TicketLine]) -> Result:
    ledger, row = account_of(context, account)
    count = 0
    for line in lines:
        order = ledger.orders.get(line.order_id)
        if order is None or order.row["account"] != row["account"]:
            raise InputError(
                f"There is no order {line.order_id!r} in account {row['account']}.",
                where=line.where,
                hint="leave the column order_id as it was in the ticket",
            )
        _require_likely(line, order)
        if line.date < order.row["cutoff"]:
            raise InputError(
                f"The fill is of {line.date}, and its order was planned after the close of {order.row['cutoff']}.",
                where=line.where,
                hint="correct the date",
            )
        currency = order.row["currency"]
        trade = Trade(
            fill_id=line.fill_id,
            order_id=order.order_id,
            ticker=order.row["ticker"],
            side=order.row["side"],
            shares=line.quantity,
            price=line.price,
            currency=currency,
            commission=line.commission,
            rate=rates_of(context, row["currency"], {currency}).rate(currency, line.date),
            date=line.date,
            source=BrokerName.TICKET.value,
            lots=_named_lots(line, ledger.books[row["account"]], order.row["ticker"]),
        )
        try:
            count += ledger.fill(trade)
        except InputError as error:
            raise InputError(error.what, where=line.where, hint=error.hint) from None
    return Result(new_rows(ledger), f"{plural(count, 'fill')} recorded")


def _named_lots(line: TicketLine, book: Book, ticker: str) -> tuple[str, ...]:
    """Return the lots that a line of a ticket names, by the beginnings of their names."""
    if line.lots and book.method != LotMethod.SPECIFIC:
        raise InputError(
            f"The fill names lots, and account {book.account} closes lots by the rule {book.method}.",
            where=line.where,
            hint="leave the column lots empty, or open an account with --lots specific",
        )
    named = []
    for beginning in line.lots:
        found = [name for name in book.lots.get(ticker, {}) if name.startswith(beginning)]
        if len(found) != 1:
            what = "There is no open lot" if not found else "There are several open lots"
            raise InputError(f"{what} {beginning!r} of {ticker}.", where=line.where, hint="list them with pm lots")
        named += found
    return tuple(named)


def _require_likely(line: TicketLine, order: OrderNow) -> None:
    """Refuse a fill that is of another ticker or side than its order, or whose price has a misplaced separator."""
    row, close = order.row, order.row["reference_price"]
    for name, value in (("ticker", line.ticker), ("side", line.side)):
        if value and value.casefold() != row[name].casefold():
            raise InputError(
                f"The fill is of {name} {value}, and its order of {name} {row[name]}.",
                where=line.where,
                hint="leave the columns of the order as they were in the ticket",
            )
    if not close / _LIKELY < line.price < close * _LIKELY:
        raise InputError(
            f"The price of {row['ticker']}, {line.price.normalize():f}, is too far from its last close, "
            f"{close.normalize():f}.",
            where=line.where,
            hint="correct the price",
        )
