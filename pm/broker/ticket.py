"""Tickets: a list of orders that a person enters at a broker, and a file of fills back."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date  # noqa: TC003 - a field's type
from decimal import Decimal  # noqa: TC003 - a field's type
from io import StringIO
from typing import TYPE_CHECKING

from pm.broker.broker_table import Cells, columns_of, days, numbers, open_table
from pm.errors import InputError
from pm.ledger.book import event_id
from pm.ledger.money import LARGEST, ZERO, money, price, quantity
from pm.sources.spellings import normalised

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pm.broker.base import OrderRequest

__all__ = ["TicketLine", "read_fills", "write_ticket"]

_BY_HAND = ("filled_quantity", "filled_price", "commission", "date")
"""Columns that a person fills in."""
_COLUMNS = (
    "order_id", "ticker", "side", "quantity", "type", "limit_price", "stop_price", "currency", "good", *_BY_HAND,
)  # fmt: skip
_FILLED = ("order_id", "filled_quantity", "filled_price", "date")
"""Columns that a file of fills must have."""
_NUMBERS = ("filled_quantity", "filled_price", "commission")
_SPELLINGS = {name: (normalised(name),) for name in (*_COLUMNS, "fill_id", "lots")}


@dataclass(frozen=True)
class TicketLine:
    """A line of a file of fills: where it is in the file, and the trade; ticker and side are empty if not told.

    Attributes
    ----------
    lots
        Beginnings of the names of the lots that a sale closes first.
    """

    where: str
    fill_id: str
    order_id: str
    ticker: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    date: date
    lots: tuple[str, ...] = ()


def write_ticket(orders: Sequence[OrderRequest], *, with_lots: bool = False) -> str:
    """Return the orders as a CSV file, with empty columns for a person to fill in what was traded.

    Parameters
    ----------
    with_lots
        Whether there is a column for the lots that a sale closes.
    """
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    further = ["lots"] if with_lots else []
    writer.writerow([*_COLUMNS, *further])
    for order in orders:
        prices = ["" if value is None else f"{value.normalize():f}" for value in (order.limit_price, order.stop_price)]
        writer.writerow(
            [order.order_id, order.ticker, order.side, f"{order.quantity.normalize():f}", order.order_type, *prices,
             order.currency, order.time_in_force, *[""] * (len(_BY_HAND) + len(further))]
        )  # fmt: skip
    return buffer.getvalue()


def read_fills(path: Path, *, decimal: str | None = None) -> list[TicketLine]:
    """Return the trades of a ticket that a person has filled in; lines without a filled quantity are left out.

    A trade is named by its order and what was traded, so that a file read twice is recorded once; two equal trades of
    one order need a column fill_id. A column lots can name the lots that a sale closes, with spaces between. A
    spreadsheet may have saved the file in its own way.

    Parameters
    ----------
    decimal
        Decimal separator if the user tells it.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, or has a number or a date that cannot be; the message has the line.
    """
    table = open_table(path, lambda header: set(_FILLED) <= columns_of(header, _SPELLINGS).keys())
    places = columns_of(table.header, _SPELLINGS)
    missing = [name for name in _FILLED if name not in places]
    if missing:
        raise InputError(
            f"The file of fills has no column {missing[0]}.", where=str(path), hint=f"name them {', '.join(_FILLED)}"
        )
    rows = [
        Cells(f"{table}, line {line}", {name: fields[place] for name, place in places.items() if place < len(fields)})
        for line, fields in table.rows()
    ]
    rows = [cells for cells in rows if cells["filled_quantity"]]
    names = [name for name in _NUMBERS if name in places]
    told = numbers(rows, names, (), dates="date", delimiter=table.delimiter, decimal=decimal)
    return [
        _line(cells, number, day)
        for cells, number, day in zip(rows, told, days(rows, "date"), strict=True)
        if number["filled_quantity"] is not None
    ]


def _line(cells: Cells, number: dict[str, Decimal | None], day: date | None) -> TicketLine:
    if day is None or number["filled_price"] is None:
        what = "price" if day is not None else "date"
        raise InputError(f"The fill has no {what}.", where=cells.where, hint=f"fill in the column of the {what}")
    shares, paid = quantity(number["filled_quantity"] or ZERO), price(number["filled_price"])
    fee = money(number.get("commission") or ZERO)
    if shares <= ZERO or paid <= ZERO or fee < ZERO or max(shares, paid) >= LARGEST:
        raise InputError("A number of the fill is impossible.", where=cells.where, hint="shares and price are above 0")
    name = cells["fill_id"] or event_id(cells["order_id"], shares, paid, day)
    return TicketLine(
        cells.where, name, cells["order_id"], cells["ticker"], cells["side"], shares, paid, fee, day,
        tuple(cells["lots"].split()),
    )  # fmt: skip
