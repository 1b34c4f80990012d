"""Lots: what each purchase cost, which lots a sale closes, and what a split makes of them.

A lot of a short position has a negative number of shares and a negative cost: the money that its sale brought. So one
rule holds for both: the gain of a trade is its change of cash plus the changes of the costs of its lots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date  # noqa: TC003 - a field's type
from decimal import Decimal  # noqa: TC003 - a field's type
from fractions import Fraction
from typing import TYPE_CHECKING

from pm.errors import InputError
from pm.ledger.money import ZERO, money, quantity, share_of, whole
from pm.tables.vocabulary import LotMethod

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = ["Lot", "LotChange", "change_lots", "changed", "split_lots", "spread_lots", "trade_lots"]


@dataclass(frozen=True)
class Lot:
    """Shares that were opened by one trade.

    Attributes
    ----------
    lot
        Name: the fill or the event that opened it.
    opened
        Day on which it was opened; a split does not change it.
    quantity
        Number of shares left; negative for a short position.
    cost
        What they cost, fees included, in the currency of the ticker; negative for a short position.
    base_cost
        The cost in the account's base currency, at the rate of the day of the trade.
    """

    lot: str
    opened: date
    quantity: Decimal
    cost: Decimal
    base_cost: Decimal


@dataclass(frozen=True)
class LotChange:
    """A change of a lot: of its shares and costs, and the gain that it realised, in both currencies.

    Attributes
    ----------
    new
        Of the change of its shares, the part that the ratio of a split makes.
    """

    lot: str
    opened: date
    quantity: Decimal
    cost: Decimal
    base_cost: Decimal
    gain: Decimal = ZERO
    base_gain: Decimal = ZERO
    new: Decimal = ZERO


def changed(lots: Sequence[Lot], changes: Sequence[LotChange]) -> list[Lot]:
    """Return the lots after some changes, in the order in which they were opened; closed ones are left out."""
    found = {lot.lot: lot for lot in lots}
    change_lots(found, changes)
    return list(found.values())


def change_lots(lots: dict[str, Lot], changes: Sequence[LotChange]) -> None:
    """Change lots, which are given by their names; new ones come last, and closed ones are removed."""
    for change in changes:
        old = lots.get(change.lot, Lot(change.lot, change.opened, ZERO, ZERO, ZERO))
        lots[change.lot] = replace(
            old,
            quantity=old.quantity + change.quantity,
            cost=old.cost + change.cost,
            base_cost=old.base_cost + change.base_cost,
        )
    for name in {change.lot for change in changes}:
        if not lots[name].quantity:
            del lots[name]


def trade_lots(
    lots: Collection[Lot],
    *,
    shares: Decimal,
    amount: Decimal,
    base_amount: Decimal,
    name: str,
    day: date,
    method: str = LotMethod.FIFO,
    named: Sequence[str] = (),
) -> list[LotChange]:
    """Return the changes of lots by a trade.

    Parameters
    ----------
    lots
        Open lots of the ticker, in the order in which they were opened.
    shares
        Change of the position: positive for a purchase, negative for a sale.
    amount, base_amount
        Change of cash by the trade after commission, in the ticker's currency and in the base currency.
    name
        Name of the lot that the trade opens, if it opens one.
    method
        Which lots it closes first; see `LotMethod`.
    named
        Lots that it closes first, by name; those of `method` follow.

    Raises
    ------
    InputError
        A lot that is named is not open.
    """
    left = shares
    closed: list[tuple[Lot, Decimal]] = []
    for lot in _in_order(lots, method, named):
        if not left:
            break
        if (lot.quantity > 0) == (left > 0):
            continue
        part = -lot.quantity if abs(lot.quantity) <= abs(left) else left
        closed.append((lot, part))
        left -= part
    changes = []
    rest, base_rest, shares_left = amount, base_amount, shares
    for lot, part in closed:
        cash, base_cash = share_of(rest, part, shares_left), share_of(base_rest, part, shares_left)
        rest, base_rest, shares_left = rest - cash, base_rest - base_cash, shares_left - part
        cost, base_cost = share_of(lot.cost, part, lot.quantity), share_of(lot.base_cost, part, lot.quantity)
        changes.append(
            LotChange(lot.lot, lot.opened, part, cost, base_cost, gain=cash + cost, base_gain=base_cash + base_cost)
        )
    if left:
        changes.append(LotChange(name, day, left, -rest, -base_rest))
    return changes


def split_lots(
    lots: Sequence[Lot],
    ratio: Fraction,
    *,
    fractional: bool,
    price: Decimal,
    rate: Decimal,
    method: str = LotMethod.FIFO,
) -> tuple[list[LotChange], Decimal, Decimal]:
    """Return the changes of lots by a split, and the cash in lieu of fractions in both currencies.

    The costs stay, and so do the days on which the lots were opened. An account without fractions keeps whole shares
    and gets the fraction in cash at the market's price.

    Parameters
    ----------
    ratio
        New shares for an old one.
    price
        Price after the split at which a fraction is paid.
    rate
        Units of the base currency for one of the ticker's currency.
    """
    changes = spread_lots(lots, ratio)
    after = sum((lot.quantity for lot in lots), ZERO) + sum((change.quantity for change in changes), ZERO)
    fraction = ZERO if fractional else after - whole(after)
    if not fraction:
        return changes, ZERO, ZERO
    cash = money(Fraction(fraction) * Fraction(price))
    base_cash = money(Fraction(cash) * Fraction(rate))
    sold = trade_lots(
        changed(lots, changes),
        shares=-fraction,
        amount=cash,
        base_amount=base_cash,
        name="",
        day=lots[0].opened,
        method=method,
    )
    return [*changes, *sold], cash, base_cash


def spread_lots(lots: Sequence[Lot], ratio: Fraction) -> list[LotChange]:
    """Return the changes that multiply the shares of lots, rounded such that they add up to the rounded total."""
    changes: list[LotChange] = []
    placed = running = ZERO
    for lot in lots:
        running += lot.quantity
        new = quantity(Fraction(running) * ratio) - placed
        placed += new
        changes.append(LotChange(lot.lot, lot.opened, new - lot.quantity, ZERO, ZERO, new=new - lot.quantity))
    return [change for change in changes if change.quantity]


def _in_order(lots: Collection[Lot], method: str, named: Sequence[str]) -> Iterable[Lot]:
    if not named and method in {LotMethod.FIFO, LotMethod.SPECIFIC}:
        return lots
    by_name = {lot.lot: lot for lot in lots}
    missing = [name for name in named if name not in by_name]
    if missing:
        raise InputError(
            f"There is no open lot {missing[0]!r}.", where="view lots", hint="list the open lots with `pm lots`"
        )
    others = [lot for lot in lots if lot.lot not in named]
    if method == LotMethod.LIFO:
        others.reverse()
    elif method == LotMethod.HIFO:
        # The highest cost of a long position, the lowest proceeds of a short one: both make the smallest gain.
        others.sort(
            key=lambda lot: (
                -Fraction(lot.cost) / Fraction(abs(lot.quantity))
                if lot.quantity > 0
                else Fraction(lot.cost) / Fraction(lot.quantity)
            )
        )
    return [*(by_name[name] for name in named), *others]
