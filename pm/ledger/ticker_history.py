"""What changed the lots of a ticker, day by day, and what a split makes of them, whenever it is told.

A split changes what was held when its day began. If it is told late, trades of later days are recorded already. Their
shares are right, since brokers tell them in shares of their day; which lots they closed, and at what cost, is not. So
the split first brings the number of shares to what it is, and once all splits are recorded, the lots are computed anew
in the order of the days.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import date  # noqa: TC003 - a field's type
from decimal import Decimal  # noqa: TC003 - a field's type
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pm.ledger.lots import Lot, LotChange, change_lots, changed, spread_lots, trade_lots
from pm.ledger.money import ZERO, quantity, whole
from pm.tables.vocabulary import LotMethod

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_VALUES = ("quantity", "cost", "base_cost", "gain", "base_gain")
"""Values of a change of a lot, of which at least one is not 0."""

__all__ = ["Entry", "RecordedSplit", "TickerHistory", "netted"]


@dataclass(frozen=True)
class Entry:
    """The changes that a row of the ledger made to the lots of a ticker.

    Attributes
    ----------
    name
        Name of the fill or the event: that of the lot that it opened, if it did.
    is_split
        Whether the row is of a split or corrects one: splits come before all else of their day.
    is_settling
        Whether the row brought lots to what they are when computed anew, and changed nothing else.
    """

    name: str
    date: date
    changes: tuple[LotChange, ...]
    is_split: bool = False
    is_settling: bool = False


@dataclass(frozen=True)
class RecordedSplit:
    """What the ledger has of a split: all events of its day together.

    Attributes
    ----------
    ratio
        New shares for an old one.
    new, paid
        Change of the number of shares by the ratio, and by the fraction that is paid in cash.
    amount, base_amount
        That cash, in the ticker's currency and in the base currency.
    """

    ratio: Fraction = Fraction(1)
    new: Decimal = ZERO
    paid: Decimal = ZERO
    amount: Decimal = ZERO
    base_amount: Decimal = ZERO

    def with_event(self, row: Mapping[str, Any], changes: Sequence[LotChange]) -> RecordedSplit:
        """Return what is recorded after a further event."""
        new = sum((change.new for change in changes), ZERO)
        return RecordedSplit(
            self.ratio * Fraction(row["ratio"]),
            self.new + new,
            self.paid + row["quantity"] - new,
            self.amount + row["amount"],
            self.base_amount + row["base_amount"],
        )


@dataclass
class TickerHistory:
    """The changes of the lots of a ticker, in the order in which they were recorded."""

    entries: list[Entry] = field(default_factory=list)
    _days: list[date] = field(default_factory=list)
    _totals: list[Decimal] = field(default_factory=list)

    @property
    def first_day(self) -> date:
        """The first day of which there are changes."""
        return self._days[0]

    def add(self, entry: Entry) -> None:
        """Add the changes of a row."""
        self.entries.append(entry)
        shares = sum((change.quantity for change in entry.changes), ZERO)
        place = bisect_left(self._days, entry.date)
        if place == len(self._days) or self._days[place] != entry.date:
            self._days.insert(place, entry.date)
            self._totals.insert(place, self._totals[place - 1] if place else ZERO)
        for later in range(place, len(self._totals)):  # one step, unless the row is told late
            self._totals[later] += shares

    def shares_before(self, day: date) -> Decimal:
        """Return the number of shares held when a day began, in shares of that day: without its own split."""
        place = bisect_left(self._days, day)
        return self._totals[place - 1] if place else ZERO

    def shares_of_split(self, day: date, ratio: Fraction, *, fractional: bool) -> tuple[Decimal, Decimal]:
        """Return the changes of the number of shares by a split: by its ratio, and by the fraction paid in cash."""
        before = self.shares_before(day)
        after = quantity(Fraction(before) * ratio)
        return after - before, ZERO if fractional else whole(after) - after

    @property
    def last_day(self) -> date:
        """The last day of which there are changes."""
        return self._days[-1]

    def change(self, new: Decimal, paid: Decimal, cash: Decimal, base_cash: Decimal) -> LotChange:
        """Return a change by a split of the number of shares and of cash, of any lot: the lots are settled after it."""
        some = self.entries[0].changes[0]
        return LotChange(some.lot, some.opened, new + paid, ZERO, ZERO, cash, base_cash, new)

    def is_before(self, day: date) -> bool:
        """Return whether all changes are of earlier days."""
        return self._days[-1] < day

    def settling_changes(self, method: str) -> list[LotChange]:
        """Return what makes the lots those that they would be if all had been told in the order of the days.

        The number of shares does not change, and no cash: a gain changes as the cost of what is left does. There are no
        changes while what is recorded of the splits does not fit together.
        """
        now, target = _State(), _State()
        for entry in self.entries:
            now.take(entry.changes)
        ordered = sorted(
            (entry for entry in self.entries if not entry.is_settling),
            key=lambda entry: (entry.date, not entry.is_split),
        )
        for (_, is_split), rows in groupby(ordered, key=lambda entry: (entry.date, entry.is_split)):
            if is_split:
                _split_again(target, [change for entry in rows for change in entry.changes], method)
                continue
            for entry in rows:
                _trade_again(target, entry, method)
        changes = [target.change_from(now, name) for name in {**now.opened, **target.opened}]
        if sum((change.quantity for change in changes), ZERO):
            return []
        return [change for change in changes if any(getattr(change, name) for name in _VALUES)]


def netted(lots: Sequence[Lot], day: date, method: str) -> list[LotChange]:
    """Return the changes that close the lots of a short position with those of a long one; none if all are of a kind.

    What the smaller of the two sides brought or cost is what the larger one is closed for.
    """
    long, short = ([lot for lot in lots if (lot.quantity > 0) == is_long] for is_long in (True, False))
    if not long or not short:
        return []
    total = sum((lot.quantity for lot in lots), ZERO)
    rest, smaller = (long, short) if total >= 0 else (short, long)
    changes = []
    for lot in smaller:
        closing = trade_lots(
            rest, shares=lot.quantity, amount=-lot.cost, base_amount=-lot.base_cost, name=lot.lot, day=day,
            method=method,
        )  # fmt: skip
        changes += [*closing, LotChange(lot.lot, lot.opened, -lot.quantity, -lot.cost, -lot.base_cost)]
        rest = changed(rest, closing)
    return changes


@dataclass
class _State:
    """The open lots of a ticker after some changes, and what each lot gained, by their names."""

    lots: dict[str, Lot] = field(default_factory=dict)
    opened: dict[str, date] = field(default_factory=dict)
    gains: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)

    def take(self, changes: Sequence[LotChange]) -> None:
        """Apply changes."""
        change_lots(self.lots, changes)
        for change in changes:
            self.opened.setdefault(change.lot, change.opened)
            gain, base_gain = self.gains.get(change.lot, (ZERO, ZERO))
            self.gains[change.lot] = (gain + change.gain, base_gain + change.base_gain)

    def change_from(self, other: _State, name: str) -> LotChange:
        """Return the change that makes a lot of another state what it is here."""
        opened = self.opened.get(name, other.opened.get(name))
        assert opened is not None  # noqa: S101 - it is a lot of one of them
        nothing = Lot(name, opened, ZERO, ZERO, ZERO)
        here, there = self.lots.get(name, nothing), other.lots.get(name, nothing)
        gain, base_gain = self.gains.get(name, (ZERO, ZERO))
        gain_there, base_gain_there = other.gains.get(name, (ZERO, ZERO))
        return LotChange(
            name,
            opened,
            here.quantity - there.quantity,
            here.cost - there.cost,
            here.base_cost - there.base_cost,
            gain - gain_there,
            base_gain - base_gain_there,
        )


def _trade_again(state: _State, entry: Entry, method: str) -> None:
    """Apply the shares and the cash of a trade; the cash of a change is its gain less the change of the cost."""
    named = [change.lot for change in entry.changes if change.lot in state.lots and method == LotMethod.SPECIFIC]
    changes = trade_lots(
        state.lots.values(),
        shares=sum((change.quantity for change in entry.changes), ZERO),
        amount=sum((change.gain - change.cost for change in entry.changes), ZERO),
        base_amount=sum((change.base_gain - change.base_cost for change in entry.changes), ZERO),
        name=entry.name,
        day=entry.changes[-1].opened if entry.changes[-1].lot == entry.name else entry.date,
        method=method,
        named=named,
    )
    state.take(changes)


def _split_again(state: _State, changes: Sequence[LotChange], method: str) -> None:
    """Apply the new shares and the paid fraction of a split, as many as are recorded, to the lots that there are."""
    total = sum((lot.quantity for lot in state.lots.values()), ZERO)
    new = sum((change.new for change in changes), ZERO)
    if not total:
        return
    if new:
        state.take(spread_lots(list(state.lots.values()), Fraction(total + new) / Fraction(total)))
    fraction = sum((change.quantity - change.new for change in changes), ZERO)
    if fraction:
        state.take(
            trade_lots(
                state.lots.values(),
                shares=fraction,
                amount=sum((change.gain - change.cost for change in changes), ZERO),
                base_amount=sum((change.base_gain - change.base_cost for change in changes), ZERO),
                name="",
                day=changes[0].opened,
                method=method,
            )
        )
