"""Read the positions and the cash of an account from a broker's CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from pm.errors import InputError
from pm.ledger.money import LARGEST, decimal_of, money, quantity

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

__all__ = ["HeldPosition", "read_positions"]

_NAMES = {
    "ticker": ("ticker", "symbol", "instrument", "security", "symbol/cusip", "financial instrument"),
    "shares": ("shares", "quantity", "qty", "position", "units", "volume", "amount held"),
    "price": ("average cost", "avg cost", "average price", "avg price", "avg. price", "cost basis/share", "cost price",
              "average cost basis", "open price", "unit cost", "avg_entry_price", "purchase price"),
    "cost": ("cost", "cost basis", "cost basis total", "total cost", "book value", "cost_basis"),
    "currency": ("currency", "ccy", "cur"),
    "opened": ("date", "opened", "open date", "date acquired", "acquired", "purchase date", "open time"),
}  # fmt: skip
"""For each column that is read, headings of brokers' files, in small letters."""
_CASH = ("cash", "cash & cash investments", "cash balance", "total cash", "cash and money market")
"""Texts of a row of cash, in small letters, in the place of a ticker."""
_ENDS = ("total", "account total", "grand total", "totals")
"""Texts of a row that adds up others."""
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%b-%d-%Y", "%b %d, %Y")
"""Forms of dates that can be read in one way only."""


@dataclass(frozen=True)
class HeldPosition:
    """A position, or cash if `ticker` is None.

    Attributes
    ----------
    shares
        Number of shares, negative for a short position; of cash, the amount.
    cost
        What they cost, in the position's currency; None if the file does not tell.
    currency
        None if the file does not tell.
    opened
        Day of the purchase; None if the file does not tell.
    """

    ticker: str | None
    shares: Decimal
    cost: Decimal | None
    currency: str | None
    opened: date | None


def read_positions(file: Path) -> list[HeldPosition]:
    """Return the positions and the cash of a file: a table with columns for ticker and number of shares.

    Lines above the header and lines that add up others are left out. A row of a ticker named Cash is cash.

    Raises
    ------
    InputError
        The file cannot be read or has no such table, or a number or a date cannot be read; the message has the line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = file.read_text(encoding="cp1252", errors="replace")
    except OSError as error:
        raise InputError(
            f"The file cannot be read: {error.strerror}.", where=str(file), hint="name a CSV file"
        ) from None
    lines = text.splitlines()
    for number, line in enumerate(lines):
        for delimiter in (",", ";", "\t"):
            columns = _columns(next(csv.reader([line], delimiter=delimiter), []))
            if "ticker" in columns and "shares" in columns:
                return _rows(file, lines[number + 1 :], number + 2, columns, delimiter)
    raise InputError(
        "The file has no header with a ticker and a number of shares.",
        where=str(file),
        hint="name the columns ticker and shares, and where wanted cost, price, currency and date",
    )


def _columns(cells: list[str]) -> dict[str, int]:
    headings = [cell.strip().lower() for cell in cells]
    found = {}
    for name, spellings in _NAMES.items():
        places = [headings.index(spelling) for spelling in spellings if spelling in headings]
        if places:
            found[name] = places[0]
    return found


def _rows(file: Path, lines: list[str], first: int, columns: dict[str, int], delimiter: str) -> list[HeldPosition]:
    found: list[HeldPosition] = []
    decimal_comma = delimiter == ";"
    for number, cells in enumerate(csv.reader(lines, delimiter=delimiter), first):

        def cell(name: str, cells: list[str] = cells) -> str:
            place = columns.get(name)
            return cells[place].strip() if place is not None and place < len(cells) else ""

        ticker, where = cell("ticker"), f"{file}, line {number}"
        if not ticker or ticker.lower() in _ENDS or not (cell("shares") or cell("cost")):
            continue
        is_cash = ticker.lower() in _CASH
        shares = quantity(
            _number(cell("shares") or cell("cost"), "number of shares", where, decimal_comma=decimal_comma)
        )
        if not shares:
            continue
        if abs(shares) >= LARGEST and not is_cash:
            raise InputError(
                f"{ticker} has {shares:,f} shares, which cannot be.", where=where, hint="correct the number"
            )
        currency = cell("currency") or None
        if is_cash:
            found.append(HeldPosition(None, money(shares), None, currency, None))
            continue
        cost = None
        if cell("cost"):
            cost = _number(cell("cost"), "cost", where, decimal_comma=decimal_comma)
            cost = money(abs(cost) if shares > 0 else -abs(cost))
        elif cell("price"):
            cost = money(shares * _number(cell("price"), "price", where, decimal_comma=decimal_comma))
        found.append(HeldPosition(ticker, shares, cost, currency, _date(cell("opened"), where)))
    if not found:
        raise InputError("The file has no position.", where=str(file), hint="see docs/trading.md for its form")
    return found


def _number(text: str, name: str, where: str, *, decimal_comma: bool) -> Decimal:
    bare = text.replace(" ", "").replace("\xa0", "").replace("'", "").lstrip("$€£")
    sign = -1 if bare.startswith("(") and bare.endswith(")") else 1
    bare = bare.strip("()").replace("$", "")
    bare = bare.replace(".", "").replace(",", ".") if decimal_comma else bare.replace(",", "")
    return sign * decimal_of(bare, name=name, where=where)


def _date(text: str, where: str) -> date | None:
    if not text or text == "--":
        return None
    for form in _DATES:
        try:
            return datetime.strptime(text[:12].strip(), form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    raise InputError(f"The date {text[:20]!r} cannot be read.", where=where, hint="write it as 2024-01-31")
