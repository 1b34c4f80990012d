"""View exchange_rates against the ledger's own rates, on made-up rates that begin and end on different days."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pm.currencies import rate_tickers
from pm.errors import InputError
from pm.ledger.currencies import Rates
from pm.resources import sql_dir

if TYPE_CHECKING:
    from pathlib import Path

CURRENCIES, BASES = ("EUR", "GBP", "GBp", "JPY", "USD"), ("USD", "GBP")
FIRST, DAYS = date(2024, 1, 1), 8
TICKERS = sorted({ticker for currency in ("EUR", "GBP", "JPY", "USD") for base in BASES if currency != base
                  for ticker in rate_tickers(currency, base)})  # fmt: skip
Closes = dict[str, dict[int, float]]

CLOSE = st.integers(100, 99_999).map(lambda value: value / 1000)
CLOSES = st.dictionaries(
    st.sampled_from(TICKERS), st.dictionaries(st.integers(0, DAYS - 1), CLOSE, min_size=1, max_size=4), max_size=7
)


def rates_of_view(closes: Closes) -> dict[tuple[str, str, date], Decimal]:
    """Return the rate of each day that follows from the view: its last row up to the day."""
    view: Path = sql_dir() / "59_exchange_rates.sql"
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE accounts (account VARCHAR, currency VARCHAR)")
        connection.execute("CREATE TABLE lot_changes (currency VARCHAR)")
        connection.execute("CREATE TABLE universe (ticker VARCHAR, currency VARCHAR)")
        connection.execute("CREATE TABLE bars (ticker VARCHAR, date DATE, close DOUBLE)")
        connection.executemany("INSERT INTO accounts VALUES (?, ?)", [[f"in {base}", base] for base in BASES])
        connection.executemany("INSERT INTO lot_changes VALUES (?)", [[currency] for currency in CURRENCIES])
        rows = [[t, FIRST + timedelta(day), close] for t, days in closes.items() for day, close in days.items()]
        if rows:
            connection.executemany("INSERT INTO bars VALUES (?, ?, ?)", rows)
        found = connection.execute(view.read_text(encoding="utf-8")).fetchall()
    told = {}
    for currency, base in {(row[0], row[1]) for row in found}:
        for day in (FIRST + timedelta(number) for number in range(DAYS)):
            until = [row for row in found if row[:2] == (currency, base) and row[2] <= day]
            if until:
                newest = [row for row in until if row[2] == max(row[2] for row in until)]
                assert len(newest) == 1, newest
                told[currency, base, day] = newest[0][3]
    return told


@settings(max_examples=15, deadline=None)
@given(closes=CLOSES)
@example(closes={"EURUSD=X": {0: 1.1}, "GBPUSD=X": {0: 1.25}, "EURGBP=X": {4: 0.9}})  # a direct rate begins later
@example(closes={"USDEUR": {0: 0.9}, "EURUSD=X": {3: 1.2, 5: 1.3}})  # a better spelling begins later
@example(closes={"EURUSD": {0: 1.1, 6: 1.4}, "EURUSD=X": {3: 1.2}})  # the better one ends before the other
def test_the_view_and_the_ledger_have_one_rate_for_each_day(closes: Closes) -> None:
    rows = {ticker: [(FIRST + timedelta(day), days[day]) for day in sorted(days)] for ticker, days in closes.items()}
    ours = {}
    for base in BASES:
        rates = Rates(base, rows)
        for currency in CURRENCIES:
            for day in (FIRST + timedelta(number) for number in range(DAYS)):
                try:
                    ours[currency, base, day] = rates.rate(currency, day)
                except InputError:
                    continue

    told = rates_of_view(closes)

    assert told.keys() == ours.keys()
    for key, rate in ours.items():
        # The view computes with floating-point numbers, the ledger with decimals; both keep nine digits.
        assert abs(told[key] - rate) <= Decimal("1e-9") + abs(rate) * Decimal("1e-14"), key
