from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.errors import InputError
from pm.ledger.book import Book, Trade, event_id, lots_of_text
from pm.tables.vocabulary import CashKind

D = Decimal
START = date(2024, 1, 1)
ACCOUNT = {"account": "main", "currency": "USD", "fractional": False, "lot_method": "fifo"}


def new_book(**values: Any) -> Book:  # noqa: ANN401 - columns of tables
    return Book.of(ACCOUNT | values, [], [])


def trade(name: str, side: str, shares: str, price: str, **values: Any) -> Trade:  # noqa: ANN401 - columns of tables
    known: dict[str, Any] = {
        "ticker": "AAA", "currency": "USD", "commission": D(0), "rate": D(1), "date": START, "source": "paper",
    }  # fmt: skip
    return Trade(fill_id=name, order_id="o", side=side, shares=D(shares), price=D(price), **known | values)


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


_STEP = st.one_of(
    st.tuples(
        st.just("trade"), st.sampled_from(["AAA", "BBB"]), st.booleans(), st.decimals("0.001", "500", places=3),
        st.decimals("0.01", "900", places=2), st.decimals("0", "9.99", places=2),
    ),
    st.tuples(st.just("split"), st.sampled_from(["AAA", "BBB"]), st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.just("dividend"), st.sampled_from(["AAA", "BBB"]), st.decimals("0.01", "5", places=4)),
    st.tuples(st.just("cash"), st.decimals("-500", "500", places=2)),
    st.just(("restart",)),
)  # fmt: skip


def check_identity(steps: list[tuple[Any, ...]], method: str, *, fractional: bool, rate: Decimal) -> None:
    """Check, after each step, that cash + cost of the lots = deposits + gains + dividends, in the base currency.

    Cash is added up apart from the book, from quantities, prices and commissions.
    """
    account = ACCOUNT | {"lot_method": method, "fractional": fractional}
    book = Book.of(account, [], [])
    rows: list[dict[str, Any]] = []
    deposits = gains = income = cash = D(0)
    for place, step in enumerate(steps):
        day = START + timedelta(place)
        row = None
        match step:
            case ("trade", ticker, is_buy, shares, price, fee):
                shares = shares if fractional else shares.to_integral_value() + 1
                row = book.fill(
                    trade(f"f{place}", "buy" if is_buy else "sell", str(shares), str(price), ticker=ticker,
                          commission=fee, date=day, rate=rate, currency="EUR")
                )  # fmt: skip
                exact = Fraction((-1 if is_buy else 1) * shares * price).limit_denominator(10**12)
                cash += round(Fraction(round((exact) * 10_000) - fee * 10_000) * Fraction(rate)) / D(10_000)
            case ("split", ticker, new, old):
                row = book.split(
                    ticker, Fraction(new, old), day=day, price=D("7.31"), currency="EUR", rate=rate, name=f"s{place}"
                )
                cash += row["base_amount"] if row else 0
            case ("dividend", ticker, value):
                amount = book.shares_before(ticker, day) * value
                row = book.cash_event(
                    CashKind.DIVIDEND, amount, day=day, name=f"d{place}", ticker=ticker, currency="EUR", rate=rate
                )
                assert row is not None
                income += row["base_amount"]
                cash += row["base_amount"]
            case ("cash", amount):
                row = book.cash_event(CashKind.DEPOSIT, amount, day=day, name=f"c{place}")
                deposits += amount
                cash += amount
            case ("restart",):
                fills = [kept for kept in rows if "fill_id" in kept]
                again = Book.of(account, fills, [kept for kept in rows if "fill_id" not in kept])
                assert (again.cash, again.lots) == (book.cash, book.lots)
                book = again
        if row is not None:
            rows.append(row | {"sequence": place, "account": "main"})
            gains += sum((change.base_gain for change in lots_of_text(row["lots"])), D(0))
        assert book.cash == cash
        assert book.cash + book.cost() == deposits + gains + income


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
