"""Interactive Brokers, by ib_async and a running TWS or IB Gateway (extra `ib`).

An order is known by its reference (`orderRef`), which is our name of it: the numbers of orders are counted anew by each
connection. Before an order is sent, and after any doubt, the gateway is asked for open and completed orders and for
executions.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pm.broker.base import BadAnswerError, BrokerAccount, BrokerFill, BrokerOrder, RefusedError, UnreachableError
from pm.errors import BrokerError
from pm.ledger.money import money, price, quantity
from pm.tables.vocabulary import OrderState, OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pm.broker.base import OrderRequest

__all__ = ["InteractiveBrokers"]

_STATES = {
    "ApiPending": OrderState.SENT,
    "PendingSubmit": OrderState.SENT,
    "PreSubmitted": OrderState.ACCEPTED,
    "Submitted": OrderState.ACCEPTED,
    "PendingCancel": OrderState.ACCEPTED,
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELLED,
    "ApiCancelled": OrderState.CANCELLED,
    "Inactive": OrderState.REJECTED,
}
_DUPLICATE, _REJECTED, _CANCELLED = 103, 201, 202
_LOST = {1100, 1101, 2110}
"""Codes that say that the connection to the broker is broken, or was and lost its subscriptions."""
_PRACTICE = "D"
"""First letter of the number of an account for practice."""
_STEP = 0.05
"""Seconds between two looks at what the gateway has told."""


class InteractiveBrokers:
    """An account at Interactive Brokers.

    Parameters
    ----------
    host, port, client
        Where TWS or IB Gateway listens, and the number by which this program is known to it.
    number
        Number of the account.
    timeout
        Seconds to wait for an answer.

    Raises
    ------
    BrokerError
        The client is not installed.
    UnreachableError
        Nothing listens there, or it does not answer.
    """

    name = "ib"

    def __init__(self, host: str, port: int, *, client: int, number: str | None, timeout: float) -> None:
        try:
            import ib_async
        except ImportError:
            raise BrokerError(
                "The client of Interactive Brokers is not installed.",
                where="package ib_async",
                hint='python -m pip install "portfolio-maximizer[ib]"',
            ) from None
        self._library = ib_async
        self._ib = ib_async.IB()
        self._ib.RequestTimeout = timeout
        self._timeout = timeout
        self._number = number or ""
        self._where = f"{host}:{port}"
        self._errors: list[tuple[int, int, str]] = []
        self._ib.errorEvent += lambda request, code, text, *_: self._errors.append((request, code, text))
        try:
            self._ib.connect(host, port, clientId=client, timeout=timeout, account=self._number)
        except (OSError, TimeoutError, ConnectionError) as error:
            raise UnreachableError(
                f"TWS or IB Gateway does not answer: {type(error).__name__}.",
                where=self._where,
                hint="start it, allow connections of programs in its settings, and see broker.ib_port",
            ) from None

    def account(self) -> BrokerAccount:
        """Return the account, its cash and its positions."""
        numbers = self._ask(self._ib.managedAccounts)
        number = self._number if self._number in numbers else next(iter(numbers), "")
        held = self._ask(self._ib.reqPositions)
        rows = [row for row in self._ib.accountValues(number) if row.tag == "TotalCashValue" and row.currency != "BASE"]
        if not rows:
            raise BadAnswerError("The gateway tells no cash.", where=self._where)
        now = self._ask(self._ib.reqCurrentTime)
        return BrokerAccount(
            number=number,
            currency=rows[0].currency,
            cash=money(Decimal(rows[0].value)),
            positions={
                row.contract.symbol: quantity(Decimal(repr(float(row.position))))
                for row in held
                if row.account == number and row.position
            },
            clock=now.astimezone(UTC).replace(tzinfo=None),
            live=not number.startswith(_PRACTICE),
        )

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Send an order once, and return it as the broker has it; also if the broker has it already."""
        if (known := self.find(request.order_id)) is not None:
            return known
        order = self._order(request)
        contract = self._library.Stock(request.ticker, "SMART", request.currency)
        self._errors.clear()
        self._ask(lambda: self._ib.placeOrder(contract, order))
        end = time.monotonic() + self._timeout
        while time.monotonic() < end:
            self._ask(lambda: self._ib.waitOnUpdate(timeout=_STEP))
            codes = {code: text for request_id, code, text in self._errors if request_id == order.orderId}
            if _REJECTED in codes:
                raise RefusedError(f"Interactive Brokers refuses: {codes[_REJECTED]}", where=self._where)
            if _DUPLICATE in codes:
                raise UnreachableError("The number of the order was taken.", where=self._where, hint="pm trade sync")
            if not self._ib.isConnected() or any(code in _LOST for _, code, _ in self._errors):
                break
            told = [trade for trade in self._heard_of() if trade.order.orderRef == request.order_id]
            if told:
                return self._told(told[-1])
        raise UnreachableError(
            "Interactive Brokers gave no answer to the order.", where=self._where, hint="pm trade sync"
        )

    def find(self, order_id: str) -> BrokerOrder | None:
        """Return the order of our name; None if the broker does not know it."""
        return next((told for told in self.orders() if told.order_id == order_id), None)

    def orders(self) -> Sequence[BrokerOrder]:
        """Return the open orders, those that ended today, and those of today's trades."""
        open_ = self._ask(self._ib.reqAllOpenOrders)
        completed = self._ask(lambda: self._ib.reqCompletedOrders(False))
        found = {}
        for trade in (*completed, *open_, *self._heard_of()):
            if trade.order.orderRef and _STATES.get(trade.orderStatus.status) != OrderState.SENT:
                found[trade.order.orderRef] = self._told(trade)
        for fill in self._executions():
            reference = fill.execution.orderRef
            if reference and reference not in found:
                shares = quantity(Decimal(repr(float(fill.execution.cumQty))))
                found[reference] = BrokerOrder(
                    reference, str(fill.execution.permId), fill.contract.symbol, OrderState.FILLED.value, shares, shares
                )
        return list(found.values())

    def fills(self, since: date) -> Sequence[BrokerFill]:
        """Return the trades that the gateway remembers, from a day on: usually those of today."""
        found = []
        for fill in self._executions():
            told = fill.execution
            day = told.time.date() if isinstance(told.time, datetime) else date.fromisoformat(str(told.time)[:10])
            report = fill.commissionReport
            if day < since:
                continue
            found.append(
                BrokerFill(
                    fill_id=told.execId,
                    order_id=told.orderRef or None,
                    broker_order_id=str(told.permId),
                    ticker=fill.contract.symbol,
                    side=(Side.BUY if told.side == "BOT" else Side.SELL).value,
                    quantity=quantity(Decimal(repr(float(told.shares)))),
                    price=price(Decimal(repr(float(told.price)))),
                    commission=money(Decimal(repr(float(report.commission)))) if report.execId else None,
                    date=day,
                )
            )
        return found

    def cancel(self, order: BrokerOrder) -> None:
        """Ask the broker to cancel an order, and wait until it has told what became of it."""
        for trade in self._ib.trades():
            if trade.order.orderRef == order.order_id and not trade.isDone():
                self._ib.cancelOrder(trade.order)
                end = time.monotonic() + self._timeout
                while not trade.isDone() and time.monotonic() < end and self._ib.isConnected():
                    self._ask(lambda: self._ib.waitOnUpdate(timeout=_STEP))

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(Exception):
            self._ib.disconnect()

    def _executions(self) -> list[Any]:
        self._ask(self._ib.reqExecutions)
        end = time.monotonic() + min(self._timeout, 2.0)
        # Commissions are told after the trades.
        while any(not fill.commissionReport.execId for fill in self._ib.fills()) and time.monotonic() < end:
            self._ask(lambda: self._ib.waitOnUpdate(timeout=_STEP))
        return [
            fill for fill in self._ib.fills() if fill.execution.acctNumber in {self._number, ""} or not self._number
        ]

    def _heard_of(self) -> list[Any]:
        """Return the orders of which the gateway has told something: not those that were only sent."""
        return [
            trade
            for trade in self._ib.trades()
            if _STATES.get(trade.orderStatus.status, OrderState.ACCEPTED) != OrderState.SENT
        ]

    def _order(self, request: OrderRequest) -> Any:  # noqa: ANN401 - a type of the library
        action = "BUY" if request.side == Side.BUY else "SELL"
        shares = float(request.quantity)
        order: Any
        if request.order_type == OrderType.LIMIT and request.limit_price is not None:
            order = self._library.LimitOrder(action, shares, float(request.limit_price))
        elif request.order_type == OrderType.STOP and request.stop_price is not None:
            order = self._library.StopOrder(action, shares, float(request.stop_price))
        else:
            order = self._library.MarketOrder(action, shares)
        order.orderRef = request.order_id
        order.account = self._number
        order.tif = "GTC" if request.time_in_force == TimeInForce.GTC else "DAY"
        return order

    def _told(self, trade: Any) -> BrokerOrder:  # noqa: ANN401 - a type of the library
        status = trade.orderStatus.status
        state = _STATES.get(status, OrderState.ACCEPTED)
        filled = quantity(Decimal(repr(float(trade.filled()))))
        return BrokerOrder(
            order_id=trade.order.orderRef or None,
            broker_order_id=str(trade.order.permId or trade.orderStatus.permId),
            ticker=trade.contract.symbol,
            state=state.value,
            quantity=quantity(Decimal(repr(float(trade.order.totalQuantity)))),
            filled=filled,
            detail=None if state in {OrderState.ACCEPTED, OrderState.FILLED} else status,
        )

    def _ask(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the library returns
        try:
            if not self._ib.isConnected():
                raise ConnectionError("not connected")  # noqa: TRY301 - told like one of the library
            return call()
        except (OSError, TimeoutError, ConnectionError) as error:
            raise UnreachableError(
                f"TWS or IB Gateway gave no answer: {type(error).__name__}.", where=self._where, hint="pm trade sync"
            ) from None
