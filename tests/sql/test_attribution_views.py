"""What accounts gained and orders cost, in lines that add up, on random accounts and against a twin of numpy."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.tables.ledger import ACCOUNTS, CASH_EVENTS, FILLS, ORDER_EVENTS, ORDERS
from pm.tables.pipeline import RUNS, STAGE_EVENTS
from pm.tables.quality import BARS
from pm.tables.risk import EXPOSURES, FACTOR_RETURNS
from pm.tables.signals import SIGNALS

sys.path.insert(0, str(Path(__file__).parent))  # scripts of the tests, which are no package
from memory import Memory

FIRST = date(2024, 1, 1)
DAYS = 12
TICKERS = ["A", "B", "C", "D"]
GROUPS = {"banks": ["A", "B"], "mines": ["C"]}
"""Groups of config/risk.yml; D is in none."""
GROUP_OF = {"A": "banks", "B": "banks", "C": "mines", "D": "others"}
ABROAD, NEW = "E", "F"
"""Tickers of no run: one in euros, and one that has no bar before day `LISTED`."""
LISTED = 5
SPLIT = 6
"""Day on which each share of C becomes two."""


def day(place: int) -> date:
    return FIRST + timedelta(days=place)


def money(value: object) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.0001"))


def _currency(ticker: str | None) -> str:
    return "EUR" if ticker == ABROAD else "USD"


class Account:
    """The rows of an account in the ledger, written from a plain list of what happened."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fills: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    def _lots(self, quantity: Decimal) -> str:
        return json.dumps([{"lot": "x", "opened": str(FIRST), "quantity": str(quantity), "cost": "0",
                            "base_cost": "0", "gain": "0", "base_gain": "0"}])  # fmt: skip

    def trade(self, place: int, ticker: str, quantity: int, price: float, commission: float, rate: str = "1") -> None:
        worth = money(Decimal(quantity) * Decimal(str(price)))
        amount = -worth - money(commission)
        self.fills.append(
            {"fill_id": f"{self.name}{len(self.fills)}", "order_id": "o", "account": self.name, "ticker": ticker,
             "side": "buy" if quantity > 0 else "sell", "quantity": Decimal(abs(quantity)),
             "price": Decimal(str(price)), "currency": _currency(ticker), "commission": money(commission),
             "amount": amount, "rate": Decimal(rate), "base_amount": money(amount * Decimal(rate)), "date": day(place),
             "lots": self._lots(Decimal(quantity)), "sequence": len(self.fills)}
        )  # fmt: skip

    def event(
        self, place: int, kind: str, amount: float, ticker: str | None = None, quantity: Decimal | None = None
    ) -> None:
        self.events.append(
            {"event_id": f"{self.name}{len(self.events)}", "account": self.name, "kind": kind, "ticker": ticker,
             "date": day(place), "currency": _currency(ticker), "amount": money(amount), "rate": Decimal(1),
             "base_amount": money(amount), "quantity": quantity or Decimal(0), "sequence": 1000 + len(self.events),
             "lots": None if quantity is None else self._lots(quantity)}
        )  # fmt: skip

    def imported(self, place: int, ticker: str, quantity: int, cost: float) -> None:
        """Take over a position from another broker at its cost, without cash."""
        self.event(place, "import", 0, ticker, Decimal(quantity))
        lots = json.loads(self.events[-1]["lots"])
        self.events[-1]["lots"] = json.dumps([lots[0] | {"cost": str(money(cost)), "base_cost": str(money(cost))}])

    def held(self, place: int, ticker: str) -> Decimal:
        """Return the shares at the end of a day."""
        trades = sum(
            (fill["quantity"] if fill["side"] == "buy" else -fill["quantity"])
            for fill in self.fills
            if fill["ticker"] == ticker and fill["date"] <= day(place)
        )
        moved = sum(
            event["quantity"]
            for event in self.events
            if event["ticker"] == ticker and event["date"] <= day(place) and event["lots"] is not None
        )
        return Decimal(trades) + Decimal(moved)


class Market:
    """Bars, nights before each day, and factors, in memory."""

    def __init__(self) -> None:
        rng = np.random.default_rng(2)
        self.memory = Memory()
        self.close = {name: 40 * np.exp(np.cumsum(0.03 * rng.standard_normal(DAYS))) for name in TICKERS}
        self.close["C"][SPLIT:] /= 2
        self.close = {name: values.round(4) for name, values in self.close.items()}
        bars = [
            {"ticker": name, "date": day(place), "close": self.close[name][place],
             "open": self.close[name][place] * (1 + 0.002 * ((place + ord(name)) % 5 - 2)),
             "adj_factor": 0.5 if name == "C" and place < SPLIT else 1.0, "batch_id": "b"}
            for name in TICKERS for place in range(DAYS)
        ]  # fmt: skip
        self.euro = (1.1 * np.exp(np.cumsum(0.02 * rng.standard_normal(DAYS)))).round(4)
        others = {ABROAD: self.close["A"] / 2, NEW: self.close["B"] * 2, "EURUSD=X": self.euro}
        bars += [
            {"ticker": name, "date": day(place), "close": round(float(values[place]), 4), "open": None,
             "adj_factor": 1.0, "batch_id": "b"}
            for name, values in others.items() for place in range(LISTED if name == NEW else 0, DAYS)
        ]  # fmt: skip
        self.open = {(row["ticker"], row["date"]): row["open"] for row in bars}
        runs, stages, signals, factors, betas = [], [], [], [], []
        self.factor = {place: float(rng.standard_normal()) for place in range(DAYS)}
        self.beta = {(place, name): float(rng.normal(0.01, 0.004)) for place in range(DAYS) for name in TICKERS}
        for place in range(1, DAYS):  # the first day has no night before it
            run = f"night{place:02d}"
            runs.append({"run_id": run, "kind": "run", "status": "done", "scope": "whole", "as_of": day(place),
                         "started_at": datetime.combine(day(place), time(22)),
                         "settings": json.dumps({"risk": {"groups": GROUPS}})})  # fmt: skip
            runs[-1]["finished_at"] = runs[-1]["started_at"]
            stages += [{"run_id": run, "stage": stage, "attempt": 1, "status": "done", "output_run_id": run}
                       for stage in ("signals", "forecast")]  # fmt: skip
            common = {"run_id": run, "cutoff": day(place)}
            signals += [common | {"ticker": name, "origin_date": day(place), "target_date": day(place + 20),
                                  "horizon": 20, "action": "HOLD"} for name in TICKERS]  # fmt: skip
            # Betas and signs change from night to night: a day is explained by the first night that had seen it.
            factors += [common | {"source": "principal", "factor": "pc1", "date": day(before),
                                  "value": self.factor[before] * (-1) ** (place - before)}
                        for before in range(place + 1)]  # fmt: skip
            betas += [common | {"source": "principal", "factor": "pc1", "entity": name,
                                "beta": self.beta[place, name]} for name in TICKERS]  # fmt: skip
            betas.append(common | {"source": "principal", "factor": "pc1", "entity": "portfolio model", "beta": 9.0})
        for table, rows in (
            (BARS, bars), (RUNS, runs), (STAGE_EVENTS, stages), (SIGNALS, signals), (FACTOR_RETURNS, factors),
            (EXPOSURES, betas),
        ):  # fmt: skip
            self.memory.put(table, rows)

    def simple_return(self, place: int, name: str) -> float:
        before = self.close[name][place - 1] / (2 if name == "C" and place == SPLIT else 1)
        return float(self.close[name][place] / before - 1)

    def equal(self, place: int, names: list[str] = TICKERS) -> float:
        """Return what equal weights made on a day; nothing before the first night."""
        return float(np.mean([self.simple_return(place, name) for name in names])) if place >= 2 else 0.0

    def fill_in(self, account: Account) -> None:
        self.memory.empty(ACCOUNTS, FILLS, CASH_EVENTS)
        self.memory.put(ACCOUNTS, [{"account": account.name, "broker": "paper", "currency": "USD"}])
        self.memory.put(FILLS, account.fills)
        self.memory.put(CASH_EVENTS, account.events)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market()


trades = st.lists(
    st.tuples(
        st.integers(0, DAYS - 1), st.sampled_from(TICKERS), st.integers(-40, 40).filter(bool),
        st.integers(10_000, 90_000).map(lambda cents: cents / 1000), st.integers(0, 5000).map(lambda c: c / 1000),
    ), max_size=14,
)  # fmt: skip
"""Day, ticker, shares, price, commission: also short positions, and trades before and after the split."""
payments = st.lists(
    st.tuples(
        st.integers(0, DAYS - 1),
        st.sampled_from(["deposit", "withdrawal", "interest", "fee", "correction", "dividend"]),
        st.integers(-50_000, 50_000).map(lambda cents: cents / 100),
    ),
    max_size=8,
)


@settings(max_examples=15)
@given(bought=trades, paid=payments, cash=st.integers(0, 200_000))
def test_the_lines_of_every_day_add_up_to_the_gain_exactly(
    market: Market, bought: list[Any], paid: list[Any], cash: int
) -> None:
    account = _account(bought, paid, cash)
    market.fill_in(account)
    gains = market.memory.query(
        "SELECT date, equity - coalesce(lag(equity) OVER (ORDER BY date), 0) - flow AS gain FROM equity ORDER BY date"
    )
    lines = dict(market.memory.query("SELECT date, sum(amount) FROM attribution GROUP BY date").iter_rows())
    for on, gain in gains.iter_rows():
        assert lines.pop(on, Decimal(0)) == gain, on
    assert lines == {}
    active = dict(
        market.memory.query(
            "SELECT date, sum(amount) FROM attribution WHERE line IN ('allocation', 'selection') GROUP BY date"
        ).iter_rows()
    )
    factors = dict(market.memory.query("SELECT date, sum(amount) FROM factor_attribution GROUP BY date").iter_rows())
    assert {on: amount for on, amount in active.items() if amount} == {on: a for on, a in factors.items() if a}


@settings(max_examples=25)
@given(
    bought=st.lists(
        st.tuples(
            st.integers(0, DAYS - 1), st.sampled_from(["A", ABROAD, NEW]), st.integers(-40, 40).filter(bool),
            st.integers(10_000, 90_000).map(lambda cents: cents / 1000), st.integers(0, 5000).map(lambda c: c / 1000),
        ), max_size=8,
    ),
    moved=st.lists(
        st.tuples(
            st.integers(0, DAYS - 1), st.sampled_from(["A", ABROAD, NEW]), st.integers(1, 40), st.integers(0, 4000)
        ), max_size=4,
    ),
)  # fmt: skip
def test_lines_add_up_where_a_position_is_abroad_taken_over_or_without_a_close(
    market: Market, bought: list[Any], moved: list[Any]
) -> None:
    """While a position has no close the equity is not known: the lines up to the next day with one make up for it."""
    account = Account("main")
    account.event(0, "deposit", 10_000)
    for place, ticker, quantity, price, commission in bought:
        rate = str(market.euro[place]) if ticker == ABROAD else "1"
        account.trade(place, ticker, quantity, price, commission, rate)
    for place, ticker, quantity, cost in moved:
        account.imported(place, ticker, quantity, cost)
    market.fill_in(account)
    lines = dict(market.memory.query("SELECT date, sum(amount) FROM attribution GROUP BY date").iter_rows())
    gained = paid = Decimal(0)
    for on, equity, flow in market.memory.query("SELECT date, equity, flow FROM equity ORDER BY date").iter_rows():
        gained, paid = gained + lines.pop(on, Decimal(0)), paid + flow
        if equity is not None:
            assert gained == equity - paid, on
    assert lines == {}


def _account(bought: list[Any], paid: list[Any], cash: int) -> Account:
    account = Account("main")
    account.event(0, "deposit", cash)
    for place, ticker, quantity, price, commission in bought:
        account.trade(place, ticker, quantity, price, commission)
    for place, kind, amount in paid:
        ticker = "B" if kind == "dividend" else None
        account.event(place, kind, -abs(amount) if kind in {"withdrawal", "fee"} else amount, ticker)
    before = account.held(SPLIT - 1, "C")
    if before:
        account.event(SPLIT, "split", 0, "C", before)
    return account


BOUGHT = [
    (0, "A", 100, 40.5, 1.5), (1, "B", 50, 41.25, 1.0), (3, "C", 60, 37.5, 1.0), (5, "A", -30, 39.0, 1.25),
    (7, "D", -20, 44.0, 0.5), (9, "C", -40, 21.0, 0.75), (9, "B", 10, 38.0, 0.25),
]  # fmt: skip
PAID = [
    (2, "deposit", 1000.0),
    (4, "interest", 3.5),
    (6, "fee", 2.25),
    (8, "dividend", 12.5),
    (10, "withdrawal", 700.0),
]


def test_each_line_is_that_of_a_twin(market: Market) -> None:
    """The twin values positions with floats, day by day, from the definitions of the lines."""
    account = _account(BOUGHT, PAID, 20_000)
    market.fill_in(account)
    found: dict[tuple[date, str, str], float] = {}
    for on, line, subject, amount in market.memory.query(
        "SELECT date, line, subject, amount FROM attribution"
    ).iter_rows():
        found[on, line, subject] = found.get((on, line, subject), 0.0) + float(amount)
    equity = dict(market.memory.query("SELECT date, equity FROM equity").iter_rows())
    twin: dict[tuple[date, str, str], float] = {}
    for place in range(DAYS):
        on = day(place)
        flow = sum(
            float(e["amount"]) for e in account.events if e["date"] == on and e["kind"] in {"deposit", "withdrawal"}
        )
        capital = (float(equity[day(place - 1)]) if place else 0.0) + flow
        start = {n: float(account.held(place - 1, n)) * market.close[n][place - 1] if place else 0.0 for n in TICKERS}
        r = {n: market.simple_return(place, n) if place else 0.0 for n in TICKERS}
        whole = market.equal(place)
        groups = {g: [n for n in TICKERS if GROUP_OF[n] == g] for g in ("banks", "mines", "others")}
        of_group = {g: market.equal(place, names) for g, names in groups.items()}
        invested = sum(start.values())
        dividend = sum(float(e["amount"]) for e in account.events if e["date"] == on and e["kind"] == "dividend")
        twin[on, "benchmark", "1/N"] = capital * whole
        twin[on, "cash", "cash"] = -(capital - invested) * whole
        for g, names in groups.items():
            held = sum(start[n] for n in names)
            twin[on, "allocation", g] = (held - invested * len(names) / 4) * (of_group[g] - whole)
            for n in names:
                gain = start[n] * r[n] + (dividend if n == "B" else 0.0)
                twin[on, "selection", n] = gain - start[n] * of_group[g]
        for place_, n, quantity, price, commission in BOUGHT:
            if place_ == place:
                twin[on, "timing", n] = twin.get((on, "timing", n), 0.0) + quantity * (market.close[n][place] - price)
                twin[on, "costs", n] = twin.get((on, "costs", n), 0.0) - commission
    twin[day(4), "cash", "interest"] = 3.5
    twin[day(6), "costs", "fees"] = -2.25
    for key in found.keys() | twin.keys():
        assert found.get(key, 0.0) == pytest.approx(twin.get(key, 0.0), abs=1e-3), key
    assert {line for _, line, _ in found} == {"benchmark", "cash", "allocation", "selection", "timing", "costs"}
    lines = {
        (on, subject): (float(amount), run)
        for on, subject, amount, run in market.memory.query(
            "SELECT date, subject, amount, factor_run_id FROM factor_attribution WHERE line = 'factor'"
        ).iter_rows()
    }
    for place in range(1, DAYS):
        beta = np.array([market.beta[place, n] for n in TICKERS])
        start = {n: float(account.held(place - 1, n)) * market.close[n][place - 1] for n in TICKERS}
        value = float(np.array(list(start.values())) @ (beta - beta.mean())) * market.factor[place]
        amount, run = lines.get((day(place), "pc1"), (0.0, None))
        assert amount == pytest.approx(value, abs=1e-3)
        assert run in {None, f"night{place:02d}"}


def test_an_account_without_nights_is_all_its_own(market: Market) -> None:
    """Before the first night there is no 1/N: then what positions gained is selection."""
    account = _account([(0, "A", 10, 40.0, 1.0)], [], 1000)
    market.fill_in(account)
    found = market.memory.query("SELECT line, amount FROM attribution WHERE date = DATE '2024-01-02'").rows()
    assert found == [("selection", money(10 * (market.close["A"][1] - market.close["A"][0])))]


# What carrying out an order cost --------------------------------------------------------------------------------


def _order(name: str, side: str, quantity: int, price: float, **more: object) -> dict[str, Any]:
    return {"order_id": name, "account": "main", "ticker": "A", "side": side, "quantity": Decimal(quantity),
            "currency": "USD", "purpose": "rebalance", "reference_price": Decimal(str(price)),
            "reference_date": day(3), "run_id": "night03", **more}  # fmt: skip


def _fill(name: str, quantity: float, price: float, commission: float, place: int = 4) -> dict[str, Any]:
    return {"fill_id": f"{name}{price}", "order_id": name, "account": "main", "quantity": Decimal(str(quantity)),
            "price": Decimal(str(price)), "commission": money(commission), "date": day(place),
            "sequence": 50}  # fmt: skip


def _state(name: str, state: str, run: str, sequence: int, ratio: str | None = None) -> dict[str, Any]:
    return {"order_id": name, "state": state, "run_id": run, "sequence": sequence, "ratio": ratio}


@settings(max_examples=40)
@given(
    buys=st.booleans(), quantity=st.integers(1, 500), parts=st.lists(st.integers(0, 250), max_size=3),
    prices=st.lists(st.integers(20_000, 80_000).map(lambda p: p / 1000), min_size=3, max_size=3, unique=True),
    commission=st.integers(0, 9000).map(lambda c: c / 1000), is_over=st.booleans(),
)  # fmt: skip
def test_the_parts_of_a_shortfall_are_what_paper_made_more(
    market: Market,
    *,
    buys: bool,
    quantity: int,
    parts: list[int],
    prices: list[float],
    commission: float,
    is_over: bool,
) -> None:
    """Perold: the gain of trading all at once, for nothing, at the price planned from, less the gain there was."""
    memory = market.memory
    memory.empty(ORDERS, ORDER_EVENTS, FILLS)
    reference = round(float(market.close["A"][3]), 4)
    memory.put(ORDERS, [_order("o", "buy" if buys else "sell", quantity, reference)])
    filled = [min(part, quantity - sum(parts[:place])) for place, part in enumerate(parts)]
    filled = [part for part in filled if part > 0]
    fills = [_fill("o", part, price, commission) for part, price in zip(filled, prices, strict=False)]
    memory.put(FILLS, fills)
    memory.put(ORDER_EVENTS, [_state("o", "planned", "night03", 1), _state("o", "sent", "night03", 2),
                              _state("o", "expired" if is_over else "accepted", "night05", 3)])  # fmt: skip
    (row,) = memory.rows("FROM implementation_shortfall")
    end = float(market.close["A"][5 if is_over else DAYS - 1])
    sign = 1 if buys else -1
    paper = sign * quantity * (end - reference)
    real = sum(sign * float(f["quantity"]) * (end - float(f["price"])) - commission for f in fills)
    assert float(row["shortfall"]) == pytest.approx(paper - real, abs=1e-3)
    assert row["shortfall"] == row["delay"] + row["execution"] + row["commission"] + row["opportunity"]
    total = sum(float(f["quantity"]) for f in fills)
    assert float(row["delay"]) == pytest.approx(sign * total * (market.open["A", day(4)] - reference), abs=1e-3)
    assert float(row["opportunity"]) == pytest.approx(sign * (quantity - total) * (end - reference), abs=1e-3)
    assert row["shortfall_bps"] == pytest.approx(float(row["shortfall"]) / (quantity * reference) * 1e4)
    assert (row["arrival_date"], row["end_date"]) == (day(4), day(5 if is_over else DAYS - 1))


def test_a_split_leaves_the_shortfall_of_an_order_as_it_is(market: Market) -> None:
    """An order for C planned the day before its split, of which two shares come for one, filled after it."""
    memory = market.memory
    memory.empty(ORDERS, ORDER_EVENTS, FILLS)
    before = round(float(market.close["C"][SPLIT - 1]), 4)
    order = _order("o", "buy", 10, before, ticker="C", reference_date=day(SPLIT - 1))
    price = round(before / 2 * 1.01, 6)
    memory.put(ORDERS, [order])
    memory.put(ORDER_EVENTS, [_state("o", "planned", "night05", 1), _state("o", "accepted", "night06", 2, "2/1"),
                              _state("o", "filled", "night06", 99)])  # fmt: skip
    memory.put(FILLS, [_fill("o", 20, price, 1.0, SPLIT)])
    (row,) = memory.rows("FROM implementation_shortfall")
    assert (row["quantity"], row["filled"], row["opportunity"]) == (Decimal(20), Decimal(20), Decimal(0))
    assert float(row["shortfall"]) == pytest.approx(20 * (price - before / 2) + 1.0, abs=1e-3)
    assert float(row["arrival_price"]) == pytest.approx(market.open["C", day(SPLIT)], abs=1e-5)


def test_an_order_of_tonight_has_cost_nothing_yet(market: Market) -> None:
    memory = market.memory
    memory.empty(ORDERS, ORDER_EVENTS, FILLS)
    price = round(float(market.close["A"][DAYS - 1]), 4)
    memory.put(ORDERS, [_order("o", "buy", 10, price, reference_date=day(DAYS - 1))])
    memory.put(ORDER_EVENTS, [_state("o", "planned", "night11", 1)])
    (row,) = memory.rows("FROM implementation_shortfall")
    assert (row["arrival_date"], row["arrival_price"], row["fill_price"], row["shortfall"]) == (None,) * 3 + (0,)
    assert pl.Series([row["shortfall_bps"]]).to_list() == [0.0]
