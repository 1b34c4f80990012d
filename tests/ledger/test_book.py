from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.errors import InputError
from pm.ledger.book import Book, Trade, event_id, lots_of_text
from pm.ledger.ledger import Ledger
from pm.tables.vocabulary import CashKind, OrderState

D = Decimal
START = date(2024, 1, 1)
ACCOUNT = {"account": "main", "currency": "USD", "fractional": False, "lot_method": "fifo"}


def new_book(**values: Any) -> Book:  # noqa: ANN401 - columns of tables
    return Book.of(ACCOUNT | values, [], [])


def trade(name: str, side: str, shares: str, price: str, **values: Any) -> Trade:  # noqa: ANN401 - columns of tables
    known: dict[str, Any] = {
        "ticker": "AAA", "currency": "USD", "commission": D(0), "rate": D(1), "date": START, "source": "paper",
        "order_id": "o",
    }  # fmt: skip
    return Trade(fill_id=name, side=side, shares=D(shares), price=D(price), **known | values)


def test_the_reference_with_a_split_and_a_dividend() -> None:
    """10,000 cash, buy 100 @ 50 fee 1, split 2:1, dividend .50 a share, sell 50 @ 30 fee 1 → cash 6,598, 150 shares at
    25.005, realised 248.75."""
    book = new_book()
    book.cash_event(CashKind.DEPOSIT, D(10_000), day=START, name="d")
    book.fill(trade("a", "buy", "100", "50", commission=D(1)))
    day = START + timedelta(10)
    book.split("AAA", Fraction(2), day=day, price=D(25), currency="USD", rate=D(1), name="s")
    shares = book.shares_before("AAA", day + timedelta(1))
    book.cash_event(CashKind.DIVIDEND, shares * D("0.50"), day=day + timedelta(1), name="v", ticker="AAA")
    row = book.fill(trade("b", "sell", "50", "30", commission=D(1), date=day + timedelta(2)))
    assert row is not None
    assert book.cash == 6_598
    assert book.shares("AAA") == 150
    assert book.cost() / 150 == D("25.005")
    assert sum(change.gain for change in lots_of_text(row["lots"])) == D("248.75")


def test_a_fill_is_recorded_once() -> None:
    book = new_book()
    assert book.fill(trade("a", "buy", "1", "5")) is not None
    assert book.fill(trade("a", "buy", "1", "5")) is None
    assert book.shares("AAA") == 1


@pytest.mark.parametrize(("shares", "price"), [("0", "5"), ("-1", "5"), ("1", "0"), ("1", "-5")])
def test_an_impossible_fill_is_refused(shares: str, price: str) -> None:
    with pytest.raises(InputError, match="impossible number"):
        new_book().fill(trade("a", "buy", shares, price))


def test_a_gain_in_another_currency_has_two_amounts() -> None:
    book = new_book()
    book.fill(trade("a", "buy", "10", "100", currency="EUR", rate=D("1.10")))
    row = book.fill(trade("b", "sell", "10", "100", currency="EUR", rate=D("1.20")))
    assert row is not None
    (change,) = lots_of_text(row["lots"])
    assert (change.gain, change.base_gain) == (D(0), D(100))
    assert book.cash == 100


def test_a_split_that_is_told_late_changes_only_what_was_held_before() -> None:
    book = new_book()
    book.fill(trade("a", "buy", "10", "100"))
    book.fill(trade("b", "buy", "10", "50", date=START + timedelta(5)))
    book.split("AAA", Fraction(2), day=START + timedelta(3), price=D(50), currency="USD", rate=D(1), name="s")
    assert book.shares("AAA") == 30
    assert book.shares_before("AAA", START + timedelta(3)) == 10


def test_a_position_that_is_taken_over_has_had_the_splits_before() -> None:
    book = new_book()
    day = START + timedelta(3)
    book.take_over(
        "AAA", D(100), D(5000), day=day, opened=START - timedelta(900), currency="USD", rate=D(1), name="import"
    )
    for name, when, shares in (("early", START, 100), ("same day", day, 100), ("late", day + timedelta(1), 200)):
        book.split("AAA", Fraction(2), day=when, price=D(50), currency="USD", rate=D(1), name=name)
        assert book.shares("AAA") == shares
    assert [lot.opened for lot in book.lots["AAA"]] == [START - timedelta(900)]


def test_a_delisted_position_is_closed_at_the_last_price() -> None:
    book = new_book()
    book.fill(trade("a", "buy", "10", "100"))
    row = book.close_out("AAA", day=START, price=D(3), currency="USD", rate=D(1), name="x", detail="gone")
    assert row is not None
    assert sum(change.gain for change in lots_of_text(row["lots"])) == -970
    assert book.positions() == {}


_PRICE, _FEE = st.decimals("0.01", "900", places=2), st.decimals("0", "9.99", places=2)
_SHARES_OF = st.integers(1, 100)
"""Percentage of what is left of an order that a trade has."""
_STEP = st.one_of(
    st.tuples(
        st.just("order"), st.sampled_from(["AAA", "BBB"]), st.booleans(), st.decimals("0.001", "500", places=3),
        st.lists(st.tuples(_SHARES_OF, _PRICE, _FEE), max_size=3),
    ),
    st.tuples(st.just("part"), st.integers(0, 9), _SHARES_OF, _PRICE, _FEE),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("split"), st.sampled_from(["AAA", "BBB"]), st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.just("dividend"), st.sampled_from(["AAA", "BBB"]), st.decimals("0.01", "5", places=4)),
    st.tuples(st.just("cash"), st.decimals("-500", "500", places=2)),
    st.just(("restart",)),
)  # fmt: skip


class Histories:
    """A ledger of one account, and beside it sums of what was done to it: cash, deposits, gains, income, trades."""

    def __init__(self, method: str, *, fractional: bool, rate: Decimal) -> None:
        self.ledger = Ledger({}, "run", at=datetime(2024, 1, 1))  # noqa: DTZ001 - as the lake stores times
        self.ledger.open_account(**ACCOUNT | {"lot_method": method, "fractional": fractional})
        self.fractional, self.rate = fractional, rate
        self.deposits = self.income = self.cash = D(0)
        self.traded: dict[str, Decimal] = {}
        """Shares traded of each order that no split has changed."""

    @property
    def book(self) -> Book:
        return self.ledger.books["main"]

    def part_of(self, left: Decimal, share: int) -> Decimal:
        """Return a percentage of what is left of an order, at least the smallest number of shares, at most all."""
        step = D("0.001") if self.fractional else D(1)
        return min(left, max(step, (left * share / 100).quantize(step)))

    def order(self, day: int, ticker: str, side: str, shares: Decimal, parts: list[tuple[Any, ...]]) -> None:
        name = f"o{day}"
        shares = shares if self.fractional else shares.to_integral_value() + 1
        self.ledger.plan(
            {
                "order_id": name, "account": "main", "ticker": ticker, "side": side, "quantity": shares,
                "order_type": "market", "time_in_force": "gtc", "currency": "EUR", "purpose": "manual", "number": 1,
                "held": self.book.shares(ticker), "snapshot_id": 1,
            }
        )  # fmt: skip
        self.traded[name] = D(0)
        for state in (OrderState.SENT, OrderState.ACCEPTED):
            assert self.ledger.order_event(name, state)
        for part, (share, price, fee) in enumerate(parts):
            if self.ledger.orders[name].left:
                self.trade(name, f"{name}-{part}", share, price, fee, day=day)

    def trade(self, order: str, name: str, share: int, price: Decimal, fee: Decimal, *, day: int) -> None:
        """Trade a part of an order, twice told, and try to trade more than is left of it."""
        now = self.ledger.orders[order]
        shares, is_buy = self.part_of(now.left, share), now.row["side"] == "buy"
        told = trade(
            name, now.row["side"], str(shares), str(price), order_id=order, ticker=now.row["ticker"], commission=fee,
            date=START + timedelta(day), rate=self.rate, currency="EUR",
        )  # fmt: skip
        with pytest.raises(InputError, match="are left of its order"):
            self.ledger.fill(replace(told, fill_id=f"{name}!", shares=now.left + D("0.001")))
        assert self.ledger.fill(told)
        assert not self.ledger.fill(told)
        exact = Fraction((-1 if is_buy else 1) * shares * price).limit_denominator(10**12)
        self.cash += round(Fraction(round(exact * 10_000) - fee * 10_000) * Fraction(self.rate)) / D(10_000)
        after = self.ledger.orders[order]
        assert after.left == now.left - shares
        assert after.state == (OrderState.PARTLY_FILLED if after.left else OrderState.FILLED)
        if order in self.traded:
            self.traded[order] += shares

    def add(self, row: dict[str, Any] | None) -> Decimal:
        """Record an event and return the change of cash."""
        self.ledger.add_cash_event(row)
        change = D(0) if row is None else row["base_amount"]
        self.cash += change
        return change

    def split(self, ticker: str, ratio: Fraction, day: int) -> None:
        """Split what is held and what is ordered, as stage `ledger` does."""
        when = START + timedelta(day)
        row = self.book.split(ticker, ratio, day=when, price=D("7.31"), currency="EUR", rate=self.rate, name=f"s{day}")
        self.add(row)
        if row is None:
            return
        for order in self.ledger.open_orders("main"):
            if order.row["ticker"] == ticker:
                self.ledger.order_event(order.order_id, order.state, ratio=f"{ratio.numerator}/{ratio.denominator}")
                self.traded.pop(order.order_id, None)

    def take(self, day: int, step: tuple[Any, ...]) -> None:
        match step:
            case ("order", ticker, is_buy, shares, parts):
                self.order(day, ticker, "buy" if is_buy else "sell", shares, parts)
            case ("part", place, share, price, fee):
                waiting = [order for order in self.ledger.open_orders("main") if order.left > 0]
                if waiting:
                    self.trade(waiting[place % len(waiting)].order_id, f"f{day}", share, price, fee, day=day)
            case ("cancel", place):
                waiting = self.ledger.open_orders("main")
                if waiting:
                    assert self.ledger.order_event(waiting[place % len(waiting)].order_id, OrderState.CANCELLED)
            case ("split", ticker, new, old):
                self.split(ticker, Fraction(new, old), day)
            case ("dividend", ticker, value):
                when = START + timedelta(day)
                amount = self.book.shares_before(ticker, when) * value
                self.income += self.add(
                    self.book.cash_event(
                        CashKind.DIVIDEND, amount, day=when, name=f"d{day}", ticker=ticker, currency="EUR",
                        rate=self.rate,
                    )
                )  # fmt: skip
            case ("cash", amount):
                self.deposits += self.add(
                    self.book.cash_event(CashKind.DEPOSIT, amount, day=START + timedelta(day), name=f"c{day}")
                )
            case ("restart",):
                again = Ledger(self.ledger.rows, "run", at=datetime(2024, 1, 1))  # noqa: DTZ001 - as above
                assert (again.books["main"].cash, again.books["main"].lots) == (self.book.cash, self.book.lots)
                assert again.orders == self.ledger.orders
                self.ledger = again


def check_identity(steps: list[tuple[Any, ...]], method: str, *, fractional: bool, rate: Decimal) -> None:
    """Check, after each step, that cash + cost of the lots = deposits + gains + dividends, in the base currency.

    Cash is added up apart from the book, from quantities, prices and commissions, and so are the trades of each order.
    """
    history = Histories(method, fractional=fractional, rate=rate)
    for day, step in enumerate(steps):
        history.take(day, step)
        rows = (*history.ledger.rows["fills"], *history.ledger.rows["cash_events"])
        gains = sum((change.base_gain for row in rows for change in lots_of_text(row["lots"])), D(0))
        assert history.book.cash == history.cash
        assert history.book.cash + history.book.cost() == history.deposits + gains + history.income
    for name, shares in history.traded.items():
        assert history.ledger.orders[name].filled == shares


def test_an_order_is_filled_in_parts_with_a_split_and_a_restart_between() -> None:
    history = Histories("fifo", fractional=False, rate=D(1))
    for day, step in enumerate([
        ("cash", D(5_000)), ("order", "AAA", True, D(9), [(30, D(50), D(1)), (50, D(51), D(1))]), ("restart",),
        ("split", "AAA", 2, 1), ("restart",), ("part", 0, 100, D(26), D(1)),
    ]):  # fmt: skip
        history.take(day, step)
    # 10 shares: 3 at 50, 4 at 51, and after the split the other 3 are 6 at 26.
    assert history.book.shares("AAA") == 20
    assert history.ledger.orders["o1"].state == OrderState.FILLED
    assert history.book.cash == 5_000 - 150 - 204 - 156 - 3


@given(
    st.lists(_STEP, max_size=25),
    st.sampled_from(["fifo", "lifo", "hifo"]),
    st.booleans(),
    st.decimals("0.5", "2", places=4),
)
def test_cash_and_positions_are_deposits_and_gains(
    steps: list[tuple[Any, ...]], method: str, fractional: bool, rate: Decimal
) -> None:
    check_identity(steps, method, fractional=fractional, rate=rate)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(
    st.lists(_STEP, max_size=40),
    st.sampled_from(["fifo", "lifo", "hifo"]),
    st.booleans(),
    st.decimals("0.5", "2", places=4),
)
def test_ten_thousand_histories_keep_the_identity(
    steps: list[tuple[Any, ...]], method: str, fractional: bool, rate: Decimal
) -> None:
    check_identity(steps, method, fractional=fractional, rate=rate)


def test_an_event_has_the_same_name_each_time() -> None:
    assert event_id("main", "split", "AAA", START) == event_id("main", "split", "AAA", START)
    assert event_id("main", "split", "AAA", START) != event_id("main", "split", "AA", "A", START)
