"""Markets learnt from bars are held to the calendars of exchanges, which the code under test does not know."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.markets import Market, learn_markets
from pm.sessions import sessions_between

if TYPE_CHECKING:
    from collections.abc import Iterable

HORIZON = 60


def bars_of(**tickers: Iterable[date]) -> pl.DataFrame:
    rows = [(ticker, day) for ticker, days in tickers.items() for day in days]
    return pl.DataFrame(rows, schema={"ticker": pl.String, "date": pl.Date}, orient="row")


def weekdays_from(first: date, count: int, *, of: Iterable[int] = range(5)) -> list[date]:
    wanted = set(of)
    days = (first + timedelta(days=n) for n in range(7 * count))
    return [day for day in days if day.weekday() in wanted][:count]


@pytest.mark.parametrize("exchange", ["XNYS", "XLON", "XETR"])
def test_holidays_of_exchanges_are_learnt(exchange: str) -> None:
    calendar = sessions_between(exchange, date(2010, 1, 1), date(2019, 12, 31))
    misplaced, ignored = [], []
    for as_of in (date(2017, 1, 13) + timedelta(days=47 * n) for n in range(16)):  # all seasons
        known = [day for day in calendar if day <= as_of]
        truth = set(calendar[len(known) : len(known) + HORIZON])
        misplaced.append(truth ^ set(Market(tuple(known)).sessions_after(known[-1], HORIZON)))
        ignored.append(truth ^ set(weekdays_from(known[-1] + timedelta(days=1), HORIZON)))
    assert sum(map(len, misplaced)) < 0.02 * 16 * HORIZON
    assert sum(map(len, misplaced)) < sum(map(len, ignored)) / 4


def test_a_market_that_never_closes_and_one_from_sunday_to_thursday_are_learnt() -> None:
    crypto = sessions_between("24/7", date(2022, 1, 1), date(2024, 5, 31))
    assert Market(tuple(crypto)).sessions_after(date(2024, 5, 31), 40) == [
        date(2024, 6, 1) + timedelta(days=n) for n in range(40)
    ]
    tel_aviv = weekdays_from(date(2022, 1, 2), 600, of=(6, 0, 1, 2, 3))
    expected = weekdays_from(tel_aviv[-1] + timedelta(days=1), 40, of=(6, 0, 1, 2, 3))
    assert Market(tuple(tel_aviv)).sessions_after(tel_aviv[-1], 40) == expected


def test_a_session_on_a_saturday_does_not_make_saturdays_sessions() -> None:
    days = weekdays_from(date(2022, 1, 3), 500)
    saturdays = [day + timedelta(days=1) for day in days[-20:] if day.weekday() == 4][:2]
    market = Market(tuple(sorted([*days, *saturdays])))
    assert market.weekdays == frozenset(range(5))
    assert market.sessions_after(days[-1], 30) == weekdays_from(days[-1] + timedelta(days=1), 30)


def test_a_market_that_changes_its_weekdays_is_followed_after_a_month() -> None:
    before = weekdays_from(date(2023, 1, 1), 300, of=(6, 0, 1, 2, 3))
    after = weekdays_from(before[-1] + timedelta(days=3), 25)
    assert Market(tuple(before + after)).weekdays == frozenset(range(5))


@pytest.mark.parametrize("count", [1, 3, 9])
def test_a_ticker_with_few_bars_has_monday_to_friday(count: int) -> None:
    days = weekdays_from(date(2024, 3, 5), count)
    assert Market(tuple(days)).sessions_after(days[-1], 20) == weekdays_from(days[-1] + timedelta(days=1), 20)


def test_one_closure_is_no_holiday_and_a_hole_in_the_data_neither() -> None:
    days = weekdays_from(date(2021, 1, 4), 1000)
    hole = {
        day
        for day in days
        if date(2022, 10, 1) <= day < date(2022, 11, 5) or date(2023, 10, 1) <= day < date(2023, 11, 5)
    }
    once = {date(2023, 12, 5)}
    market = Market(tuple(day for day in days if day not in hole | once))
    assert market.sessions[-1] < date(2024, 11, 30)
    expected = weekdays_from(market.sessions[-1] + timedelta(days=1), 40)
    assert market.sessions_after(market.sessions[-1], 40) == expected


def test_bars_that_are_often_missing_teach_no_holidays() -> None:
    days = weekdays_from(date(2020, 1, 6), 1000)
    kept = np.random.default_rng(1).random(len(days)) < 0.75
    market = Market(tuple(day for day, there in zip(days, kept, strict=True) if there))
    last = market.sessions[-1]
    assert market.sessions_after(last, 60) == weekdays_from(last + timedelta(days=1), 60)


def test_sessions_that_the_market_had_are_not_guessed() -> None:
    days = weekdays_from(date(2023, 1, 2), 300)
    closed = days[-3]
    market = Market(tuple(day for day in days if day != closed))
    assert market.sessions_after(days[-6], 4) == [days[-5], days[-4], days[-2], days[-1]]


def test_a_new_ticker_has_the_holidays_of_its_suffix() -> None:
    london = sessions_between("XLON", date(2012, 1, 2), date(2017, 12, 8))
    berlin = sessions_between("XETR", date(2012, 1, 2), date(2017, 12, 8))
    markets = learn_markets(
        bars_of(**{"OLD.L": london, "OTHER.L": london[:-100] + london[-98:], "NEW.L": london[-12:], "OLD.DE": berlin})
    )
    assert markets["NEW.L"] is markets["OLD.L"] is markets["OTHER.L"]
    assert markets["OLD.DE"] is not markets["OLD.L"]
    ahead = markets["NEW.L"].sessions_after(date(2017, 12, 8), 20)
    assert date(2017, 12, 27) in ahead
    assert not {date(2017, 12, 25), date(2017, 12, 26), date(2018, 1, 1)} & set(ahead)


def test_tickers_without_a_suffix_are_told_apart_by_their_days() -> None:
    start, end = date(2012, 1, 2), date(2018, 2, 16)
    of = {name: sessions_between(code, start, end) for name, code in (("US", "XNYS"), ("DE", "XETR"), ("COIN", "24/7"))}
    sparse = [day for n, day in enumerate(of["US"]) if n % 9]
    weekly = [day for day in of["US"] if day.weekday() == 2]
    markets = learn_markets(
        bars_of(US1=of["US"], US2=of["US"], DE1=of["DE"], DE2=of["DE"], COIN=of["COIN"], SPARSE=sparse, WEEKLY=weekly)
    )
    assert markets["US1"] is markets["US2"] is markets["SPARSE"]
    assert markets["DE1"] is markets["DE2"]
    assert len({id(markets[name]) for name in ("US1", "DE1", "COIN", "WEEKLY")}) == 4
    easter = {date(2018, 3, 30), date(2018, 4, 2)}
    assert easter & set(markets["US1"].sessions_after(end, 40)) == {date(2018, 4, 2)}
    assert not easter & set(markets["DE1"].sessions_after(end, 40))
    assert easter < set(markets["COIN"].sessions_after(end, 60))
    assert {day.weekday() for day in markets["WEEKLY"].sessions_after(end, 10)} == {2}


def test_a_day_that_most_of_a_market_lacks_is_no_session() -> None:
    days = weekdays_from(date(2022, 1, 3), 300)
    tickers = {f"T{n}": [day for day in days if day != days[200] or n == 0] for n in range(5)}
    assert days[200] not in learn_markets(bars_of(**tickers))["T0"].sessions
    halted = {f"T{n}": [day for day in days if day != days[200] or n > 1] for n in range(5)}
    assert days[200] in learn_markets(bars_of(**halted))["T0"].sessions


def test_the_order_of_rows_and_tickers_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    days = weekdays_from(date(2022, 1, 3), 400)
    tickers = {
        f"{name}{n}": [day for day, keep in zip(days, rng.random(400) > 0.01, strict=True) if keep]
        for name, n in product("AB", range(4))
    }
    bars = bars_of(**tickers)
    first, again = learn_markets(bars), learn_markets(bars.sample(fraction=1, shuffle=True, seed=1))
    assert {name: market.sessions for name, market in first.items()} == {name: again[name].sessions for name in first}


@given(
    gaps=st.lists(st.integers(1, 9), min_size=0, max_size=400),
    start=st.dates(date(1999, 1, 1), date(2024, 1, 1)),
    back=st.integers(0, 5),
    count=st.integers(0, 40),
)
@settings(max_examples=60)
def test_any_history_has_next_sessions_in_order(gaps: list[int], start: date, back: int, count: int) -> None:
    days = [start + timedelta(days=int(n)) for n in np.cumsum([0, *gaps])]
    market = Market(tuple(days))
    after = days[-1 - min(back, len(days) - 1)]
    ahead = market.sessions_after(after, count)
    assert len(ahead) == count
    assert ahead == sorted(set(ahead))
    assert all(day > after for day in ahead)
    known = [day for day in days if day > after]
    assert ahead[: len(known)] == known[:count]
