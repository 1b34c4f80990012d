from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from pm.broker.base import OrderRequest
from pm.broker.paper import PaperBar, bars_of, simulate_pair, simulate_session
from pm.broker.planning import OrderSizes, Quote, Target, plan_orders
from pm.settings import load_settings

D = Decimal
DAY = date(2024, 1, 5)
FREE = load_settings().broker.model_copy(update={"half_spread": 0.0, "slippage": 0.0, "impact": 0.0})
BAR = PaperBar(DAY, open=100.0, high=105.0, low=95.0, close=104.0, volume=10_000.0)


def order(side: str, kind: str = "market", level: str | None = None, *, good: str = "day") -> OrderRequest:
    price = None if level is None else D(level)
    limit, stop = (price, None) if kind == "limit" else (None, price)
    return OrderRequest("o", "AAA", side, D(10), kind, good, "USD", limit, stop)


def price_of(request: OrderRequest, bar: PaperBar = BAR) -> float | None:
    outcome = simulate_session(request, D(10), bar, FREE, fractional=False)
    return None if outcome.fill is None else float(outcome.fill.price)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (order("buy"), 100),
        (order("sell"), 100),
        (order("buy", "limit", "101"), 100),
        (order("buy", "limit", "97"), 97),
        (order("buy", "limit", "95"), None),
        (order("buy", "limit", "94"), None),
        (order("sell", "limit", "99"), 100),
        (order("sell", "limit", "103"), 103),
        (order("sell", "limit", "105"), None),
        (order("sell", "stop", "96"), 96),
        (order("sell", "stop", "95"), 95),
        (order("sell", "stop", "94"), None),
        (order("sell", "stop", "101"), 100),
        (order("buy", "stop", "103"), 103),
        (order("buy", "stop", "105"), 105),
        (order("buy", "stop", "99"), 100),
    ],
)
def test_where_an_order_is_filled(request_: OrderRequest, expected: float | None) -> None:
    assert price_of(request_) == expected


@pytest.mark.parametrize("volume", [0.0, 100.0, 5_000.0])
def test_a_fill_does_not_depend_on_the_close(volume: float) -> None:
    for kind, level in (("market", None), ("limit", "97"), ("stop", "103")):
        fills = {
            simulate_session(order("buy", kind, level), D(10), replace(BAR, close=close, volume=volume), FREE,
                             fractional=False)
            for close in (95.0, 100.0, 105.0)
        }  # fmt: skip
        assert len(fills) == 1


def test_at_most_a_share_of_the_volume_is_traded() -> None:
    outcome = simulate_session(order("buy"), D(10), replace(BAR, volume=130.0), FREE, fractional=False)
    assert outcome.fill is not None
    assert (outcome.fill.quantity, outcome.ended) == (D(6), True)
    waiting = simulate_session(order("buy", good="gtc"), D(10), replace(BAR, volume=130.0), FREE, fractional=False)
    assert not waiting.ended


def test_a_session_without_volume_fills_nothing() -> None:
    outcome = simulate_session(order("buy"), D(10), replace(BAR, volume=0.0), FREE, fractional=False)
    assert (outcome.fill, outcome.ended) == (None, True)


def test_a_bar_with_a_close_only_is_filled_there_if_the_settings_say_so() -> None:
    bar = replace(BAR, open=None, high=None, low=None, volume=None)
    assert price_of(order("buy"), bar) == 104
    never = FREE.model_copy(update={"fill_at_close": False})
    assert simulate_session(order("buy"), D(10), bar, never, fractional=False).fill is None


@pytest.mark.parametrize(
    ("bar", "place"),
    [
        (BAR, 0),
        (replace(BAR, open=106.0, high=107.0), 1),
        (replace(BAR, open=93.0, low=92.0), 0),
        (replace(BAR, low=98.0), 1),
    ],
)
def test_of_a_stop_and_a_target_the_worse_is_filled_unless_the_open_decides(bar: PaperBar, place: int) -> None:
    pair = [(order("sell", "stop", "96", good="gtc"), D(10)), (order("sell", "limit", "104", good="gtc"), D(10))]
    decided = simulate_pair(pair, bar, FREE, fractional=False)
    assert decided is not None
    assert decided[0] == place


def test_costs_make_a_price_worse_and_never_worse_than_a_limit() -> None:
    costly = FREE.model_copy(update={"half_spread": 0.001, "slippage": 0.002, "impact": 0.5})
    bar = replace(BAR, sigma=0.02, average_volume=1_000.0)
    bought = simulate_session(order("buy"), D(10), bar, costly, fractional=False).fill
    sold = simulate_session(order("sell"), D(10), bar, costly, fractional=False).fill
    limited = simulate_session(order("buy", "limit", "100.1"), D(10), bar, costly, fractional=False).fill
    assert bought is not None
    assert sold is not None
    assert limited is not None
    assert float(bought.price) == pytest.approx(100 * (1 + 0.003 + 0.5 * 0.02 * 0.1))
    assert float(sold.price) == pytest.approx(100 * (1 - 0.003 - 0.5 * 0.02 * 0.1))
    assert limited.price == D("100.1")


def test_volatility_and_volume_are_those_of_the_sessions_before() -> None:
    rows: list[dict[str, float | date | None]] = [
        {"date": date(2024, 1, n), "open": 1.0, "high": 1.0, "low": 1.0, "close": float(n), "volume": float(n),
         "adj_factor": 1.0}
        for n in range(1, 6)
    ]  # fmt: skip
    last = bars_of(rows)[-1]
    changed = bars_of([*rows[:-1], rows[-1] | {"close": 99.0, "volume": 999.0}])[-1]
    assert (last.sigma, last.average_volume) == (changed.sigma, changed.average_volume)
    assert last.average_volume == 2.5


@pytest.mark.parametrize(("shares", "fee"), [(10, "5"), (1_000, "16.7")])
def test_a_commission_is_in_the_base_currency_for_a_fill_and_for_a_plan(shares: int, fee: str) -> None:
    """1,000 at 100 yen of 0.0067 dollars are 670: 0.01 a share and 1% are 16.70 dollars; the minimum is 5."""
    settings = FREE.model_copy(
        update={"commission_minimum": 5.0, "commission_per_share": 0.01, "commission_rate": 0.01}
    )
    rate, number = D("0.0067"), D(shares)
    request = OrderRequest("o", "7203.T", "buy", number, "market", "day", "JPY", None, None)
    fill = simulate_session(request, number, replace(BAR, volume=1e6), settings, fractional=False, rate=rate).fill
    assert fill is not None
    assert float(fill.commission * rate) == pytest.approx(float(fee), abs=1e-4)

    target = Target("7203.T", 1.0, float(shares))
    cost = number * 100 * rate + D(fee)
    for cash, bought in ((cost, number), (cost - D("0.01"), None)):
        plan = plan_orders(
            [target],
            {},
            {"7203.T": Quote(D(100), DAY, "JPY", rate)},
            cash=cash,
            equity=cash,
            settings=settings,
            sizes=OrderSizes(0.0, D(1)),
            pending={},
        )
        planned = plan.orders[0].quantity if plan.orders else D(0)
        assert planned == number if bought else planned < number
