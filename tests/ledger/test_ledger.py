from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.errors import InputError
from pm.ledger.currencies import Rates
from pm.ledger.journal import START, Journal, row_hash
from pm.ledger.ledger import Ledger
from pm.ledger.money import decimal_of, money, ratio_of
from pm.ledger.orders import may_follow, order_id, orders_now
from pm.resources import sql_dir
from pm.tables.ledger import HALTS, ORDERS
from pm.tables.vocabulary import HaltCause, OrderState

D = Decimal


def test_halves_of_a_step_go_to_the_even_digit() -> None:
    assert money(D("0.00005")) == 0
    assert money(D("0.00015")) == D("0.0002")


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "1e30"])
def test_what_is_no_possible_number_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        decimal_of(text, name="amount")


def test_a_third_is_recognised() -> None:
    assert (ratio_of(0.3333333333).numerator, ratio_of(0.3333333333).denominator) == (1, 3)


def test_each_row_has_the_hash_of_the_one_before() -> None:
    journal = Journal(START, "run", at=datetime(2024, 1, 1))  # noqa: DTZ001 - as the lake stores times
    rows = [journal.add(HALTS, {"action": "halt", "cause": "hand", "reason": str(n)}) for n in range(3)]
    assert [row["sequence"] for row in rows] == [1, 2, 3]
    assert rows[0]["hash"] == row_hash(START.hash, HALTS, rows[0])
    for before, row in pairwise(rows):
        assert row["hash"] == row_hash(before["hash"], HALTS, row)
        assert row["hash"] != row_hash(before["hash"], HALTS, row | {"reason": "another"})


def test_the_hash_of_a_row_is_that_of_its_text() -> None:
    """Computed by hand from the documented form, so that a later version cannot change it unseen."""
    import hashlib

    journal = Journal(START, "r", at=datetime(2024, 1, 1))  # noqa: DTZ001 - as the lake stores times
    row = journal.add(HALTS, {"action": "halt", "cause": "hand", "reason": "x"})
    text = (
        f'["{"0" * 64}","halts",[["action","halt"],["cause","hand"],["reason","x"],'
        '["recorded_at","2024-01-01T00:00:00.000000"],["run_id","r"],["sequence","1"]]]'
    )
    assert row["hash"] == hashlib.sha256(text.encode()).hexdigest()


def test_a_row_cannot_hold_more_digits_than_its_column() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        Journal(START, "r").add(ORDERS, {"quantity": D("1.1234567891")})


def test_an_order_has_one_name() -> None:
    names = {
        order_id("main", "run", ticker, side, purpose, number)
        for ticker in ("AAA", "AA")
        for side in ("buy", "sell")
        for purpose in ("rebalance", "stop")
        for number in (1, 2)
    }
    assert len(names) == 16
    assert all(len(name) == 32 for name in names)
    assert order_id("main", "run", "AAA", "buy", "stop", 1) == order_id("main", "run", "AAA", "buy", "stop", 1)


def test_an_order_is_never_sent_twice() -> None:
    """From no state that can follow `sent` does any path lead to `sent` again."""
    reached, waiting = set(), [OrderState.SENT]
    while waiting:
        state = waiting.pop()
        for after in OrderState:
            if may_follow(state, after) and after not in reached:
                reached.add(after)
                waiting.append(after)
    assert OrderState.SENT not in reached
    assert OrderState.PLANNED not in reached


def _order(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of tables
    return {"order_id": "o", "quantity": D(10), "limit_price": D(90), "stop_price": None, "sequence": 1} | values


def test_a_split_changes_an_open_order() -> None:
    events = [
        {"order_id": "o", "sequence": 2, "state": "accepted", "broker_order_id": "b", "ratio": None},
        {"order_id": "o", "sequence": 4, "state": "partly_filled", "broker_order_id": None, "ratio": "3/1"},
    ]
    fills = [{"order_id": "o", "sequence": 3, "fill_id": "f", "quantity": D(4)}]
    order = orders_now([_order()], events, fills)["o"]
    assert (order.quantity, order.filled, order.left, order.limit_price) == (D(30), D(12), D(18), D(30))
    assert (order.state, order.broker_order_id) == ("partly_filled", "b")


def test_rates_of_exchange() -> None:
    closes = {
        "EURUSD=X": [(date(2024, 1, 2), 1.10), (date(2024, 1, 4), 1.20)],
        "USDJPY=X": [(date(2024, 1, 2), 150.0)],
        "GBPUSD": [(date(2024, 1, 2), 1.25)],
    }
    rates = Rates("USD", closes)
    assert rates.rate("USD", date(2000, 1, 1)) == 1
    assert rates.rate("EUR", date(2024, 1, 3)) == D("1.1")
    assert rates.rate("EUR", date(2024, 1, 4)) == D("1.2")
    assert rates.rate("JPY", date(2024, 1, 3)) == D("0.006666667")
    assert rates.rate("GBp", date(2024, 1, 3)) == D("0.0125")
    with pytest.raises(InputError, match="no rate of EUR in USD up to 2024-01-01"):
        rates.rate("EUR", date(2024, 1, 1))


_CAUSES = st.tuples(st.sampled_from(HaltCause), st.sampled_from([None, "main", "other"]))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.booleans(), _CAUSES), max_size=12))
def test_the_halts_in_force_are_those_that_nobody_ended(steps: list[tuple[bool, tuple[HaltCause, str | None]]]) -> None:
    """Against a set of what is in force, and the view that people read."""
    made = Ledger({}, "run")
    expected: set[tuple[str, str | None]] = set()
    for ends, (cause, account) in steps:
        if ends:
            ended = expected if cause == HaltCause.HAND else expected & {(cause, account)}
            assert made.resume("done", person="A", cause=cause, account=account) == bool(ended)
            expected = expected - ended
        else:
            assert made.halt(cause, "why", account=account) == ((cause, account) not in expected)
            expected = expected | {(cause, account)}
    assert len(made.halts) == len(expected)
    assert {(row["cause"], row["account"]) for row in made.halts} == expected
    halts = pl.DataFrame(made.rows[HALTS.qualified], schema=HALTS.polars_schema)
    with duckdb.connect() as connection:
        connection.register("halts", halts)
        view = (sql_dir() / "79_active_halts.sql").read_text(encoding="utf-8")
        told = connection.execute(f"SELECT cause, account FROM ({view.rstrip().rstrip(';')})").fetchall()
    assert set(told) == expected
