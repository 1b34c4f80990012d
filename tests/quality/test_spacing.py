from __future__ import annotations

from datetime import date, timedelta
from random import Random

import polars as pl
import pytest

from pm.quality.spacing import contradictions, days_of, not_daily, partly_not_daily, whole_days
from pm.sessions import sessions_between

SESSIONS = sessions_between("XNYS", date(2019, 1, 1), date(2022, 12, 31))


def days(dates: list[date], ticker: str = "A") -> pl.DataFrame:
    closes = [float(n % 97 + 1) for n in range(len(dates))]
    return whole_days([days_of(pl.DataFrame({"ticker": ticker, "date": dates, "close": closes}))])


def last_of(part: str) -> list[date]:
    frame = pl.DataFrame({"date": SESSIONS})
    return frame.group_by(start=pl.col("date").dt.truncate(part)).agg(pl.col("date").max())["date"].sort().to_list()


@pytest.mark.parametrize(
    ("dates", "found"),
    [
        (last_of("1w"), "weekly bars, 7 days apart"),
        ([date(2020, 1, 6) + timedelta(7 * n) for n in range(4)], "weekly"),
        (last_of("1mo"), "monthly"),
        ([date(2020, month, 1) for month in range(1, 13)], "monthly"),
        (last_of("1q"), "quarterly"),
        ([date(year, 12, 31) for year in range(2000, 2020)], "yearly"),
        ([day for day in SESSIONS[:60] for _ in range(7)], "several bars a day, 7 on a typical one"),
        ([date(2020, 1, 2)] * 390, "several bars a day"),
    ],
)
def test_bars_that_are_not_daily_are_recognised(dates: list[date], found: str) -> None:
    assert found in not_daily(days(dates)).get("A", "")


def test_daily_bars_with_holes_are_daily() -> None:
    chance = Random(1)  # noqa: S311 - seeded, so that a failure can be repeated
    series = [
        SESSIONS,
        SESSIONS[:3],
        [day for day in SESSIONS if chance.random() < 0.2],  # thin trading: once a week on average
        [day for day in SESSIONS if day.month % 2],  # halts of a month
        [date(2020, 1, 1) + timedelta(n) for n in range(100)],  # a currency
        SESSIONS[:200] + last_of("1w")[60:80],  # older or newer bars at another spacing
        [day for day in SESSIONS[:50] for _ in range(2 if day == SESSIONS[49] else 1)],  # a day twice
    ]
    assert [not_daily(days(dates)) for dates in series] == [{}] * len(series)
    twice = pl.DataFrame({"ticker": "A", "date": SESSIONS[:50] * 2, "close": [float(n) for n in range(50)] * 2})
    assert not_daily(whole_days([days_of(twice)])) == {}
    assert not_daily(whole_days([days_of(twice[:50]), days_of(twice[50:])])) == {}


def test_a_part_of_another_spacing_is_told() -> None:
    weeks = last_of("1w")
    half = [*weeks[:60], *(day for day in SESSIONS if day > weeks[59])]
    delivered = whole_days([days(half, "HALF"), days(SESSIONS, "DAILY")])
    assert not_daily(delivered) == {}
    first = weeks[59] - timedelta(weeks=59)
    assert partly_not_daily(delivered) == {"HALF": f"weekly bars from {first} to {weeks[59]}"}


def test_each_ticker_is_judged_by_its_own_dates_in_any_order() -> None:
    mixed = pl.concat([days(SESSIONS, "D"), days(last_of("1w"), "W"), days(last_of("1mo"), "M")]).sample(
        fraction=1.0, shuffle=True, seed=1
    )
    assert {ticker: found.split()[0] for ticker, found in not_daily(whole_days([mixed])).items()} == {
        "W": "weekly",
        "M": "monthly",
    }


def compared(first: dict[int, float], second: dict[int, float]) -> list[tuple[object, ...]]:
    rows = [
        {"file": file, "ticker": "A", "date": SESSIONS[day], "close": close}
        for file, closes in enumerate((first, second))
        for day, close in closes.items()
    ]
    return contradictions(pl.DataFrame(rows)).select("file", "other", "dates", "different").rows()


def test_files_contradict_each_other_where_closes_differ_by_more_than_rounding() -> None:
    one = {day: 100.0 + day for day in range(20)}
    assert compared(one, {day: close * 3 + day * day for day, close in one.items()}) == [(1, 0, 20, 19)]
    # one percent of an exchange rate is more than rounding to four decimals, but not to two
    rates = {day: 1.08 + day / 1000 + 0.0005 for day in range(20)}
    others = {day: rate + (0.005 if day % 2 else -0.005) for day, rate in rates.items()}
    assert compared(rates, others)[0][:3] == (1, 0, 20)
    assert compared(rates, {day: round(rate, 2) for day, rate in rates.items()}) == []
    assert compared({0: 10.0}, {0: 20.0}) == [(1, 0, 1, 1)]
    assert compared({0: 10.0, 1: 11.0}, {0: 20.0, 1: 22.0}) == [(1, 0, 2, 1)]


@pytest.mark.parametrize("price", [0.05, 0.3, 1.08, 5.0, 80.0])
@pytest.mark.parametrize("decimals", [(4, 2), (6, 2), (3, 2)])
def test_the_same_closes_with_other_decimals_do_not_contradict(price: float, decimals: tuple[int, int]) -> None:
    for seed in range(20):
        walk = Random(seed)  # noqa: S311 - seeded, so that a failure can be repeated
        closes = {day: price * (1 + walk.gauss(0, 0.02)) for day in range(200)}
        first, second = ({day: round(close, count) for day, close in closes.items()} for count in decimals)
        assert compared(first, second) == []


def test_files_that_agree_continue_or_restate_each_other_do_not_contradict() -> None:
    one = {day: 100.123 + day for day in range(20)}
    agreeing = {
        "equal": one,
        "rounded": {day: round(close, 2) for day, close in one.items()},
        "later": {day + 20: close for day, close in one.items()},
        "adjusted": {day: close * 0.98 for day, close in one.items()},
        "live": one | {19: 115.0},
        "a live day alone": {19: 118.0, 20: 119.0},
    }
    assert [name for name, other in agreeing.items() if compared(one, other)] == []
