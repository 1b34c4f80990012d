from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pm.errors import InputError
from pm.ledger.actions import KnownAction, record_action
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


def test_a_split_that_is_told_after_a_sale_counts_for_the_shares_of_its_day() -> None:
    """Buy 100 @ 100, split 2:1, sell 60 @ 50, and only then the split is told: 140 shares of 50, and no gain."""
    book = new_book()
    book.fill(trade("a", "buy", "100", "100"))
    sold = book.fill(trade("b", "sell", "60", "50", date=START + timedelta(12)))
    row = book.split("AAA", Fraction(2), day=START + timedelta(10), price=D(50), currency="USD", rate=D(1), name="s")
    assert sold is not None
    assert row is not None
    assert row["quantity"] == 100
    assert book.shares("AAA") == 140
    (settled,) = book.settle_lots()
    assert book.cost() == 7_000
    assert sum(change.gain for kept in (sold, row, settled) for change in lots_of_text(kept["lots"])) == 0


def told(kind: str, day: int, value: float | None) -> KnownAction:
    return KnownAction("AAA", START + timedelta(day), kind, value, before=None, on=50.0)


def no_rate(currency: str, day: date) -> Decimal:
    raise InputError(f"There is no rate of {currency} up to {day}.")


def one(_currency: str, _day: date) -> Decimal:
    return D(1)


def test_an_action_that_changes_nothing_needs_no_rate() -> None:
    book = new_book()
    book.fill(trade("a", "buy", "10", "100", currency="GBP"))
    for kind in ("split", "dividend"):
        assert record_action(book, told(kind, -9_000, 5.0), rate=no_rate) == (None, None)
        assert record_action(book, told(kind, 0, 5.0), rate=no_rate) == (None, None)
        with pytest.raises(InputError, match="no rate of GBP"):
            record_action(book, told(kind, 1, 5.0), rate=no_rate)


def test_a_trade_that_is_told_late_gets_the_dividend_and_the_split_of_its_days() -> None:
    """100 shares are told after a dividend of 1 on day 3 and a split 3:1 on day 5 are recorded for 10 others."""
    book = new_book()
    book.fill(trade("a", "buy", "10", "100"))
    actions = [told("dividend", 3, 1.0), told("split", 5, 3.0)]
    for action in actions:
        record_action(book, action, rate=one)
    book.fill(trade("b", "buy", "100", "100", date=START + timedelta(2)))
    before = book.cash
    for action in actions * 2:
        row, ratio = record_action(book, action, rate=one)
        assert ratio is None
        assert row is None or row["corrects"] is not None
    assert book.shares("AAA") == 330
    assert book.cash - before == 100


class PlainAccount:
    """An account of one ticker in which all is told in time: the twin of a book, with exact fractions."""

    def __init__(self, method: str, *, fractional: bool) -> None:
        self.method, self.fractional = method, fractional
        self.lots: list[list[Fraction]] = []  # shares and cost
        self.gains = self.income = Fraction(0)

    @property
    def shares(self) -> Fraction:
        return sum((shares for shares, _ in self.lots), Fraction(0))

    @property
    def cost(self) -> Fraction:
        return sum((cost for _, cost in self.lots), Fraction(0))

    def trade(self, shares: Fraction, price: Fraction) -> None:
        while shares and self.lots and self.lots[0][0] * shares < 0:
            place = 0 if self.method == "fifo" else -1
            held, cost = self.lots[place]
            part = min(abs(held), abs(shares)) * (1 if held > 0 else -1)
            self.gains += part * price - cost * part / held
            self.lots[place] = [held - part, cost - cost * part / held]
            self.lots = [lot for lot in self.lots if lot[0]]
            shares += part
        if shares:
            self.lots.append([shares, shares * price])

    def split(self, ratio: Fraction, price: Fraction) -> None:
        self.lots = [[shares * ratio, cost] for shares, cost in self.lots]
        whole = Fraction(int(self.shares))
        if not self.fractional and self.shares != whole:
            self.trade(whole - self.shares, price)


Happened = tuple[int, str, Any]
_HAPPENED = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 9), st.just("trade"), st.tuples(st.integers(-60, 80), st.integers(5, 90))),
        st.tuples(st.integers(0, 9), st.just("split"), st.sampled_from([(2, 1), (3, 1), (1, 2), (1, 3), (5, 4)])),
        st.tuples(st.integers(0, 9), st.just("dividend"), st.sampled_from([0.25, 1.5])),
    ),
    max_size=14,
).map(lambda steps: sorted(steps, key=lambda step: step[0]))
"""What happened, in the order of the days; of a day, the dividend and the split come before the trades."""


def plain_account(happened: list[Happened], method: str, *, fractional: bool) -> PlainAccount:
    """Return an account that is told all in time: of a day first the dividend and the split."""
    plain = PlainAccount(method, fractional=fractional)
    for day in range(10):
        for kind, value in actions_of(happened).get(day, {}).items():
            if kind == "split":
                plain.split(Fraction(*value), Fraction(7))
            else:
                plain.income += plain.shares * Fraction(value)
        for when, kind, value in happened:
            if (when, kind) == (day, "trade") and value[0]:
                plain.trade(Fraction(value[0]), Fraction(value[1]))
    return plain


def actions_of(happened: list[Happened]) -> dict[int, dict[str, Any]]:
    """Return the dividend and the split of each day; the first one if there are several."""
    found: dict[int, dict[str, Any]] = {}
    for kind in ("dividend", "split"):
        for day, its, value in happened:
            if its == kind:
                found.setdefault(day, {}).setdefault(kind, value)
    return found


def told_on(night: int, day: int, kind: str, value: Any, delay: int, *, takes_back: bool) -> KnownAction | None:  # noqa: ANN401
    """Return what is known of an action on a night: nothing, or before it is known something wrong."""
    is_known = night >= day + delay
    if not is_known and (night < day or not takes_back):
        return None
    right = float(Fraction(*value)) if kind == "split" else value
    return KnownAction("AAA", START + timedelta(day), kind, right if is_known else 7.0, before=None, on=7.0)


def check_late_actions(
    happened: list[Happened], delays: list[int], takes_back: list[bool], method: str, *, fractional: bool
) -> None:
    """Check that a book which is told dividends and splits late, and wrongly at first, becomes what it would have been.

    The actions are known some days late, and some are told wrongly before that. Each night brings the book to all that
    is known.
    """
    plain, book = (
        plain_account(happened, method, fractional=fractional),
        new_book(lot_method=method, fractional=fractional),
    )
    rows: list[dict[str, Any] | None] = []
    actions = [(day, kind, value) for day, own in sorted(actions_of(happened).items()) for kind, value in own.items()]
    for night in range(25):
        for place, (day, kind, value) in enumerate(happened):
            if (day, kind) == (night, "trade") and value[0]:
                side, when = "buy" if value[0] > 0 else "sell", START + timedelta(day)
                rows.append(book.fill(trade(f"t{place}", side, str(abs(value[0])), str(value[1]), date=when)))
        for place, (day, kind, value) in enumerate(actions):
            action = told_on(night, day, kind, value, delays[place % 4], takes_back=takes_back[place % 3])
            rows += [] if action is None else [record_action(book, action, rate=one)[0]]
        rows += book.settle_lots()
    made = [row for row in rows if row is not None]
    assert float(book.shares("AAA")) == pytest.approx(float(plain.shares), abs=1e-5)
    assert float(book.cost()) == pytest.approx(float(plain.cost), abs=0.01)
    gains = sum((change.gain for row in made for change in lots_of_text(row["lots"])), D(0))
    income = sum((row["amount"] for row in made if "kind" in row and "ratio" not in row), D(0))
    assert float(gains) == pytest.approx(float(plain.gains), abs=0.01)
    assert float(income) == pytest.approx(float(plain.income), abs=0.01)
    assert book.cash + book.cost() == gains + income
    held = [lot.quantity for lot in book.lots.get("AAA", {}).values() if abs(lot.quantity) > D("0.0001")]
    assert [float(shares) for shares in held] == pytest.approx([float(shares) for shares, _ in plain.lots], abs=1e-5)


_LATE = (
    _HAPPENED,
    st.lists(st.integers(0, 14), min_size=4, max_size=4),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.sampled_from(["fifo", "lifo"]),
    st.booleans(),
)


@given(*_LATE)
@example([(0, "trade", (100, 50)), (3, "split", (2, 1)), (5, "trade", (-60, 30))], [9], [False], "fifo", False)
@example(
    [(0, "trade", (50, 50)), (1, "trade", (50, 70)), (3, "split", (1, 3)), (5, "trade", (-20, 9))],
    [9],
    [True],
    "fifo",
    False,
)
def test_what_is_told_late_ends_as_if_it_had_been_told_in_time(
    happened: list[Happened], delays: list[int], takes_back: list[bool], method: str, fractional: bool
) -> None:
    check_late_actions(happened, delays, takes_back, method, fractional=fractional)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(*_LATE)
def test_ten_thousand_histories_that_are_told_late(
    happened: list[Happened], delays: list[int], takes_back: list[bool], method: str, fractional: bool
) -> None:
    check_late_actions(happened, delays, takes_back, method, fractional=fractional)


def test_a_position_that_is_taken_over_has_had_the_splits_before() -> None:
    book = new_book()
    day = START + timedelta(3)
    book.take_over(
        "AAA", D(100), D(5000), day=day, opened=START - timedelta(900), currency="USD", rate=D(1), name="import"
    )
    for name, when, shares in (("early", START, 100), ("same day", day, 100), ("late", day + timedelta(1), 200)):
        book.split("AAA", Fraction(2), day=when, price=D(50), currency="USD", rate=D(1), name=name)
        assert book.shares("AAA") == shares
    assert [lot.opened for lot in book.lots["AAA"].values()] == [START - timedelta(900)]


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
                "order_type": "market", "time_in_force": "gtc", "currency": "EUR", "purpose": "rebalance", "number": 1,
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
                assert [list(lots) for lots in again.books["main"].lots.values()] == [
                    list(lots) for lots in self.book.lots.values()
                ]
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
