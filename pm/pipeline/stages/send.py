"""Send planned orders to a broker or write them to a ticket, and cancel them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pm.broker.base import UnreachableError
from pm.broker.halts import clock_cause, stale_cause
from pm.broker.live_guard import missing_for_live
from pm.broker.sending import cancel_orders, request_of, send_orders
from pm.broker.ticket import write_ticket
from pm.clock import utc_now
from pm.errors import HaltedError, InputError, StorageError
from pm.open_files import write_whole
from pm.pipeline.at_broker import (
    account_of,
    committing,
    counted_states,
    drained,
    halted_error,
    open_account,
    trade_stage,
)
from pm.pipeline.trading import is_halted
from pm.pipeline.writes import Result
from pm.plural import plural
from pm.settings.process import live_account
from pm.tables.ledger import ORDER_EVENTS
from pm.tables.vocabulary import BrokerName, LotMethod, OrderState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pm.ledger.ledger import Ledger
    from pm.ledger.orders import OrderNow
    from pm.pipeline.stage import Context, Stage

__all__ = ["cancelling", "sending"]

_TICKETS = "tickets"
"""Folder of the workspace for lists of orders."""


def sending(account: str | None, *, live: bool) -> Stage:
    """Return the stage that sends the planned orders of an account."""
    return trade_stage(partial(_send, account=account, live=live))


def cancelling(account: str | None, orders: Sequence[str]) -> Stage:
    """Return the stage that cancels orders, named by the beginning of their names; all open ones if none is named."""
    return trade_stage(partial(_cancel, account=account, orders=tuple(orders)))


def _send(context: Context, *, account: str | None, live: bool) -> Iterator[Result]:
    ledger, row = account_of(context, account)
    name, settings = row["account"], context.settings.broker
    if row["broker"] == BrokerName.PAPER:
        yield Result([], "orders of paper accounts are filled by pm run")
        return
    if (why := is_halted(context, ledger)) is not None:
        raise halted_error(why)
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
        yield Result(drained(ledger), cause.reason)
        raise halted_error(cause.reason)
    if _expire_old(context, ledger, name):
        yield Result(drained(ledger), "old plans expired")
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
    broker, told = open_account(context, row)
    try:
        if row["live"] or told.live:
            _require_live(context, ledger, row, told, said_live=live)
        cause = clock_cause(utc_now(), told.clock, settings)
        if cause is not None:
            ledger.halt(cause.cause, cause.reason)
            yield Result(drained(ledger), cause.reason)
            raise halted_error(cause.reason)

        def halted() -> str | None:
            return is_halted(context, ledger)

        planned = [order.order_id for order in ledger.open_orders(name) if order.state == OrderState.PLANNED]
        for result in committing(ledger, send_orders(ledger, broker, name, halted=halted, settings=settings)):
            yield result
            if result.summary.endswith(")"):  # the broker has said something of an order
                context.notify(result.summary)
    finally:
        broker.close()
    counts = counted_states(ledger.orders[order].state for order in planned)
    _refuse_stop(halted(), counts, [order for order in ledger.open_orders(name) if order.state == OrderState.UNKNOWN])
    yield Result(drained(ledger), f"{counts} of {plural(len(planned), 'order')}" if planned else "no planned order")


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
        raise halted_error(f"{halted} Of the orders, {counts}.")
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
    yield Result(drained(ledger), "writing the ticket")
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
        yield Result(drained(ledger), f"{plural(len(orders), 'order')} written to {file.name}")
    yield Result([], f"{plural(count, 'order')} written to {plural(len(begun), 'file')}")


def _sent_in(ledger: Ledger, order: OrderNow) -> str:
    """Return the run that recorded that an order is being sent."""
    return next(
        str(row["run_id"])
        for row in reversed(ledger.rows[ORDER_EVENTS.qualified])
        if row["order_id"] == order.order_id and row["state"] == OrderState.SENT
    )


def _cancel(context: Context, *, account: str | None, orders: Sequence[str]) -> Iterator[Result]:
    ledger, row = account_of(context, account)
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
    broker = open_account(context, row)[0] if is_asked else None
    try:
        yield from committing(ledger, cancel_orders(ledger, broker, names))
    finally:
        if broker is not None:
            broker.close()
    if not names:
        yield Result([], "no order is open")
        return
    ended = sum(not ledger.orders[name].is_open for name in names)
    yield Result(drained(ledger), f"{plural(ended, 'order')} cancelled")
