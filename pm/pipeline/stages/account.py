"""Stages that change accounts and halts because the user says so: each adds rows to the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from pm.clock import utc_today
from pm.currencies import HUNDREDTHS
from pm.errors import InputError, UnknownTickerError, did_you_mean
from pm.ledger.book import event_id
from pm.ledger.money import money
from pm.pipeline.stage import Context, Stage
from pm.pipeline.trading import halt_sign, ledger_day, new_rows, prices_of, rates_of, read_ledger
from pm.pipeline.writes import Result
from pm.plural import first_of, plural
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.quality import BARS
from pm.tables.sources import UNIVERSE
from pm.tables.vocabulary import BrokerName, CashKind, HaltCause

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from pm.broker.positions_file import HeldPosition
    from pm.ledger.book import Book
    from pm.ledger.currencies import Rates
    from pm.pipeline.trading import Prices

__all__ = [
    "NewAccount",
    "closing",
    "depositing",
    "ending",
    "halting",
    "importing_positions",
    "opening",
    "resuming",
]


_EARLIEST = date(1900, 1, 1)
"""First day that an event of an account can have."""
_HUNDREDTH_OF = {whole: unit for unit, whole in HUNDREDTHS.items() if unit != "GBX"}
"""Codes of the hundredths in which prices of shares are told, by currency."""
_ZONES = timedelta(days=1)
"""Time by which it can be tomorrow already where the user is, when it is today in UTC."""


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


def importing_positions(
    account: str | None, held: Sequence[HeldPosition], *, day: date | None, where: str, add: bool = False
) -> Stage:
    """Return the stage that takes over the positions and the cash that an account has already.

    Parameters
    ----------
    add
        Whether shares of tickers that the ledger has already are added to those; else they are refused.
    """
    return _stage(partial(_take_over, account=account, held=tuple(held), day=day, where=where, add=add))


def closing(account: str | None, ticker: str, price: Decimal | None) -> Stage:
    """Return the stage that closes a position of a ticker that trades no more, at a price or its last close."""
    return _stage(partial(_close, account=account, ticker=ticker, price=price))


def ending(account: str) -> Stage:
    """Return the stage that closes an account, which must be empty; what it did stays in the ledger."""
    return _stage(partial(_end, account=account))


def halting(reason: str, person: str) -> Stage:
    """Return the stage that stops trading."""
    return _stage(partial(_halt, reason=reason, person=person))


def resuming(reason: str, person: str) -> Stage:
    """Return the stage that lets trading go on."""
    return _stage(partial(_resume, reason=reason, person=person))


def _open(context: Context, *, new: NewAccount) -> Result:
    ledger = read_ledger(context)
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
        day = _day(context, new.day)
        row = ledger.books[new.name].cash_event(
            CashKind.DEPOSIT, new.cash, day=day, name=event_id(new.name, "opening"), detail="opening"
        )
        ledger.add_cash_event(row)
    return Result(new_rows(ledger), f"account {new.name} opened")


def _day(context: Context, day: date | None) -> date:
    """Return the day from which an event counts: the one that the user names, or that of the newest bar.

    Raises
    ------
    InputError
        It is after today, or so long ago that the year must be mistyped.
    """
    if day is None:
        return ledger_day(context)
    if day > utc_today() + _ZONES or day < _EARLIEST:
        what = "after today" if day > _EARLIEST else f"before {_EARLIEST}"
        raise InputError(f"The date {day} is {what}.", where="--date", hint="write it as 2024-01-31")
    return day


def _deposit(
    context: Context, *, account: str | None, amount: Decimal, currency: str | None, day: date | None, detail: str
) -> Result:
    ledger = read_ledger(context)
    name = ledger.account(account)["account"]
    book, when = ledger.books[name], _day(context, day)
    if not amount:
        raise InputError("The amount is 0.", where="the amount", hint="name another; a negative one takes cash out")
    if money(amount) != amount:
        raise InputError(
            f"The amount has more than four decimals: {amount:f}.", where="the amount", hint="round it to cents"
        )
    code = currency or book.currency
    kind = CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
    rate = rates_of(context, book.currency, {code}).rate(code, when)
    row = book.cash_event(
        kind, amount, day=when, name=event_id(name, kind, context.run_id), currency=code, rate=rate, detail=detail
    )
    if book.cash < 0 and amount < 0:
        raise InputError(
            f"Account {name} does not have so much cash: {-amount:,f} {code} are to be taken out.",
            where="the amount",
            hint="see its cash with pm account list",
        )
    ledger.add_cash_event(row)
    return Result(new_rows(ledger), f"{amount:,f} {code}, cash is now {book.cash:,.2f} {book.currency}")


def _take_over(
    context: Context,
    *,
    account: str | None,
    held: Sequence[HeldPosition],
    day: date | None,
    where: str,
    add: bool,
) -> Result:
    ledger = read_ledger(context)
    name = ledger.account(account)["account"]
    book, when = ledger.books[name], _day(context, day)
    # By what the file says and not by its name, so that a copy of it is known.
    told = event_id(*[repr(position) for position in held])
    events = [event_id(name, "import", told, place) for place in range(len(held))]
    if book.known.issuperset(events):
        return Result([], f"all of {where} was known already")
    known = [row["ticker"] for row in context.rows("SELECT DISTINCT ticker FROM bars ORDER BY ticker")]
    spelt = _as_known(held, {*known, *book.positions()})
    _require_new(book, spelt.values(), where=where, add=add)
    prices = prices_of(context, book, spelt.values(), when)
    unknown = [spelt[position.ticker] for position in held if position.ticker and position.cost is None
               and spelt[position.ticker] not in prices.closes]  # fmt: skip
    if unknown:
        raise UnknownTickerError.from_missing(
            unknown, known, where=where, hint="add a column with the cost, or import bars of the ticker first"
        )
    cash_before = book.cash
    told_codes = {position.currency or book.currency for position in held}
    rates = rates_of(context, book.currency, told_codes | {prices.currency(ticker, book) for ticker in spelt.values()})
    for event, position in zip(events, held, strict=True):
        if position.ticker is None:
            code = position.currency or book.currency
            kind = CashKind.DEPOSIT if position.shares > 0 else CashKind.WITHDRAWAL
            row = book.cash_event(
                kind, position.shares, day=when, name=event, currency=code, rate=rates.rate(code, when), detail="import"
            )
        else:
            ticker = spelt[position.ticker]
            opened = position.opened or when
            cost, code = _cost(position, ticker, prices, book, rates, where=where)
            bought = opened if rates.has(code, opened) else when
            row = book.take_over(
                ticker,
                position.shares,
                cost,
                day=when,
                opened=opened,
                currency=code,
                rate=rates.rate(code, bought),
                name=event,
            )
        ledger.add_cash_event(row)
    counted = [plural(len(set(spelt.values())), "position")] if spelt else []
    cash = book.cash - cash_before
    counted += [f"{cash:,.2f} {book.currency} of cash"] if cash else []
    return Result(new_rows(ledger), f"{' and '.join(counted)} of {where} taken over")


def _cost(
    position: HeldPosition, ticker: str, prices: Prices, book: Book, rates: Rates, *, where: str
) -> tuple[Decimal, str]:
    """Return what a position cost, in the currency of the ticker's prices, and that currency.

    A cost that the file tells in another currency is converted, at the rate of the day of the purchase where that is
    known, else of today: of British shares, brokers tell pounds and vendors of bars pence.

    Raises
    ------
    InputError
        Whether the ticker's prices are in a currency or in its hundredth is not known.
    """
    known, told = prices.known_currency(ticker, book), position.currency
    code = known or told or book.currency
    if position.cost is None:
        return position.shares * Decimal(repr(prices.closes[ticker][1])), code
    if known is None and told is not None and (unit := _HUNDREDTH_OF.get(HUNDREDTHS.get(told, told))) is not None:
        raise InputError(
            f"Whether bars of {ticker} are in {HUNDREDTHS[unit]} or in {unit}, its hundredth, is not known.",
            where=where,
            hint=f"put it on the watch list and fetch it (pm universe add {ticker}, pm refresh), or tell its currency "
            "in a list with columns ticker and currency (pm universe import FILE)",
        )
    bought = position.opened or prices.day
    day = bought if rates.has(code, bought) and rates.has(told or code, bought) else prices.day
    exact = Fraction(position.cost) * rates.ratio(told or code, code, day)
    return Decimal(exact.numerator) / Decimal(exact.denominator), code


def _as_known(held: Iterable[HeldPosition], known: Collection[str]) -> dict[str, str]:
    """Return the tickers of a file as the bars spell them, which can differ in small and capital letters."""
    by_letters: dict[str, list[str]] = {}
    for ticker in known:
        by_letters.setdefault(ticker.casefold(), []).append(ticker)
    found = {}
    for position in held:
        if position.ticker is not None:
            alike = by_letters.get(position.ticker.casefold(), [])
            found[position.ticker] = alike[0] if position.ticker not in known and len(alike) == 1 else position.ticker
    return found


def _require_new(book: Book, tickers: Iterable[str], *, where: str, add: bool) -> None:
    """Refuse positions that the ledger has already: a newer file of the same account would double them."""
    twice = sorted(set(tickers) & book.positions().keys())
    if twice and not add:
        shares = book.shares(twice[0])
        raise InputError(
            f"Account {book.account} holds {first_of(twice)} already: {shares.normalize():f} shares of {twice[0]}.",
            where=where,
            hint="compare the file with pm trade reconcile --positions FILE; or add its shares to these with --add",
        )


def _close(context: Context, *, account: str | None, ticker: str, price: Decimal | None) -> Result:
    ledger = read_ledger(context)
    name = ledger.account(account)["account"]
    book, day = ledger.books[name], ledger_day(context)
    if not book.shares(ticker):
        raise InputError(
            f"Account {name} does not hold {ticker}.{did_you_mean(ticker, book.positions())}",
            where="view positions",
            hint="see what it holds: pm trade positions",
        )
    if price is not None and price < 0:
        raise InputError(f"The price is negative: {price:f}.", where="--price", hint="name 0 or more")
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


def _end(context: Context, *, account: str) -> Result:
    ledger = read_ledger(context)
    row = ledger.account(account)
    name = row["account"]
    book = ledger.books[name]
    problem, hint = None, ""
    if waiting := len(ledger.open_orders(name)):
        problem, hint = f"has {plural(waiting, 'open order')}", f"pm trade cancel --account {name}"
    elif held := book.positions():
        problem = f"holds {first_of(list(held))}"
        hint = "sell what it holds; or take it out of the ledger: pm trade close TICKER --price PRICE"
    elif book.cash:
        problem = f"has {book.cash:,.2f} {book.currency} of cash"
        amount = f"{-book.cash.normalize():f}"
        hint = f"take it out: pm account deposit --account {name} {'-- ' if book.cash > 0 else ''}{amount}"
    if problem is not None:
        raise InputError(f"Account {name} cannot be closed: it {problem}.", where="table accounts", hint=hint)
    event = book.cash_event(CashKind.CLOSED, Decimal(0), day=ledger_day(context), name=event_id(name, CashKind.CLOSED))
    ledger.add_cash_event(event)
    return Result(new_rows(ledger), f"account {name} closed; what it did stays")


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
        raise InputError("Trading is not halted.", where="table halts", hint="see what is planned: pm trade plan")
    return Result(new_rows(ledger), "trading goes on")
