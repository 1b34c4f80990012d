"""Send planned orders to a broker, such that none is sent twice and none is lost, wherever the program is cut off.

Each function is a generator. At each `yield` the caller commits the ledger's new rows before it goes on: an order is
`sent` in the ledger before the broker hears of it. If the program ends between the two, or the answer is lost, the
order is not sent again: the broker is asked for it by our name.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pm.broker.base import BadAnswerError, BrokerOrder, OrderRequest, RefusedError, UnreachableError
from pm.broker.halts import rejects_cause
from pm.broker.reach import out_of_reach
from pm.errors import InputError
from pm.ledger.book import Trade
from pm.ledger.money import ZERO
from pm.sources.symbols import known_spelling
from pm.tables.ledger import ORDER_EVENTS, RECONCILIATIONS
from pm.tables.vocabulary import OrderState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date, datetime
    from decimal import Decimal

    from pm.broker.base import Broker, BrokerFill
    from pm.ledger.ledger import Ledger
    from pm.ledger.orders import OrderNow
    from pm.settings.broker import BrokerSettings

__all__ = ["cancel_orders", "request_of", "send_orders", "settle_forgotten", "sync_orders"]

_LOST = (UnreachableError, BadAnswerError)
"""Errors after which it is not known whether the broker did what was asked."""
_RECENT = timedelta(days=7)
"""Time for which the broker is asked about orders that seemed not to have reached it."""


def request_of(order: OrderNow) -> OrderRequest:
    """Return what is sent of an order."""
    row = order.row
    return OrderRequest(
        order.order_id, row["ticker"], row["side"], order.left, row["order_type"], row["time_in_force"],
        row["currency"], order.limit_price, order.stop_price,
    )  # fmt: skip


def send_orders(
    ledger: Ledger, broker: Broker, account: str, *, halted: Callable[[], str | None], settings: BrokerSettings
) -> Iterator[str]:
    """Send the planned orders of an account, one at a time; yields a sentence whenever rows are to be committed.

    It ends at an order whose answer is lost: those after it stay planned.

    Parameters
    ----------
    halted
        Returns why trading is halted, or None. It is asked before each order and again just before it is sent.
    """
    planned = [order for order in ledger.open_orders(account) if order.state == OrderState.PLANNED]
    for order in planned:
        if (why := halted()) is not None:
            yield f"stopped: {why}"
            return
        request = request_of(order)
        if (why := out_of_reach(broker.name, request.ticker, request.currency)) is not None:
            ledger.order_event(order.order_id, OrderState.CANCELLED, detail=f"never sent: {why}")
            yield f"{_named(order)}: {OrderState.CANCELLED.value} (never sent: {why})"
            continue
        ledger.order_event(order.order_id, OrderState.SENT)
        yield f"sending {_named(order)}"
        if (why := halted()) is not None:
            ledger.order_event(order.order_id, OrderState.CANCELLED, detail=f"never sent: {why}")
            yield f"stopped: {why}"
            return
        try:
            told = broker.submit(request)
        except RefusedError as error:
            why = error.what
            ledger.order_event(order.order_id, OrderState.REJECTED, detail=why)
        except _LOST as error:
            why = error.what
            ledger.order_event(order.order_id, OrderState.UNKNOWN, detail=why)
        else:
            why = told.detail
            _take(ledger, told)
        cause = rejects_cause(_answers(ledger, account), settings)
        if cause is not None:
            ledger.halt(cause.cause, cause.reason)
        now = ledger.orders[order.order_id]
        yield f"{_named(order)}: {now.state.value}" + (f" ({why})" if why else "")
        if now.state == OrderState.UNKNOWN:
            return


def sync_orders(
    ledger: Ledger,
    broker: Broker,
    account: str,
    *,
    now: datetime,
    rate: Callable[[str, date], Decimal],
    day_of: Callable[[str, datetime], date],
    settings: BrokerSettings,
    problems: list[str],
) -> Iterator[str]:
    """Bring the orders of an account to what the broker tells: their states and their trades.

    An order that the broker does not know, though it was sent more than `settle_seconds` ago, never reached it. If it
    turns up later all the same, it is open again. One that the broker may have forgotten stays unknown, since it can
    have been filled: see `settle_forgotten`.

    Parameters
    ----------
    now
        Present moment, in UTC without a zone.
    rate
        Returns units of the base currency for one of a currency, on a day.
    day_of
        Returns the session of a ticker at a time in UTC: the day at its exchange.
    problems
        Filled with a sentence for each trade that the ledger cannot record: of an order that is not ours, of another
        ticker or side than its order, or of more shares than are left of it. Trades from before a person last accepted
        differences are left out, since the ledger has taken them over.

    Raises
    ------
    BrokerError
        The broker cannot be asked. What was found out before is in the ledger.
    """
    sent_at = _sent_at(ledger, account)
    listed = {told.order_id: told for told in broker.orders() if told.order_id is not None}
    asked = [
        order
        for order in ledger.orders.values()
        if order.order_id in sent_at
        and (order.is_open or (order.state == OrderState.EXPIRED and now - sent_at[order.order_id] < _RECENT))
    ]
    notes = []
    for order in asked:
        told = listed.get(order.order_id) or broker.find(order.order_id)
        if told is not None:
            listed[order.order_id] = told
            _take(ledger, told, with_fills=False)
        else:
            _take_as_lost(ledger, order, broker, age=now - sent_at[order.order_id], settings=settings)
        now_is = ledger.orders[order.order_id].state
        notes += [f"{_named(order)}: {now_is.value}"] if now_is != order.state else []
    if len(ledger.journal):
        yield ", ".join(notes)
    first = min(sent_at.values(), default=None)
    since = None if first is None else first.date() - timedelta(days=1)
    told_fills = () if since is None else broker.fills(since)
    fill_notes, accepted_at = [], _accepted_at(ledger, account)
    for fill in told_fills:
        try:
            note = _take_fill(ledger, fill, account, broker.name, rate=rate, day_of=day_of)
        except InputError as error:
            # What a person has accepted since then had this trade in it.
            problems += [] if accepted_at is not None and fill.time <= accepted_at else [error.what]
        else:
            fill_notes += [] if note is None else [note]
    # The end of an order is told before its last trades can be read, so that it is taken only now.
    for order in asked:
        if order.order_id in listed and ledger.orders[order.order_id].is_open:
            _take(ledger, listed[order.order_id])
    if len(ledger.journal) or fill_notes:
        yield "; ".join(fill_notes)


def settle_forgotten(ledger: Ledger, broker: Broker, account: str, *, now: datetime) -> int:
    """End the orders that the broker can have forgotten, and return their number.

    It is for the moment at which positions are compared: had such an order been filled, they would differ.
    """
    sent_at, ended = _sent_at(ledger, account), 0
    for order in ledger.open_orders(account):
        is_old = order.state == OrderState.UNKNOWN and _is_forgotten(broker, now - sent_at[order.order_id])
        if is_old and broker.find(order.order_id) is None:
            detail = "the broker does not tell of it any more, and positions were compared"
            ended += ledger.order_event(order.order_id, OrderState.EXPIRED, detail=detail)
    return ended


def _is_forgotten(broker: Broker, age: timedelta) -> bool:
    return broker.remembers is not None and age > broker.remembers


def _take_as_lost(ledger: Ledger, order: OrderNow, broker: Broker, *, age: timedelta, settings: BrokerSettings) -> None:
    """Record that the broker does not know an order: it never reached the broker, or it is not known what became of it.

    It never reached it if the broker never confirmed it, and would still tell of it.
    """
    is_settled = age >= timedelta(seconds=settings.settle_seconds)
    if _is_forgotten(broker, age):
        detail = "the broker does not tell of orders as old: compare what you hold with `pm trade reconcile`"
        ledger.order_event(order.order_id, OrderState.UNKNOWN, detail=detail)
    elif order.state not in {OrderState.SENT, OrderState.UNKNOWN}:
        return  # it can have ended a moment ago
    elif is_settled and order.broker_order_id is None:
        ledger.order_event(order.order_id, OrderState.EXPIRED, detail="it never reached the broker")
    else:
        ledger.order_event(order.order_id, OrderState.UNKNOWN, detail="the broker does not know it yet")


def cancel_orders(ledger: Ledger, broker: Broker | None, names: list[str]) -> Iterator[str]:
    """Cancel orders: at once those that were not sent, else by asking the broker, whose answer is taken by a sync."""
    for name in names:
        order = ledger.orders[name]
        if order.state == OrderState.PLANNED or broker is None:
            ledger.order_event(name, OrderState.CANCELLED, detail="by command")
            yield f"{_named(order)}: cancelled"
            continue
        told = broker.find(name)
        if told is None:
            continue
        broker.cancel(told)
        again = broker.find(name)
        if again is not None and _take(ledger, again):
            yield f"{_named(order)}: {ledger.orders[name].state.value}"


def _take(ledger: Ledger, told: BrokerOrder, *, with_fills: bool = True) -> bool:
    """Bring an order to the state that the broker tells; whether that is news.

    That it was filled follows from its trades alone, so that the ledger never has an order filled without them.
    """
    assert told.order_id is not None  # noqa: S101 - it was found by our name
    state = OrderState.of(told.state)
    if state in {OrderState.FILLED, OrderState.PARTLY_FILLED}:
        state = ledger.orders[told.order_id].state
        if state in {OrderState.SENT, OrderState.UNKNOWN, OrderState.EXPIRED}:
            state = OrderState.ACCEPTED
    elif state in {OrderState.CANCELLED, OrderState.EXPIRED} and not with_fills and told.filled > ZERO:
        return False  # until its trades are there
    return ledger.order_event(told.order_id, state, broker_order_id=told.broker_order_id, detail=told.detail)


def _take_fill(
    ledger: Ledger,
    fill: BrokerFill,
    account: str,
    source: str,
    *,
    rate: Callable[[str, date], Decimal],
    day_of: Callable[[str, datetime], date],
) -> str | None:
    """Record a trade once; return a sentence about it, None if there is nothing to say.

    Raises
    ------
    InputError
        The ledger cannot record it.
    """
    if fill.fill_id in ledger.books[account].known or fill.commission is None:
        return None
    by_broker = {order.broker_order_id: order for order in ledger.orders.values() if order.row["account"] == account}
    order = ledger.orders.get(fill.order_id or "") or by_broker.get(fill.broker_order_id)
    shown = f"{fill.side} {fill.quantity.normalize():f} {fill.ticker} at {fill.price.normalize():f}"
    if order is None:
        raise InputError(f"{shown} ({fill.fill_id}): a trade of no order of ours.", where=f"fills of {source}")
    # The broker spells a class of shares in its own way: BRK B for BRK-B.
    ticker = known_spelling(fill.ticker, [order.row["ticker"]])
    currency, day = order.row["currency"], day_of(ticker, fill.time)
    ledger.fill(
        Trade(
            fill_id=fill.fill_id,
            order_id=order.order_id,
            ticker=ticker,
            side=fill.side,
            shares=fill.quantity,
            price=fill.price,
            currency=currency,
            commission=fill.commission,
            rate=rate(currency, day),
            date=day,
            source=source,
        )
    )
    return shown


def _accepted_at(ledger: Ledger, account: str) -> datetime | None:
    """Return the time at which a person last accepted differences from the broker of an account; None if never."""
    rows = ledger.rows[RECONCILIATIONS.qualified]
    return max((row["recorded_at"] for row in rows if row["account"] == account and row["accepted"]), default=None)


def _sent_at(ledger: Ledger, account: str) -> dict[str, datetime]:
    """Return the time at which each order of an account was sent."""
    return {
        row["order_id"]: row["recorded_at"]
        for row in ledger.rows[ORDER_EVENTS.qualified]
        if row["state"] == OrderState.SENT and row["account"] == account
    }


def _answers(ledger: Ledger, account: str) -> list[str]:
    """Return the answers that the broker gave to orders, the oldest first."""
    answers = {OrderState.ACCEPTED.value, OrderState.REJECTED.value, OrderState.PARTLY_FILLED.value}
    rows = ledger.rows[ORDER_EVENTS.qualified]
    return [row["state"] for row in rows if row["account"] == account and row["state"] in answers]


def _named(order: OrderNow) -> str:
    return f"{order.row['side']} {order.quantity.normalize():f} {order.row['ticker']}"
