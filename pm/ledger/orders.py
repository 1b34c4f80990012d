"""Orders of the ledger: their names, their states, and what is left of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pm.ledger.money import ZERO, price, quantity, whole
from pm.tables.vocabulary import OrderState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

__all__ = ["OPEN_STATES", "OrderNow", "after", "may_follow", "order_id", "orders_now"]

_S = OrderState
OPEN_STATES = frozenset({_S.PLANNED, _S.SENT, _S.ACCEPTED, _S.PARTLY_FILLED, _S.UNKNOWN})
"""States in which an order can still be traded."""

_STATES = {state.value: state for state in OrderState}
_AT_BROKER = {_S.ACCEPTED, _S.PARTLY_FILLED, _S.FILLED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED}
_FOLLOWS: dict[OrderState | None, set[OrderState]] = {
    None: {_S.PLANNED},
    _S.PLANNED: {_S.SENT, _S.CANCELLED, _S.EXPIRED, _S.PLANNED},
    _S.SENT: {_S.UNKNOWN, *_AT_BROKER},
    _S.UNKNOWN: {_S.UNKNOWN, *_AT_BROKER},
    _S.ACCEPTED: {_S.UNKNOWN, *_AT_BROKER},
    _S.PARTLY_FILLED: {_S.PARTLY_FILLED, _S.FILLED, _S.CANCELLED, _S.EXPIRED, _S.UNKNOWN},
    # A broker can tell of a trade after it told of the end, and of an order that it seemed not to have got.
    _S.CANCELLED: {_S.PARTLY_FILLED, _S.FILLED, _S.CANCELLED},
    _S.EXPIRED: {_S.ACCEPTED, _S.PARTLY_FILLED, _S.FILLED, _S.EXPIRED, _S.CANCELLED, _S.REJECTED},
    _S.REJECTED: set(),
    _S.FILLED: set(),
}


def order_id(account: str, run_id: str, ticker: str, side: str, purpose: str, number: int) -> str:
    """Return an order's name: the same for the same order, so that a broker that has it refuses it a second time.

    It has 32 characters, which all brokers accept.
    """
    parts = "\x1f".join([account, run_id, ticker, side, purpose, str(number)])
    return "pm" + hashlib.sha256(parts.encode()).hexdigest()[:30]


def may_follow(before: str | None, after: str) -> bool:
    """Return whether an order can come from one state to another. None is the state of an order that is not there."""
    return OrderState.of(after) in _FOLLOWS[None if before is None else OrderState.of(before)]


@dataclass(frozen=True)
class OrderNow:
    """An order as it is now.

    Attributes
    ----------
    row
        Row of table orders.
    state
        Its newest state.
    broker_order_id
        Name at the broker; None if it is not known.
    quantity
        Number of shares ordered, after splits.
    limit_price, stop_price
        Prices after splits; None for none.
    filled
        Number of shares traded, in shares of today.
    """

    row: Mapping[str, Any]
    state: OrderState
    broker_order_id: str | None
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    filled: Decimal

    @property
    def order_id(self) -> str:
        """The order's name."""
        return str(self.row["order_id"])

    @property
    def is_open(self) -> bool:
        """Whether it can still be traded."""
        return self.state in OPEN_STATES

    @property
    def left(self) -> Decimal:
        """Number of shares that are not traded yet."""
        return self.quantity - self.filled


def orders_now(
    orders: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]], fills: Iterable[Mapping[str, Any]]
) -> dict[str, OrderNow]:
    """Return the orders as they are now, by name, in the order in which they were planned.

    Parameters
    ----------
    orders, events, fills
        Rows of the tables orders, order_events and fills.
    """
    found: dict[str, dict[str, Any]] = {
        row["order_id"]: {
            "row": row,
            "state": OrderState.PLANNED,
            "broker_order_id": None,
            "quantity": row["quantity"],
            "limit_price": row["limit_price"],
            "stop_price": row["stop_price"],
            "filled": ZERO,
        }
        for row in sorted(orders, key=lambda row: row["sequence"])
    }
    for row in sorted((*events, *fills), key=lambda row: row["sequence"]):
        if (values := found.get(row["order_id"])) is not None:
            _change(values, row)
    return {name: OrderNow(**values) for name, values in found.items()}


def after(order: OrderNow, row: Mapping[str, Any]) -> OrderNow:
    """Return an order as it is after a further row of order_events or fills about it."""
    values = dict(order.__dict__)
    _change(values, row)
    return OrderNow(**values)


def _change(values: dict[str, Any], row: Mapping[str, Any]) -> None:
    """Change the values of an order by a row of order_events or fills."""
    if "fill_id" in row:
        values["filled"] += row["quantity"]
        return
    values["state"] = _STATES[row["state"]]
    values["broker_order_id"] = row["broker_order_id"] or values["broker_order_id"]
    if row["ratio"]:
        ratio = Fraction(row["ratio"])
        is_whole = whole(values["quantity"]) == values["quantity"]
        for name in ("quantity", "filled"):
            scaled = quantity(Fraction(values[name]) * ratio)
            values[name] = whole(scaled) if is_whole else scaled
        for name in ("limit_price", "stop_price"):
            if values[name] is not None:
                values[name] = price(Fraction(values[name]) / ratio)
