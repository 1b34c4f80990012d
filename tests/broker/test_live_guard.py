"""Each condition for orders of real money is listed by name when it is not met, and all at once."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # a module of the tests, which are no package
from desk import SETTINGS

from pm.broker.base import BrokerAccount
from pm.broker.live_guard import clean_nights, missing_for_live
from pm.ledger.ledger import Ledger
from pm.tables.vocabulary import HaltCause

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = date(2024, 1, 1)
LIVE = SETTINGS.model_copy(update={"live": True})
TOLD = BrokerAccount("123", "USD", Decimal(0), {}, None, live=True)
OPENED = {"currency": "USD", "lot_method": "fifo", "fractional": False}


def ledger(nights: int, *, live: bool = True) -> Ledger:
    """Return a ledger with an account for real money, and a paper account that has run some nights."""
    made = Ledger({}, "run")
    made.open_account(account="paper", broker="paper", number=None, live=False, **OPENED)
    made.open_account(account="real", broker="alpaca", number="123", live=live, **OPENED)
    run(made, nights)
    return made


def run(made: Ledger, nights: int, first: int = 0) -> None:
    for night in range(first, first + nights):
        for _ in range(2):  # the stages ledger and orders each add one
            made.add_head(rows=0, head="", cutoff=DAY + timedelta(night), limit_events=None)


def missing(made: Ledger, **changed: Any) -> list[str]:  # noqa: ANN401 - arguments of the guard
    known: dict[str, Any] = {
        "told": TOLD, "settings": LIVE, "said_live": True, "number_in_environment": "123", "has_limits": True,
    }  # fmt: skip
    return missing_for_live(made, made.accounts["real"], **known | changed)


def test_nothing_is_missing() -> None:
    assert missing(ledger(20)) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"settings": SETTINGS}, "broker.live is false."),
        ({"said_live": False}, "The command lacks --live."),
        ({"number_in_environment": None}, "The variable PM_LIVE_ACCOUNT does not have the account's number."),
        ({"number_in_environment": ""}, "The variable PM_LIVE_ACCOUNT does not have the account's number."),
        ({"number_in_environment": "124"}, "The variable PM_LIVE_ACCOUNT does not have the account's number."),
        ({"told": replace(TOLD, number="124")}, "The broker says that this is account 124, not 123."),
        ({"told": replace(TOLD, live=False)}, "The broker says that the account is for practice."),
        ({"told": replace(TOLD, currency="EUR")}, "The broker keeps the account in EUR, the ledger in USD."),
        ({"has_limits": False}, "No limit of risk is set."),
    ],
)
def test_each_condition_is_listed_alone(changed: dict[str, Any], sentence: str) -> None:
    assert missing(ledger(20), **changed) == [sentence]


def test_an_account_that_was_not_opened_for_real_money() -> None:
    assert missing(ledger(20, live=False)) == ["Account real was not opened with --live."]


def test_all_conditions_are_listed_at_once() -> None:
    told = BrokerAccount("124", "EUR", Decimal(0), {}, None, live=False)
    found = missing(
        ledger(0, live=False), told=told, settings=SETTINGS, said_live=False, number_in_environment=None,
        has_limits=False,
    )  # fmt: skip
    assert len(found) == len(set(found)) == 9


@pytest.mark.parametrize(("nights", "enough"), [(0, False), (19, False), (20, True), (21, True)])
def test_nights_of_a_paper_account_are_needed(nights: int, enough: bool) -> None:
    found = missing(ledger(nights))
    assert (found == []) == enough
    assert enough or f"has run {nights} nights" in found[0]


def test_a_halt_or_a_difference_begins_the_nights_anew() -> None:
    spoils: tuple[Callable[[Ledger], object], ...] = (
        lambda made: made.halt(HaltCause.HAND, "stop"),
        lambda made: made.add_comparison(
            account="real", ticker=None, ledger_value=Decimal(0), broker_value=Decimal(1), matches=False,
            accepted=False, detail="cash",
        ),
    )  # fmt: skip
    for spoil in spoils:
        made = ledger(20)
        spoil(made)
        assert clean_nights(made) == 0
        run(made, 2, first=20)
        assert clean_nights(made) == (0 if made.halts else 2)
        if made.resume("looked into", person="A"):
            run(made, 3, first=22)
            assert clean_nights(made) == 3


def test_nights_without_a_paper_account_do_not_count() -> None:
    made = Ledger({}, "run")
    made.open_account(account="real", broker="alpaca", number="123", live=True, **OPENED)
    run(made, 30)
    assert clean_nights(made) == 0
