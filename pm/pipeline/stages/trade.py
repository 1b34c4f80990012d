"""Stages that deal with a broker: each row of the ledger is committed before the broker is asked for the next thing."""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from pm.broker.base import BrokerAccount, UnreachableError
from pm.broker.connect import open_broker
from pm.broker.halts import clock_cause, stale_cause
from pm.broker.live_guard import missing_for_live
from pm.broker.reconcile import accept_differences, compare
from pm.broker.sending import cancel_orders, request_of, send_orders, settle_forgotten, sync_orders
from pm.broker.ticket import write_ticket
from pm.clock import utc_now
from pm.errors import HaltedError, InputError, StorageError
from pm.ledger.book import Trade
from pm.ledger.money import ZERO, money
from pm.open_files import write_whole
from pm.pipeline.stage import Context, Stage
from pm.pipeline.trading import is_halted, ledger_day, new_rows, prices_of, rates_of, read_ledger
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.sessions import day_at
from pm.settings.keys import load_keys
from pm.settings.process import live_account
from pm.sources.symbols import exchange_code, exchange_suffix
from pm.tables.ledger import CHAINED_TABLES, ORDER_EVENTS
from pm.tables.quality import BARS
from pm.tables.sources import UNIVERSE
from pm.tables.vocabulary import BrokerName, LotMethod, OrderState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date, datetime

    from pm.broker.base import Broker
    from pm.broker.positions_file import PositionsFile
    from pm.broker.ticket import TicketLine
    from pm.ledger.book import Book
    from pm.ledger.ledger import Ledger
    from pm.ledger.orders import OrderNow

__all__ = ["accepting", "cancelling", "reading_fills", "reconciling", "reconciling_file", "sending", "syncing"]

_LIKELY = 20
"""Largest ratio of a price that a person wrote and the last close: a misplaced separator makes 100 or 1,000."""
_TICKETS = "tickets"
"""Folder of the workspace for lists of orders."""
_SHOWN = 10
"""Largest number of differences that an error lists."""


def _stage(compute: Callable[[Context], Result | Iterator[Result]], *, network: bool = True) -> Stage:
    return Stage(
        "trade", compute, reads=(BARS, UNIVERSE), writes=CHAINED_TABLES, depends=lambda _: None, network=network
    )


def sending(account: str | None, *, live: bool) -> Stage:
    """Return the stage that sends the planned orders of an account."""
    return _stage(partial(_send, account=account, live=live))


def syncing(account: str | None) -> Stage:
    """Return the stage that asks the broker what became of the orders."""
    return _stage(partial(_sync, account=account))


def reading_fills(account: str | None, lines: Sequence[TicketLine]) -> Stage:
    """Return the stage that records the trades of a ticket that a person has filled in: all of them, or none."""
    return _stage(partial(_read_fills, account=account, lines=tuple(lines)), network=False)


def reconciling(account: str | None) -> Stage:
    """Return the stage that compares the ledger with the broker's account."""
    return _stage(partial(_reconcile, account=account))


def reconciling_file(account: str | None, told: PositionsFile, *, where: str) -> Stage:
    """Return the stage that compares the ledger with the positions and the cash of a broker's file."""
    return _stage(partial(_reconcile_file, account=account, told=told, where=where))


def accepting(account: str | None, *, reason: str, person: str) -> Stage:
    """Return the stage that accepts the differences that the newest reconciliation found."""
    return _stage(partial(_accept, account=account, reason=reason, person=person), network=False)


def cancelling(account: str | None, orders: Sequence[str]) -> Stage:
    """Return the stage that cancels orders, named by the beginning of their names; all open ones if none is named."""
    return _stage(partial(_cancel, account=account, orders=tuple(orders)))


def _committing(ledger: Ledger, steps: Iterator[str]) -> Iterator[Result]:
    """Yield the ledger's new rows, to be committed, whenever a step says that they must be."""
    for note in steps:
        yield Result([Append(table, frame) for table, frame in ledger.journal.drain()], note)


def _send(context: Context, *, account: str | None, live: bool) -> Iterator[Result]:
    ledger, row = _account(context, account)
    name, settings = row["account"], context.settings.broker
    if row["broker"] == BrokerName.PAPER:
        yield Result([], "orders of paper accounts are filled by pm run")
        return
    if (why := is_halted(context, ledger)) is not None:
        raise _halted(why)
    if differences := ledger.differences(name):
        raise HaltedError(
            f"Account {name} differs from its broker: {plural(len(differences), 'difference')}.",
            where="table reconciliations",
            hint='see them with pm trade reconcile; then pm trade reconcile --accept --reason "…"',
        )
    newest = context.rows("SELECT max(date) AS day FROM bars")[0]["day"]
    cause = stale_cause(newest, utc_now().date(), settings)
    if cause is not None:
        ledger.halt(cause.cause, cause.reason)
        yield Result(_drained(ledger), cause.reason)
        raise _halted(cause.reason)
    if _expire_old(context, ledger, name):
        yield Result(_drained(ledger), "old plans expired")
    if row["broker"] == BrokerName.TICKET:
        yield from _write_ticket(context, ledger, name)
        return
    yield from _send_to_broker(context, ledger, row, live=live)


def _expire_old(context: Context, ledger: Ledger, name: str) -> int:
    """End the planned orders whose session is over, by the bars that are there now; return their number."""
    count = 0
    for order in ledger.open_orders(name):
        cutoff = order.row["cutoff"]
        if order.state != OrderState.PLANNED or cutoff is None:
            continue
        passed = context.rows("SELECT count(DISTINCT date) AS sessions FROM bars WHERE date > ?", [cutoff])[0]
        if passed["sessions"] >= context.settings.broker.planned_days:
            count += ledger.order_event(order.order_id, OrderState.EXPIRED, detail=f"planned on {cutoff}, not sent")
    if count:
        context.notify(f"{plural(count, 'order')} planned for a session that is over: not sent. Plan anew: pm run")
    return count


def _send_to_broker(context: Context, ledger: Ledger, row: dict[str, Any], *, live: bool) -> Iterator[Result]:
    """Send the planned orders of an account to its broker, once it has confirmed the account."""
    name, settings = row["account"], context.settings.broker
    broker, told = _open(context, row)
    try:
        if row["live"] or told.live:
            _require_live(context, ledger, row, told, said_live=live)
        cause = clock_cause(utc_now(), told.clock, settings)
        if cause is not None:
            ledger.halt(cause.cause, cause.reason)
            yield Result(_drained(ledger), cause.reason)
            raise _halted(cause.reason)

        def halted() -> str | None:
            return is_halted(context, ledger)

        planned = [order.order_id for order in ledger.open_orders(name) if order.state == OrderState.PLANNED]
        for result in _committing(ledger, send_orders(ledger, broker, name, halted=halted, settings=settings)):
            yield result
            if result.summary.endswith(")"):  # the broker has said something of an order
                context.notify(result.summary)
    finally:
        broker.close()
    counts = _counted_states(ledger.orders[order].state for order in planned)
    _refuse_stop(halted(), counts, [order for order in ledger.open_orders(name) if order.state == OrderState.UNKNOWN])
    yield Result(_drained(ledger), f"{counts} of {plural(len(planned), 'order')}" if planned else "no planned order")


def _refuse_stop(halted: str | None, counts: str, unknown: Sequence[OrderNow]) -> None:
    """Raise the error of a command that was stopped while it sent orders.

    Raises
    ------
    HaltedError
        Trading was halted meanwhile.
    UnreachableError
        What became of an order is not known.
    """
    if halted is not None:
        raise _halted(f"{halted} Of the orders, {counts}.")
    if unknown:
        raise UnreachableError(
            f"What became of {plural(len(unknown), 'order')} is not known. Of the orders, {counts}.",
            where="view open_orders",
            hint="find out with pm trade sync; then pm trade send sends those that are still planned",
        )


def _require_live(context: Context, ledger: Ledger, row: dict[str, Any], told: Any, *, said_live: bool) -> None:  # noqa: ANN401
    missing = missing_for_live(
        ledger,
        row,
        told,
        context.settings.broker,
        said_live=said_live,
        number_in_environment=live_account(),
        has_limits=bool(context.settings.risk.limits),
    )
    if missing:
        raise HaltedError(
            f"No order for real money is sent: {plural(len(missing), 'condition')} not met.\n"
            + "\n".join(f"  - {sentence}" for sentence in missing),
            where=f"account {row['account']}",
            hint="docs/trading.md describes each condition",
        )


def _write_ticket(context: Context, ledger: Ledger, name: str) -> Iterator[Result]:
    """Write the planned orders to a file, named after the run, and record that they were handed over.

    A file whose writing was cut off before that was recorded is written again first, under its own name.
    """
    for order in ledger.open_orders(name):
        if order.state == OrderState.PLANNED:
            ledger.order_event(order.order_id, OrderState.SENT)
    yield Result(_drained(ledger), "writing the ticket")
    begun: dict[str, list[OrderNow]] = {}
    for order in ledger.open_orders(name):
        if order.state == OrderState.SENT:
            begun.setdefault(_sent_in(ledger, order), []).append(order)
    if not begun:
        yield Result([], "no planned order")
        return
    count, with_lots = 0, ledger.books[name].method == LotMethod.SPECIFIC
    for run_id, orders in begun.items():
        file = context.workspace.root / _TICKETS / f"{name}-{run_id}.csv"
        try:
            file.parent.mkdir(exist_ok=True)
            write_whole(file, write_ticket([request_of(order) for order in orders], with_lots=with_lots))
        except OSError as error:
            raise StorageError(
                f"The ticket cannot be written: {error.strerror}.",
                where=str(file),
                hint="free some space, or correct the folder's permissions; then pm trade send writes it",
            ) from error
        for order in orders:
            ledger.order_event(order.order_id, OrderState.ACCEPTED, detail=f"ticket {file.name}")
        context.notify(f"Enter these orders at your broker: {file}")
        count += len(orders)
        yield Result(_drained(ledger), f"{plural(len(orders), 'order')} written to {file.name}")
    yield Result([], f"{plural(count, 'order')} written to {plural(len(begun), 'file')}")


def _sent_in(ledger: Ledger, order: OrderNow) -> str:
    """Return the run that recorded that an order is being sent."""
    return next(
        str(row["run_id"])
        for row in reversed(ledger.rows[ORDER_EVENTS.qualified])
        if row["order_id"] == order.order_id and row["state"] == OrderState.SENT
    )


def _sync(context: Context, *, account: str | None) -> Iterator[Result]:
    ledger, row = _account(context, account)
    name = row["account"]
    broker, _ = _open(context, row)
    currencies = {order.row["currency"] for order in ledger.orders.values() if order.row["account"] == name}
    rates, settings = rates_of(context, row["currency"], currencies), context.settings.broker
    problems: list[str] = []
    differences: list[str] = []
    try:
        steps = sync_orders(
            ledger, broker, name, now=utc_now(), rate=rates.rate, day_of=_session_days(context), settings=settings,
            problems=problems,
        )  # fmt: skip
        for result in _committing(ledger, steps):
            if result.summary:
                context.notify(result.summary)
            yield result
        if problems:
            differences = compare(ledger, name, broker.account(), settings, _known_tickers(context, ledger))
    finally:
        broker.close()
    for problem in problems:
        context.notify(f"not recorded: {problem}")
    yield Result(_drained(ledger), _counted(ledger, name))
    if differences:
        raise _differing(name, differences)


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


def _known_tickers(context: Context, ledger: Ledger) -> set[str]:
    """Return the tickers of the watch list and of all orders, as the lake spells them."""
    return {*context.read(UNIVERSE)["ticker"], *(order.row["ticker"] for order in ledger.orders.values())}


def _differing(account: str, differences: Sequence[str]) -> HaltedError:
    lines = [f"  - {difference}" for difference in differences[:_SHOWN]]
    if len(differences) > _SHOWN:
        lines.append(f"  … and {len(differences) - _SHOWN:,} more: view broker_differences")
    return HaltedError(
        "\n".join([f"Account {account} differs from its broker, and no order is sent until that is accepted.", *lines]),
        where="table reconciliations",
        hint='find out why; to bring the ledger to what the broker told: pm trade reconcile --accept --reason "…"',
    )


def _read_fills(context: Context, *, account: str | None, lines: Sequence[TicketLine]) -> Result:
    ledger, row = _account(context, account)
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


def _reconcile(context: Context, *, account: str | None) -> Iterator[Result]:
    ledger, row = _account(context, account)
    broker, told = _open(context, row)
    try:
        ended = settle_forgotten(ledger, broker, row["account"], now=utc_now())
    finally:
        broker.close()
    if ended:
        context.notify(f"{plural(ended, 'order')} of which the broker does not tell any more: taken as ended")
    differences = compare(ledger, row["account"], told, context.settings.broker, _known_tickers(context, ledger))
    if not differences:
        yield Result(_drained(ledger), "the ledger and the broker agree")
        return
    yield Result(_drained(ledger), plural(len(differences), "difference"))
    raise _differing(row["account"], differences)


def _reconcile_file(context: Context, *, account: str | None, told: PositionsFile, where: str) -> Iterator[Result]:
    ledger, row = _account(context, account)
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
    differences = compare(ledger, row["account"], seen, context.settings.broker, _known_tickers(context, ledger))
    if not told.has_cash:
        context.notify(f"{where} does not tell cash, which is not compared")
    found = plural(len(differences), "difference") if differences else f"the ledger and {where} agree"
    yield Result(_drained(ledger), found)
    if differences:
        raise _differing(row["account"], differences)


def _accept(context: Context, *, account: str | None, reason: str, person: str) -> Result:
    ledger, row = _account(context, account)
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


def _cancel(context: Context, *, account: str | None, orders: Sequence[str]) -> Iterator[Result]:
    ledger, row = _account(context, account)
    known = {order.order_id: order for order in ledger.open_orders(row["account"])}
    names: list[str] = []
    for beginning in orders:
        found = [name for name in known if name.startswith(beginning)]
        if len(found) != 1:
            what = "There is no open order" if not found else "There are several open orders"
            raise InputError(f"{what} {beginning!r}.", where=f"account {row['account']}", hint="pm trade orders")
        names += found
    names = names or list(known)
    is_asked = row["broker"] in {BrokerName.ALPACA, BrokerName.IB} and any(
        known[name].state != OrderState.PLANNED for name in names
    )
    broker = _open(context, row)[0] if is_asked else None
    try:
        yield from _committing(ledger, cancel_orders(ledger, broker, names))
    finally:
        if broker is not None:
            broker.close()
    if not names:
        yield Result([], "no order is open")
        return
    ended = sum(not ledger.orders[name].is_open for name in names)
    yield Result(_drained(ledger), f"{plural(ended, 'order')} cancelled")


def _open(context: Context, row: dict[str, Any]) -> tuple[Broker, BrokerAccount]:
    """Return the broker of an account, and what it tells of it.

    Raises
    ------
    HaltedError
        It tells of another account.
    """
    broker = open_broker(row, context.settings.broker, load_keys(context.workspace.root))
    with ExitStack() as stack:
        stack.callback(broker.close)
        told = broker.account()
        if told.number != row["number"]:
            raise HaltedError(
                f"The broker says that this is account {told.number}; account {row['account']} has number "
                f"{row['number']}.",
                where="table accounts",
                hint="use the key or the login of the account",
            )
        stack.pop_all()  # the caller closes it
    return broker, told


def _account(context: Context, name: str | None) -> tuple[Ledger, dict[str, Any]]:
    ledger = read_ledger(context)
    return ledger, ledger.account(name)


def _counted_states(states: Iterable[OrderState]) -> str:
    """Return how many orders are in each state, in words."""
    words = [state.value for state in states]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _drained(ledger: Ledger) -> list[Append]:
    return [Append(table, frame) for table, frame in ledger.journal.drain()]


def _halted(why: str) -> HaltedError:
    return HaltedError(f"Trading is halted: {why}", where="table halts", hint='pm resume --reason "…" ends a halt')


def _counted(ledger: Ledger, account: str) -> str:
    """Return how many orders of an account are in each open state, in words."""
    return _counted_states(order.state for order in ledger.open_orders(account)) or "no open order"
