from __future__ import annotations

from collections import deque
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.errors import InputError
from pm.ledger.lots import Lot, LotChange, changed, split_lots, trade_lots

D = Decimal
DAY = date(2024, 1, 2)


def buy(lots: list[Lot], shares: str, amount: str, name: str, **options: object) -> tuple[list[Lot], list[LotChange]]:
    changes = trade_lots(lots, shares=D(shares), amount=D(amount), base_amount=D(amount), name=name, day=DAY, **options)  # type: ignore[arg-type]
    return changed(lots, changes), changes


def test_first_in_first_out_of_the_reference() -> None:
    """Buy 100 @ 10 fee 1, buy 50 @ 12 fee 1, sell 120 @ 15 fee 1.20 → realised 557.40, left 30 @ 12.02."""
    lots, _ = buy([], "100", "-1001", "a")
    lots, _ = buy(lots, "50", "-601", "b")
    lots, changes = buy(lots, "-120", "1798.80", "c")
    assert sum(change.gain for change in changes) == D("557.40")
    assert [(lot.lot, lot.quantity, lot.cost / lot.quantity) for lot in lots] == [("b", D(30), D("12.02"))]


@pytest.mark.parametrize(
    ("method", "named", "closed"),
    [
        ("fifo", (), ["a"]),
        ("lifo", (), ["c"]),
        ("hifo", (), ["b"]),
        ("specific", ("c",), ["c"]),
        ("specific", (), ["a"]),
    ],
)
def test_a_method_chooses_the_lot(method: str, named: tuple[str, ...], closed: list[str]) -> None:
    lots: list[Lot] = []
    for name, price in (("a", 10), ("b", 30), ("c", 20)):
        lots, _ = buy(lots, "10", f"-{price * 10}", name)
    _, changes = buy(lots, "-10", "250", "d", method=method, named=named)
    assert [change.lot for change in changes] == closed


def test_a_lot_that_is_not_open_cannot_be_named() -> None:
    with pytest.raises(InputError, match="no open lot 'x'"):
        buy([], "-1", "1", "a", named=("x",))


def test_a_short_position_gains_when_it_is_bought_back_for_less() -> None:
    lots, _ = buy([], "-10", "1000", "a")
    lots, changes = buy(lots, "15", "-1200", "b")
    assert [change.gain for change in changes] == [D(200), D(0)]
    assert [(lot.lot, lot.quantity, lot.cost) for lot in lots] == [("b", D(5), D(400))]


def test_a_reverse_split_pays_the_fraction_in_cash() -> None:
    """150 shares through 1:40 at 24.00 after → 3 shares + 18.00 in lieu."""
    lots, _ = buy([], "150", "-3750.75", "a")
    changes, cash, _ = split_lots(lots, Fraction(1, 40), fractional=False, price=D("24.00"), rate=D(1))
    assert cash == D("18.00")
    (left,) = changed(lots, changes)
    assert left.quantity == 3
    assert left.cost == D("3000.60")
    assert sum(change.gain for change in changes) == D("18.00") - D("750.15")


def test_a_fractional_account_keeps_fractions() -> None:
    lots, _ = buy([], "1", "-10", "a")
    lots, _ = buy(lots, "1", "-10", "b")
    changes, cash, _ = split_lots(lots, Fraction(1, 3), fractional=True, price=D(30), rate=D(1))
    assert cash == 0
    assert sum(lot.quantity for lot in changed(lots, changes)) == D("0.666666667")


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.booleans()), max_size=30))
def test_fifo_equals_a_queue_of_single_shares(trades: list[tuple[int, int, bool]]) -> None:
    queue: deque[int] = deque()
    gain, ours = 0, D(0)
    lots: list[Lot] = []
    for place, (wanted, price, is_sale) in enumerate(trades):
        shares = min(wanted, len(queue)) if is_sale else wanted
        if not shares:
            continue
        if is_sale:
            gain += sum(price - queue.popleft() for _ in range(shares))
        else:
            queue.extend([price] * shares)
        sign = -1 if is_sale else 1
        changes = trade_lots(
            lots, shares=D(sign * shares), amount=D(-sign * shares * price), base_amount=D(0), name=str(place),
            day=DAY + timedelta(place),
        )  # fmt: skip
        lots = changed(lots, changes)
        ours += sum((change.gain for change in changes), D(0))
    assert (ours, sum((lot.cost for lot in lots), D(0))) == (D(gain), D(sum(queue)))
