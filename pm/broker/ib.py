"""Interactive Brokers, by ib_async and a running TWS or IB Gateway (extra `ib`).

An order is known by its reference (`orderRef`), which is our name of it: the numbers of orders are counted anew by each
connection. Before an order is sent, and by each sync, the gateway is asked for open and completed orders and for
executions; what the client remembers of earlier answers is not used. A connection on which an answer was lost is
closed, so that a late answer cannot be taken for that to a later question.
"""

from __future__ import annotations

import contextlib
import logging
import time
from datetime import UTC, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from pm.broker.base import BadAnswerError, BrokerAccount, BrokerFill, BrokerOrder, RefusedError, UnreachableError
from pm.errors import BrokerError
from pm.ledger.money import ZERO, money, price, quantity
from pm.sources.symbols import symbol_for
from pm.tables.vocabulary import OrderState, OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date

    from pm.broker.base import OrderRequest

__all__ = ["InteractiveBrokers"]

_STATES = {
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELLED,
    "ApiCancelled": OrderState.CANCELLED,
}
"""States of an order by the broker's words; by any other it is accepted."""
_NOT_YET = {"ApiPending", "PendingSubmit", "Inactive"}
"""Words of an order of which the broker has not told yet whether it takes it."""
_DUPLICATE, _CANCELLED, _CLIENT_TAKEN = 103, 202, 326
_REMARKS = {_CANCELLED, 105, 165, 329, 399, 404, 10167, *range(2100, 2200)}
"""Codes about an order that do not say that it is refused."""
_BREAKS = {1100: False, 1101: True, 1102: True, 2110: False}
"""Codes of a broken connection between the gateway and the broker, and whether it is restored."""
_ATTEMPTS = 3
"""Number of times that an order is given another number because its own is taken."""
_PATIENCE = 2.0
"""Longest time in seconds to wait for what usually follows at once: commissions, or the reason of a refusal."""
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
    remembers: timedelta | None = timedelta(days=1)

    def __init__(self, host: str, port: int, *, client: int, number: str | None, timeout: float) -> None:
        try:
            import ib_async
        except ImportError:
            raise BrokerError(
                "The client of Interactive Brokers is not installed.",
                where="package ib_async",
                hint='python -m pip install "portfolio-maximizer[ib]"',
            ) from None
        # What the client and its loop log is told by our errors.
        logging.getLogger("ib_async").addHandler(logging.NullHandler())
        ib_async.util.getLoop().set_exception_handler(lambda *_: None)
        self._library = ib_async
        self._ib = ib_async.IB()
        self._ib.RequestTimeout = timeout
        self._timeout = timeout
        self._number = number or ""
        self._where = f"{host}:{port}"
        self._client = client
        self._errors: list[tuple[int, int, str]] = []
        self._breaks: list[int] = []
        self._ib.errorEvent += self._hear_error
        try:
            self._ib.connect(host, port, clientId=client, timeout=timeout)
        except (OSError, TimeoutError, ConnectionError) as error:
            if any(code == _CLIENT_TAKEN for _, code, _ in self._errors):
                raise UnreachableError(
                    f"Another program is connected to TWS or IB Gateway as client {client}.",
                    where=self._where,
                    hint="end it, or choose another number for broker.ib_client",
                ) from None
            raise UnreachableError(
                f"TWS or IB Gateway does not answer: {type(error).__name__}.",
                where=self._where,
                hint="start it, allow connections of programs in its settings, and see broker.ib_port",
            ) from None

    def _hear_error(self, request: int, code: int, text: str, *_: object) -> None:
        self._errors.append((request, code, text))
        if code in _BREAKS:
            self._breaks.append(code)

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
            cash=money(self._decimal(rows[0].value, "cash")),
            positions=self._positions(row for row in held if row.account == number),
            clock=now.astimezone(UTC).replace(tzinfo=None),
            live=not number.startswith(_PRACTICE),
        )

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Send an order once, and return it as the broker has it; also if the broker has it already."""
        if (known := self.find(request.order_id)) is not None:
            return known
        contract = self._library.Stock(symbol_for(self.name, request.ticker), "SMART", request.currency)
        for _ in range(_ATTEMPTS):
            order = self._order(request)
            self._errors.clear()
            trade = self._ask(partial(self._ib.placeOrder, contract, order))
            try:
                told = self._answer(trade)
            except RefusedError as refused:
                # The broker's own list decides, as codes can be remarks on an order that it has taken.
                known = self.find(request.order_id)
                if known is None or known.state in {OrderState.CANCELLED, OrderState.REJECTED}:
                    raise refused from None
                return known
            if told is not None:
                return told
        raise RefusedError("The numbers of the order were taken.", where=self._where, hint="pm trade sync")

    def _answer(self, trade: Any) -> BrokerOrder | None:  # noqa: ANN401 - a type of the library
        """Return the order as the broker answers to it; None if its number is taken by another order.

        Raises
        ------
        RefusedError
            The broker does not take it.
        UnreachableError
            There is no answer.
        """
        begin = time.monotonic()
        while (waited := time.monotonic() - begin) < self._timeout:
            self._ask(lambda: self._ib.waitOnUpdate(timeout=_STEP))
            codes = {code: text for request, code, text in self._errors if request == trade.order.orderId}
            if _DUPLICATE in codes:
                return None
            refusals = [text for code, text in codes.items() if code not in _REMARKS]
            if refusals:
                raise RefusedError(f"Interactive Brokers refuses: {refusals[0]}", where=self._where)
            status = trade.orderStatus.status
            if status not in _NOT_YET or (status == "Inactive" and waited > min(_PATIENCE, self._timeout / 2)):
                return self._told(trade, detail=next(iter(codes.values()), None))
        raise self._lost("Interactive Brokers gave no answer to the order.")

    def find(self, order_id: str) -> BrokerOrder | None:
        """Return the order of our name; None if the broker does not know it."""
        return next((told for told in self.orders() if told.order_id == order_id), None)

    def orders(self) -> Sequence[BrokerOrder]:
        """Return the open orders, those that ended today, and those of today's trades."""
        open_ = self._ask(self._ib.reqAllOpenOrders)
        completed = self._ask(lambda: self._ib.reqCompletedOrders(False))
        found = {trade.order.orderRef: self._told(trade) for trade in open_ if trade.order.orderRef}
        found |= {trade.order.orderRef: self._told(trade, ended=True) for trade in completed if trade.order.orderRef}
        for fill in self._executions():
            reference = fill.execution.orderRef
            if reference and reference not in found:
                shares = quantity(self._decimal(fill.execution.cumQty, "number of shares"))
                found[reference] = BrokerOrder(
                    reference,
                    str(fill.execution.permId),
                    _ticker(fill.contract.symbol),
                    OrderState.FILLED.value,
                    shares,
                    shares,
                )
        return list(found.values())

    def fills(self, since: date) -> Sequence[BrokerFill]:
        """Return the trades that the gateway remembers, from a day on: usually those of today."""
        found = []
        for fill in self._executions():
            told, report = fill.execution, fill.commissionReport
            at = told.time.astimezone(UTC).replace(tzinfo=None)
            if at.date() < since:
                continue
            found.append(
                BrokerFill(
                    fill_id=told.execId.rpartition(".")[0] or told.execId,  # without the number of its correction
                    order_id=told.orderRef or None,
                    broker_order_id=str(told.permId),
                    ticker=_ticker(fill.contract.symbol),
                    side=(Side.BUY if told.side == "BOT" else Side.SELL).value,
                    quantity=quantity(self._decimal(told.shares, "number of shares")),
                    price=price(self._decimal(told.price, "price")),
                    commission=money(self._decimal(report.commission, "commission")) if report.execId else None,
                    time=at,
                )
            )
        return found

    def cancel(self, order: BrokerOrder) -> None:
        """Ask the broker to cancel an order, and wait until it has told what became of it."""
        for trade in self._ib.openTrades():
            if trade.order.orderRef != order.order_id:
                continue
            if trade.order.clientId != self._client:  # whose numbers of orders are others than ours
                raise RefusedError(
                    f"The order was sent by client {trade.order.clientId}, which alone can cancel it.",
                    where=self._where,
                    hint="set broker.ib_client to that number, or cancel the order in TWS",
                )
            self._ask(partial(self._ib.cancelOrder, trade.order))
            end = time.monotonic() + self._timeout
            while not trade.isDone() and time.monotonic() < end:
                self._ask(lambda: self._ib.waitOnUpdate(timeout=_STEP))

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError, RuntimeError):  # the connection or the event loop has ended already
            self._ib.disconnect()

    def _executions(self) -> list[Any]:
        self._ask(self._ib.reqExecutions)
        end = time.monotonic() + min(self._timeout, _PATIENCE)
        # Commissions are told after the trades.
        while any(not fill.commissionReport.execId for fill in self._ib.fills()) and time.monotonic() < end:
            self._ask(lambda: self._ib.waitOnUpdate(timeout=_STEP))
        return [
            fill for fill in self._ib.fills() if fill.execution.acctNumber in {self._number, ""} or not self._number
        ]

    def _positions(self, rows: Iterable[Any]) -> dict[str, Decimal]:
        """Return numbers of shares by ticker; of what is no share, the number by the broker's own name of it."""
        found: dict[str, Decimal] = {}
        for row in rows:
            contract = row.contract
            is_share = contract.secType == "STK"
            name = (
                _ticker(contract.symbol)
                if is_share
                else f"{contract.localSymbol or contract.symbol} ({contract.secType})"
            )
            found[name] = found.get(name, ZERO) + quantity(self._decimal(row.position, "number of shares"))
        return {name: shares for name, shares in found.items() if shares}

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

    def _told(self, trade: Any, *, ended: bool = False, detail: str | None = None) -> BrokerOrder:  # noqa: ANN401
        """Return an order of the library as ours; one that has ended without any other word was rejected."""
        status = trade.orderStatus.status
        state = _STATES.get(status, OrderState.REJECTED if ended else OrderState.ACCEPTED)
        shares = [trade.filled(), trade.orderStatus.filled]
        if ended and trade.order.filledQuantity < self._library.util.UNSET_DOUBLE:
            shares.append(trade.order.filledQuantity)
        number = trade.order.permId or trade.orderStatus.permId
        return BrokerOrder(
            order_id=trade.order.orderRef or None,
            broker_order_id=str(number) if number else "",
            ticker=_ticker(trade.contract.symbol),
            state=state.value,
            quantity=quantity(self._decimal(trade.order.totalQuantity, "number of shares")),
            filled=quantity(self._decimal(max(shares), "number of shares")),
            detail=detail or (None if status in {"PreSubmitted", "Submitted", "Filled"} else status),
        )

    def _decimal(self, value: object, name: str) -> Decimal:
        """Return a number of the broker as an exact decimal."""
        try:
            number = Decimal(repr(float(value))) if isinstance(value, (int, float)) else Decimal(str(value))
        except ArithmeticError:
            number = Decimal("NaN")
        if not number.is_finite():
            raise BadAnswerError(f"The gateway's {name} is no number: {value!r}.", where=self._where)
        return number

    def _ask(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the library returns
        """Return the answer to a question, or raise what became of it."""
        if not self._ib.isConnected():
            raise self._lost("TWS or IB Gateway is not connected any more.")
        if self._breaks and not _BREAKS[self._breaks[-1]]:
            raise self._lost("TWS or IB Gateway has lost its connection to Interactive Brokers.")
        breaks = len(self._breaks)
        try:
            answer = call()
        except (OSError, TimeoutError, ConnectionError) as error:
            raise self._lost(f"TWS or IB Gateway gave no answer: {type(error).__name__}.") from None
        if len(self._breaks) > breaks:
            raise self._lost("The connection of TWS or IB Gateway to Interactive Brokers broke meanwhile.")
        return answer

    def _lost(self, what: str) -> UnreachableError:
        """Close the connection, and return the error that says so."""
        self.close()
        return UnreachableError(what, where=self._where, hint="pm trade sync")


def _ticker(symbol: str) -> str:
    """Return a symbol with a point before a share's class, as the ledger can know it: BRK.B for BRK B."""
    return symbol.replace(" ", ".")
