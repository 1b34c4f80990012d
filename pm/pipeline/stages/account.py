"""Stages that change accounts and halts because the user says so: each adds rows to the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from pm.errors import InputError, UnknownTickerError
from pm.ledger.book import event_id
from pm.pipeline.stage import Context, Stage
from pm.pipeline.trading import halt_sign, ledger_day, new_rows, prices_of, rates_of, read_ledger
from pm.pipeline.writes import Result
from pm.plural import plural
from pm.portfolio.held import MODEL
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.quality import BARS
from pm.tables.risk import proposed
from pm.tables.sources import UNIVERSE
from pm.tables.vocabulary import BrokerName, CashKind, HaltCause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from pm.broker.positions_file import HeldPosition

__all__ = [
    "NewAccount",
    "closing",
    "depositing",
    "halting",
    "importing_positions",
    "opening",
    "resuming",
]


@dataclass(frozen=True)
class NewAccount:
    """An account to be opened; see table accounts."""

    name: str
    broker: BrokerName
    number: str | None
    currency: str
    cash: Decimal
    lot_method: str
    fractional: bool
    live: bool
    day: date | None


def _stage(compute: Callable[[Context], Result]) -> Stage:
    return Stage("ledger", compute, reads=(BARS, UNIVERSE), writes=CHAINED_TABLES, depends=lambda _: None)


def opening(account: NewAccount) -> Stage:
    """Return the stage that opens an account and pays in its first cash."""
    return _stage(partial(_open, new=account))


def depositing(account: str | None, amount: Decimal, *, currency: str | None, day: date | None, detail: str) -> Stage:
    """Return the stage that pays cash into an account, or takes it out if the amount is negative."""
    return _stage(partial(_deposit, account=account, amount=amount, currency=currency, day=day, detail=detail))


def importing_positions(account: str | None, held: Sequence[HeldPosition], *, day: date | None, where: str) -> Stage:
    """Return the stage that takes over the positions and the cash that an account has already."""
    return _stage(partial(_take_over, account=account, held=tuple(held), day=day, where=where))


def closing(account: str | None, ticker: str, price: Decimal | None) -> Stage:
    """Return the stage that closes a position of a ticker that trades no more, at a price or its last close."""
    return _stage(partial(_close, account=account, ticker=ticker, price=price))


def halting(reason: str, person: str) -> Stage:
    """Return the stage that stops trading."""
    return _stage(partial(_halt, reason=reason, person=person))


def resuming(reason: str, person: str) -> Stage:
    """Return the stage that lets trading go on."""
    return _stage(partial(_resume, reason=reason, person=person))


def _open(context: Context, *, new: NewAccount) -> Result:
    ledger = read_ledger(context)
    if new.name == MODEL or new.name.endswith(proposed("")):
        raise InputError(
            f"An account cannot be named {new.name!r}, as portfolios without an account are.",
            where="--name",
            hint="choose another name",
        )
    if new.cash < 0:
        raise InputError("An account cannot be opened with negative cash.", where="--cash", hint="name 0 or more")
    ledger.open_account(
        account=new.name,
        broker=new.broker.value,
        number=new.number,
        currency=new.currency,
        lot_method=new.lot_method,
        fractional=new.fractional,
        live=new.live,
    )
    if new.cash:
        day = new.day or ledger_day(context)
        row = ledger.books[new.name].cash_event(
            CashKind.DEPOSIT, new.cash, day=day, name=event_id(new.name, "opening"), detail="opening"
        )
        ledger.add_cash_event(row)
    return Result(new_rows(ledger), f"account {new.name} opened")


def _deposit(
    context: Context, *, account: str | None, amount: Decimal, currency: str | None, day: date | None, detail: str
) -> Result:
    ledger = read_ledger(context)
    name = ledger.account(account)["account"]
    book, when = ledger.books[name], day or ledger_day(context)
    if not amount:
        raise InputError("The amount is 0.", where="the amount", hint="name another; a negative one takes cash out")
    code = currency or book.currency
    kind = CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
    rate = rates_of(context, book.currency, {code}).rate(code, when)
    row = book.cash_event(
        kind, amount, day=when, name=event_id(name, kind, context.run_id), currency=code, rate=rate, detail=detail
    )
    if book.cash < 0:
        raise InputError(
            f"Account {name} does not have so much cash: {-amount:,f} {code} are to be taken out.",
            where="the amount",
            hint="see its cash with pm account list",
        )
    ledger.add_cash_event(row)
    return Result(new_rows(ledger), f"{amount:,f} {code}, cash is now {book.cash:,.2f} {book.currency}")


def _take_over(
    context: Context, *, account: str | None, held: Sequence[HeldPosition], day: date | None, where: str
) -> Result:
    ledger = read_ledger(context)
    name = ledger.account(account)["account"]
    book, when = ledger.books[name], day or ledger_day(context)
    tickers = [position.ticker for position in held if position.ticker is not None]
    prices = prices_of(context, book, tickers, when)
    unknown = [position.ticker for position in held if position.ticker and position.cost is None
               and position.ticker not in prices.closes]  # fmt: skip
    if unknown:
        known = [row["ticker"] for row in context.rows("SELECT DISTINCT ticker FROM bars")]
        raise UnknownTickerError.from_missing(
            unknown, known, where=where, hint="add a column with the cost, or import bars of the ticker first"
        )
    count = 0
    # By what the file says and not by its name, so that a copy of it is known.
    told = event_id(*[repr(position) for position in held])
    for place, position in enumerate(held):
        event = event_id(name, "import", told, place)
        if position.ticker is None:
            code = position.currency or book.currency
            rate = rates_of(context, book.currency, {code}).rate(code, when)
            row = book.cash_event(
                CashKind.DEPOSIT, position.shares, day=when, name=event, currency=code, rate=rate, detail="import"
            )
        else:
            code = position.currency or prices.currency(position.ticker, book)
            opened = position.opened or when
            rate = rates_of(context, book.currency, {code}).rate(code, when)
            cost = position.cost
            if cost is None:
                cost = position.shares * Decimal(repr(prices.closes[position.ticker][1]))
            row = book.take_over(
                position.ticker, position.shares, cost, day=when, opened=opened, currency=code, rate=rate, name=event
            )
        count += ledger.add_cash_event(row)
    summary = f"{plural(count, 'line')} of {where} taken over" if count else f"all of {where} was known already"
    return Result(new_rows(ledger), summary)


def _close(context: Context, *, account: str | None, ticker: str, price: Decimal | None) -> Result:
    ledger = read_ledger(context)
    name = ledger.account(account)["account"]
    book, day = ledger.books[name], ledger_day(context)
    if not book.shares(ticker):
        raise UnknownTickerError.from_missing([ticker], book.positions(), where=f"positions of account {name}")
    prices = prices_of(context, book, [ticker], day)
    quote = prices.quote(ticker, book)
    if price is None and quote is None:
        raise InputError(f"There is no close of {ticker}.", where="table bars", hint="name the price: --price 1.50")
    currency = prices.currency(ticker, book)
    row = book.close_out(
        ticker,
        day=day,
        price=quote.price if price is None and quote is not None else price or Decimal(0),
        currency=currency,
        rate=prices.rates.rate(currency, day),
        name=event_id(name, "delisting", ticker, context.run_id),
        detail="closed by command",
    )
    ledger.add_cash_event(row)
    return Result(new_rows(ledger), f"{ticker} closed")


def _halt(context: Context, *, reason: str, person: str) -> Result:
    ledger = read_ledger(context)
    if not ledger.halt(HaltCause.HAND, reason, person=person):
        return Result([], "trading is halted already")
    return Result(new_rows(ledger), "trading is halted")


def _resume(context: Context, *, reason: str, person: str) -> Result:
    ledger = read_ledger(context)
    sign = halt_sign(context.workspace.root, context.lake.location)
    if sign is not None:
        ledger.halt(HaltCause.HAND, sign)  # so that what ends here is on record
    if not ledger.resume(reason, person=person):
        return Result([], "trading is not halted")
    return Result(new_rows(ledger), "trading goes on")
