from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.broker.base import BrokerAccount
from pm.broker.planning import Quote
from pm.broker.reconcile import accept_differences, compare
from pm.broker.unpaid_dividends import unpaid_dividends
from pm.errors import InputError
from pm.ledger.actions import KnownAction, record_action
from pm.ledger.book import Trade
from pm.ledger.ledger import Ledger
from pm.settings import load_settings
from pm.tables.vocabulary import CashKind

D = Decimal
SETTINGS = load_settings().broker
EX_DATE = date(2024, 3, 14)
QUOTES = {"KO": Quote(D(60), EX_DATE, "USD", D(1))}


def opened(currency: str = "USD") -> Ledger:
    ledger = Ledger({}, "run")
    ledger.open_account(
        account="main",
        broker="alpaca",
        number="PA1",
        currency=currency,
        lot_method="fifo",
        fractional=False,
        live=False,
    )
    return ledger


def told(cash: Decimal, **positions: int) -> BrokerAccount:
    held = {ticker: D(shares) for ticker, shares in positions.items()}
    return BrokerAccount("PA1", "USD", cash, held, clock=None, live=False)


def holding(ledger: Ledger, shares: int) -> None:
    """Buy shares of KO at 60 before its dividend."""
    ledger.books["main"].fill(
        Trade("f", "o", "KO", "buy", D(shares), D(60), "USD", D(0), D(1), EX_DATE - timedelta(60), "alpaca")
    )


def with_dividend(shares: int = 100) -> Ledger:
    ledger = opened()
    holding(ledger, shares)
    action = KnownAction("KO", EX_DATE, "dividend", 0.485, 60.0, 59.5)
    ledger.add_cash_event(record_action(ledger.books["main"], action, rate=lambda *_: D(1))[0])
    return ledger


def test_a_dividend_that_is_not_paid_yet_is_no_difference() -> None:
    """48.50 of cash are missing at the broker until the dividend is paid; then both agree, and nothing was accepted."""
    ledger = with_dividend()
    assert compare(ledger, "main", told(D(-6_000), KO=100), SETTINGS, today=EX_DATE + timedelta(10)) == []
    (cash, *_) = ledger.rows["reconciliations"]
    assert cash["matches"]
    assert "not paid yet: KO 48.5 (ex-date 2024-03-14)" in cash["detail"]
    assert ledger.halts == []
    assert compare(ledger, "main", told(D("-5951.5"), KO=100), SETTINGS, today=EX_DATE + timedelta(20)) == []
    assert compare(ledger, "main", told(D(-6_000), KO=100), SETTINGS, today=EX_DATE + timedelta(61)) != []


@pytest.mark.parametrize("cash", ["-6000.10", "-5999", "-5951.4"])
def test_what_dividends_do_not_explain_is_a_difference(cash: str) -> None:
    ledger = with_dividend()
    (difference,) = compare(ledger, "main", told(D(cash), KO=100), SETTINGS, today=EX_DATE + timedelta(10))
    assert "maybe not paid yet: KO" in difference


@given(
    st.lists(st.integers(-5_000, 5_000).filter(bool), max_size=7),
    st.sets(st.integers(0, 6)),
    st.integers(-3, 3).map(lambda cents: D(cents) / 100),
)
def test_the_dividends_are_those_that_some_choice_of_them_adds_up_to(
    cents: list[int], unpaid: set[int], off: Decimal
) -> None:
    """Against all choices, one by one."""
    amounts = [D(amount) / 100 for amount in cents]
    dividends = [(f"T{place}", EX_DATE, amount) for place, amount in enumerate(amounts)]
    goal, tolerance = sum((amounts[place] for place in unpaid if place < len(amounts)), D(0)) + off, D("0.02")
    sums = [sum(chosen, D(0)) for size in range(len(amounts) + 1) for chosen in combinations(amounts, size)]
    found = unpaid_dividends(goal, dividends, tolerance)
    assert (found is not None) == any(abs(value - goal) <= tolerance for value in sums)
    if found is not None:
        assert abs(sum((amount for *_, amount in found), D(0)) - goal) <= tolerance


def test_very_many_dividends_explain_what_is_not_more_than_all_of_them() -> None:
    dividends = [(f"T{place}", EX_DATE, D(10) + D(place * place) / 10_000) for place in range(300)]
    total = sum((amount for *_, amount in dividends), D(0))
    assert unpaid_dividends(total / 2, dividends, D("0.05"))
    assert unpaid_dividends(total + 1, dividends, D("0.05")) is None
    assert unpaid_dividends(D(-1), dividends, D("0.05")) is None


def test_a_difference_that_the_ledger_has_made_up_since_is_not_accepted() -> None:
    """The broker has 100 shares more; a sync records the purchase; to accept would make them 200."""
    ledger = opened()
    compare(ledger, "main", told(D(-6_000), KO=100), SETTINGS, today=EX_DATE)
    holding(ledger, 100)
    with pytest.raises(InputError, match="when it was compared"):
        accept_differences(ledger, "main", day=EX_DATE, quotes=QUOTES, reason="ok", person="me")
    assert ledger.books["main"].shares("KO") == 100
    assert ledger.rows["cash_events"] == []


def test_accepted_differences_are_taken_over_once_and_named_so() -> None:
    ledger = opened()
    compare(ledger, "main", told(D(500), KO=100), SETTINGS, today=EX_DATE)
    assert accept_differences(ledger, "main", day=EX_DATE, quotes=QUOTES, reason="ok", person="me") == 2
    assert accept_differences(ledger, "main", day=EX_DATE, quotes=QUOTES, reason="ok", person="me") == 0
    assert (ledger.books["main"].cash, ledger.books["main"].shares("KO")) == (D(500), D(100))
    assert {row["kind"] for row in ledger.rows["cash_events"]} == {CashKind.ACCEPTED}
    assert compare(ledger, "main", told(D(500), KO=100), SETTINGS, today=EX_DATE) == []


def test_large_amounts_of_cash_are_compared() -> None:
    ledger = opened("JPY")
    book = ledger.books["main"]
    ledger.add_cash_event(book.cash_event(CashKind.DEPOSIT, D(1_500_000_000), day=EX_DATE, name="d"))
    assert compare(ledger, "main", told(D(1_500_000_000)), SETTINGS, today=EX_DATE) == []
    assert len(compare(ledger, "main", told(D(1_500_000_001)), SETTINGS, today=EX_DATE)) == 1
    accept_differences(ledger, "main", day=EX_DATE, quotes={}, reason="ok", person="me")
    assert book.cash == 1_500_000_001
