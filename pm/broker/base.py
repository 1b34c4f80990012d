"""The protocol of a broker, and what a broker tells.

::

    BrokerError (exit code 21)     the broker cannot be used
    ├── UnreachableError           no answer: whether an order arrived is unknown
    ├── RefusedError               the broker has answered no
    └── BadAnswerError             the answer cannot be understood: whether an order arrived is unknown
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta  # noqa: TC003 - fields' types
from decimal import Decimal  # noqa: TC003 - fields' types
from typing import TYPE_CHECKING, Protocol

from pm.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

__all__ = [
    "BadAnswerError",
    "Broker",
    "BrokerAccount",
    "BrokerFill",
    "BrokerOrder",
    "OrderRequest",
    "RefusedError",
    "UnreachableError",
]


class UnreachableError(BrokerError):
    """The broker gave no answer, so that it is not known whether it got the question."""


class RefusedError(BrokerError):
    """The broker has answered no: whatever was asked was not done."""


class BadAnswerError(BrokerError):
    """The broker's answer cannot be understood, so that it is not known what it did."""


@dataclass(frozen=True)
class OrderRequest:
    """An order as it is sent to a broker.

    Attributes
    ----------
    order_id
        Our name of the order, under which the broker accepts it once.
    side, order_type, time_in_force
        Words of the vocabularies Side, OrderType and TimeInForce.
    """

    order_id: str
    ticker: str
    side: str
    quantity: Decimal
    order_type: str
    time_in_force: str
    currency: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@dataclass(frozen=True)
class BrokerOrder:
    """An order as a broker tells it.

    Attributes
    ----------
    order_id
        Our name of the order; None for one that did not come from us.
    broker_order_id
        The broker's name.
    state
        A word of the vocabulary OrderState.
    """

    order_id: str | None
    broker_order_id: str
    ticker: str
    state: str
    quantity: Decimal
    filled: Decimal
    detail: str | None = None


@dataclass(frozen=True)
class BrokerFill:
    """A trade as a broker tells it.

    Attributes
    ----------
    commission
        None while the broker has not told it.
    time
        Time of the trade, in UTC without a zone.
    """

    fill_id: str
    order_id: str | None
    broker_order_id: str
    ticker: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal | None
    time: datetime


@dataclass(frozen=True)
class BrokerAccount:
    """An account as a broker tells it.

    Attributes
    ----------
    number
        Number of the account.
    currency, cash
        Its base currency, and its cash in that currency; None if it is not told.
    positions
        Number of shares by ticker.
    clock
        Time of the broker, in UTC without a zone; None if it does not tell.
    live
        Whether the account is for real money.
    """

    number: str
    currency: str
    cash: Decimal | None
    positions: dict[str, Decimal]
    clock: datetime | None
    live: bool


class Broker(Protocol):
    """A broker that can be asked over a network.

    Each method raises `UnreachableError`, `RefusedError` or `BadAnswerError`. None sends anything a second time unless
    that has the effect of once.
    """

    name: str
    remembers: timedelta | None
    """Time for which it tells of an order that has ended; None if it always does."""

    def account(self) -> BrokerAccount:
        """Return the account, its cash and its positions."""
        ...

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Send an order once, and return it as the broker has it; also if the broker has it already."""
        ...

    def find(self, order_id: str) -> BrokerOrder | None:
        """Return the order of our name; None if the broker does not know it."""
        ...

    def orders(self) -> Sequence[BrokerOrder]:
        """Return the orders that the broker remembers, open and ended."""
        ...

    def fills(self, since: date) -> Sequence[BrokerFill]:
        """Return the trades from a day on."""
        ...

    def cancel(self, order: BrokerOrder) -> None:
        """Ask the broker to cancel an order; whether it did is told by `find`."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...
