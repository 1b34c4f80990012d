"""Tickets: a list of orders that a person enters at a broker, and a file of fills back."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from decimal import Decimal  # noqa: TC003 - a field's type
from io import StringIO
from typing import TYPE_CHECKING

from pm.errors import InputError
from pm.ledger.book import event_id
from pm.ledger.money import ZERO, decimal_of, money, price, quantity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pm.broker.base import OrderRequest

__all__ = ["TicketLine", "read_fills", "write_ticket"]

_COLUMNS = (
    "order_id", "ticker", "side", "quantity", "type", "limit_price", "stop_price", "currency", "good",
    "filled_quantity", "filled_price", "commission", "date",
)  # fmt: skip
_FILLED = ("order_id", "filled_quantity", "filled_price", "date")
"""Columns that a file of fills must have."""


@dataclass(frozen=True)
class TicketLine:
    """A line of a file of fills: where it is in the file, and the trade."""

    where: str
    fill_id: str
    order_id: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    date: date


def write_ticket(orders: Sequence[OrderRequest]) -> str:
    """Return the orders as a CSV file, with empty columns for a person to fill in what was traded."""
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for order in orders:
        prices = ["" if value is None else f"{value.normalize():f}" for value in (order.limit_price, order.stop_price)]
        writer.writerow(
            [order.order_id, order.ticker, order.side, f"{order.quantity.normalize():f}", order.order_type, *prices,
             order.currency, order.time_in_force, "", "", "", ""]
        )  # fmt: skip
    return buffer.getvalue()


def read_fills(file: Path) -> list[TicketLine]:
    """Return the trades of a ticket that a person has filled in; lines without a filled quantity are left out.

    A trade is named by its order and what was traded, so that a file read twice is recorded once; two equal trades of
    one order need a column fill_id.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, or has a number or a date that cannot be; the message has the line.
    """
    try:
        rows = list(csv.DictReader(StringIO(file.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The file of fills cannot be read: {error}.", where=str(file), hint="name a CSV file"
        ) from None
    missing = [name for name in _FILLED if not rows or name not in rows[0]]
    if missing:
        raise InputError(
            f"The file of fills has no column {missing[0]}.", where=str(file), hint=f"name them {', '.join(_FILLED)}"
        )
    found = []
    for number, row in enumerate(rows, 2):
        where = f"{file}, line {number}"
        cells = {name: (text or "").strip() for name, text in row.items() if name}
        if not cells["filled_quantity"]:
            continue
        try:
            day = date.fromisoformat(cells["date"])
        except ValueError:
            raise InputError(
                f"The date {cells['date'][:20]!r} cannot be read.", where=where, hint="write it as 2024-01-31"
            ) from None
        shares = quantity(decimal_of(cells["filled_quantity"], name="filled quantity", where=where))
        paid = price(decimal_of(cells["filled_price"], name="filled price", where=where))
        fee = money(decimal_of(cells.get("commission") or "0", name="commission", where=where))
        if shares <= ZERO or paid <= ZERO or fee < ZERO:
            raise InputError("A number of the fill is impossible.", where=where, hint="shares and price are above 0")
        name = cells.get("fill_id") or event_id(cells["order_id"], shares, paid, day)
        found.append(TicketLine(where, name, cells["order_id"], shares, paid, fee, day))
    return found
