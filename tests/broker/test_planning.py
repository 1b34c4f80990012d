from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.broker.planning import OrderSizes, Pending, Plan, Quote, Target, plan_orders
from pm.settings import load_settings

D = Decimal
DAY = date(2024, 1, 5)
SETTINGS = load_settings().broker
QUOTES = {name: Quote(D(price), DAY, "USD", D(1)) for name, price in (("AAA", 50), ("BBB", 20), ("CCC", 10))}


def plan(targets: list[Target], held: dict[str, Decimal] | None = None, **values: Any) -> Plan:  # noqa: ANN401 - arguments of the function under test
    known: dict[str, Any] = {
        "cash": D(10_000), "equity": D(10_000), "pending": {}, "settings": SETTINGS,
        "sizes": OrderSizes(100.0, D(1)),
    }  # fmt: skip
    return plan_orders(targets, held or {}, QUOTES, **known | values)


def sides(made: Plan) -> list[tuple[str, str, Decimal]]:
    return [(order.side.value, order.ticker, order.quantity) for order in made.orders]


def test_an_order_is_the_difference_from_the_target_and_sales_come_first() -> None:
    targets = [Target("AAA", 0.5, None), Target("BBB", 0.1, None), Target("CCC", 0.0, None)]
    made = plan(targets, {"BBB": D(100), "CCC": D(30)}, cash=D(7_700))
    assert sides(made) == [("sell", "BBB", D(50)), ("sell", "CCC", D(30)), ("buy", "AAA", D(100))]


def test_a_weight_that_is_nearly_zero_is_no_short_order() -> None:
    made = plan([Target("AAA", -1e-9, None), Target("BBB", -0.2, None)])
    assert made.orders == []


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_target_that_is_not_finite_gives_no_order(weight: float) -> None:
    made = plan([Target("AAA", weight, None), Target("BBB", 0.1, float("nan"))])
    assert made.orders == []
    assert set(made.left_out) == {"AAA", "BBB"}


@pytest.mark.parametrize("equity", [D("NaN"), D(0), D(-5)])
def test_without_a_known_equity_there_is_no_order(equity: Decimal) -> None:
    assert plan([Target("AAA", 0.5, None), Target("BBB", 0.1, 10.0)], equity=equity).orders == []


def test_a_ticker_without_a_close_is_told() -> None:
    assert plan([Target("ZZZ", 0.5, None)]).left_out == {"ZZZ": "There is no close to value it at."}


def test_purchases_never_spend_more_than_there_is() -> None:
    made = plan([Target("AAA", 0.9, None), Target("BBB", 0.9, None)])
    spent = sum(order.quantity * order.quote.price for order in made.orders) * D("1.001")
    assert sides(made)[0] == ("buy", "AAA", D(180))
    assert 0 < made.orders[1].quantity < 450
    assert D(10_000) - spent >= 0
    assert "BBB" in made.left_out


def test_a_small_difference_is_left_alone_but_a_position_can_be_closed() -> None:
    assert plan([Target("AAA", 0.5, 100.0)], {"AAA": D(99)}).orders == []
    assert sides(plan([Target("AAA", 0.0, 0.0)], {"AAA": D(1)})) == [("sell", "AAA", D(1))]


def test_open_orders_count() -> None:
    assert plan([Target("AAA", 0.5, None)], pending={"AAA": Pending(buying=D(100))}).orders == []
    made = plan([Target("AAA", 0.0, None)], {"AAA": D(100)}, pending={"AAA": Pending(selling=D(40))})
    assert sides(made) == [("sell", "AAA", D(60))]


@given(
    held=st.integers(0, 200),
    goal=st.integers(0, 200),
    buying=st.integers(0, 200),
    selling=st.integers(0, 200),
)
def test_no_more_is_sold_than_is_held_and_not_being_sold(held: int, goal: int, buying: int, selling: int) -> None:
    """An open purchase may still be cancelled or refused: its shares cannot be sold before they are there."""
    pending = {"AAA": Pending(D(buying), D(selling))}
    made = plan([Target("AAA", 0.1, float(goal))], {"AAA": D(held)}, pending=pending, cash=D(10**6))
    sold = sum((order.quantity for order in made.orders if order.side == "sell"), D(0))
    assert sold <= max(held - selling, 0)
    bought = sum((order.quantity for order in made.orders if order.side == "buy"), D(0))
    assert not (bought and selling)
    assert not (sold and buying)


def test_an_open_order_that_goes_the_other_way_must_end_first() -> None:
    buying, selling = Pending(buying=D(300)), Pending(selling=D(290))
    for held, pending, words in (({}, buying, "buys 300"), ({"AAA": D(300)}, selling, "sells 290")):
        made = plan([Target("AAA", 0.5, None)], held, pending={"AAA": pending})
        assert made.orders == []
        assert f"An open order {words} shares" in made.left_out["AAA"]


def test_cash_for_open_orders_is_not_spent_again() -> None:
    targets = [Target("AAA", 0.5, None), Target("BBB", 0.9, None)]
    (order,) = plan(targets, pending={"AAA": Pending(buying=D(100))}).orders
    assert order.ticker == "BBB"
    assert D(4_900) < order.quantity * order.quote.price <= D(5_000)


def test_a_bracket_is_a_pair() -> None:
    made = plan([Target("AAA", 0.5, 100.0, stop=45.0, profit=60.0)], {"AAA": D(100)})
    assert [(order.order_type.value, order.pair) for order in made.orders] == [
        ("stop", "bracket AAA"), ("limit", "bracket AAA"),
    ]  # fmt: skip
