"""Views of accounts against plain loops over the same payments, trades and closes, and against published numbers."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from pm.ledger.book import Book, Trade
from pm.ledger.journal import START, Journal
from pm.resources import sql_dir
from pm.tables.ledger import ACCOUNTS, AUDIT_HEADS, CASH_EVENTS, CHAINED_TABLES, FILLS, HALTS
from pm.tables.vocabulary import CashKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

D = Decimal
FIRST = date(2023, 1, 2)
DAYS = [day for day in (FIRST + timedelta(number) for number in range(140)) if day.weekday() < 5]
UNKNOWN, KNOWN = 30, 45
"""Days by number: on the first a position is imported that has no close, on the second it has its first one."""
VIEWS = (
    "58_lot_changes", "59_exchange_rates", "82_lots", "83_realised_gains", "84_positions", "85_equity", "86_drawdowns",
    "86_limit_drawdowns", "86_money_weighted_returns", "86_account_payments", "87_performance", "91_latest_accounts",
)  # fmt: skip
ACCOUNT = {
    "account": "main", "broker": "paper", "currency": "USD", "lot_method": "fifo", "fractional": True, "live": False,
}  # fmt: skip


def views(frames: Mapping[str, pl.DataFrame], skipped: Sequence[str] = ()) -> duckdb.DuckDBPyConnection:
    """Return a database with tables and the views over them, without those that tables take the place of."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE universe (ticker VARCHAR, currency VARCHAR)")
    for name, frame in frames.items():
        connection.register(f"{name}_rows", frame)
        connection.execute(f"CREATE TABLE {name} AS FROM {name}_rows")
    for view in VIEWS:
        name = view[3:]
        if name not in skipped:
            sql = (sql_dir() / f"{view}.sql").read_text(encoding="utf-8").rstrip().rstrip(";")
            connection.execute(f"CREATE VIEW {name} AS {sql}")
    return connection


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    return connection.execute(sql).pl().to_dicts()


class History:
    """A random history of an account in dollars: what was paid and traded, and the rows that the ledger makes of it."""

    def __init__(self, seed: int) -> None:
        generator = random.Random(seed)  # noqa: S311 - prices, not secrets
        self.closes: dict[str, dict[date, float]] = {name: {} for name in ("US", "EU", "LATE", "EURUSD=X")}
        prices = {"US": 50.0, "EU": 80.0, "LATE": 20.0, "EURUSD=X": 1.1}
        for number, day in enumerate(DAYS):
            for name, before in prices.items():
                prices[name] = before * (1 + generator.gauss(0, 0.004 if name == "EURUSD=X" else 0.02))
                if name != "LATE" or number >= KNOWN:
                    self.closes[name][day] = round(prices[name], 4)
        self.journal = Journal(START, "run")
        self.journal.add(ACCOUNTS, ACCOUNT)
        self.book = Book.of(ACCOUNT, (), ())
        self.cash: dict[date, float] = dict.fromkeys(DAYS, 0.0)
        self.paid: dict[date, float] = dict.fromkeys(DAYS, 0.0)
        self.bought: dict[str, dict[date, float]] = {name: dict.fromkeys(DAYS, 0.0) for name in ("US", "EU", "LATE")}
        self.commissions = self.dividends = 0.0
        self.pay(DAYS[0], 50_000.0)
        for number, day in enumerate(DAYS[1:], start=1):
            if generator.random() < 0.1:
                self.pay(day, float(generator.choice([-700, 900, 2_500])))
            if generator.random() < 0.3:
                self.trade(day, generator.choice(["US", "EU"]), generator.randint(-20, 60), number)
            if number == UNKNOWN:
                row = self.book.take_over("LATE", D(40), D(900), day=day, currency="USD", rate=D(1), name="import")
                self.journal.add(CASH_EVENTS, row or {})
                self.bought["LATE"][day] += 40
                self.paid[day] += 900  # at its cost, as it has no close
            if number == 70:
                self.dividend(day)

    def rate(self, ticker: str, day: date) -> float:
        return self.closes["EURUSD=X"][day] if ticker == "EU" else 1.0

    def pay(self, day: date, amount: float) -> None:
        kind = CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
        row = self.book.cash_event(kind, D(amount), day=day, name=f"pay {day}")
        self.journal.add(CASH_EVENTS, row or {})
        self.cash[day] += amount
        self.paid[day] += amount

    def dividend(self, day: date) -> None:
        row = self.book.cash_event(CashKind.DIVIDEND, D(123), day=day, name="dividend", ticker="US")
        self.journal.add(CASH_EVENTS, row or {})
        self.cash[day] += 123.0
        self.dividends += 123.0

    def trade(self, day: date, ticker: str, shares: int, number: int) -> None:
        if not shares:
            return
        price, rate = self.closes[ticker][day], self.rate(ticker, day)
        row = self.book.fill(
            Trade(
                f"f{number}", "o", ticker, "buy" if shares > 0 else "sell", D(abs(shares)), D(str(price)),
                "EUR" if ticker == "EU" else "USD", D("1.5"), D(str(rate)), day, "paper",
            )
        )  # fmt: skip
        self.journal.add(FILLS, row or {})
        self.cash[day] -= (shares * price + 1.5) * rate
        self.commissions += 1.5 * rate
        self.bought[ticker][day] += shares

    def frames(self) -> dict[str, pl.DataFrame]:
        made = {table.qualified: frame for table, frame in self.journal.frames()}
        found = {
            table.qualified: made.get(table.qualified, pl.DataFrame(schema=table.polars_schema))
            for table in CHAINED_TABLES
        }
        bars = [(name, day, close) for name, own in self.closes.items() for day, close in own.items()]
        return found | {"bars": pl.DataFrame(bars, schema=["ticker", "date", "close"], orient="row")}

    def equity(self) -> dict[date, float | None]:
        """Return the value on each day, None where a position has no close."""
        found: dict[date, float | None] = {}
        cash, held = 0.0, dict.fromkeys(self.bought, 0.0)
        for day in DAYS:
            cash += self.cash[day]
            value: float | None = cash
            for ticker, own in self.bought.items():
                held[ticker] += own[day]
                close = self.closes[ticker].get(day)
                if held[ticker] and close is None:
                    value = None
                elif value is not None and close is not None:
                    value += held[ticker] * close * self.rate(ticker, day)
            found[day] = value
        return found


@pytest.fixture(scope="module", params=[1, 2])
def history(request: pytest.FixtureRequest) -> History:
    return History(request.param)


@pytest.fixture(scope="module")
def lake(history: History) -> Iterator[duckdb.DuckDBPyConnection]:
    with views(history.frames()) as connection:
        yield connection


def test_a_day_on_which_a_position_has_no_close_has_no_equity(
    history: History, lake: duckdb.DuckDBPyConnection
) -> None:
    told = {row["date"]: row for row in rows(lake, "FROM equity")}
    assert sorted(told) == DAYS
    for day, expected in history.equity().items():
        assert (told[day]["equity"] is None) == (expected is None) == (told[day]["unpriced"] == 1)
        assert (told[day]["positions_value"] is None) == (expected is None)
        if expected is not None:
            assert float(told[day]["equity"]) == pytest.approx(expected, abs=0.01)
        assert float(told[day]["flow"]) == pytest.approx(history.paid[day], abs=0.01)
    assert [day for day in DAYS if told[day]["equity"] is None] == DAYS[UNKNOWN:KNOWN]


def test_returns_drawdowns_and_performance_are_those_of_a_plain_loop(
    history: History, lake: duckdb.DuckDBPyConnection
) -> None:
    growth, peak, worst, before, waiting = 1.0, 1.0, 0.0, None, 0.0
    returns: list[float] = []
    for day, value in history.equity().items():
        waiting += history.paid[day]
        if value is None:
            continue
        if before is not None:
            returns.append(value / (before + waiting) - 1)
            growth *= 1 + returns[-1]
        before, waiting = value, 0.0
        peak = max(peak, growth)
        worst = min(worst, growth / peak - 1)
    gains = sum(float(row["base_gain"]) for row in rows(lake, "FROM realised_gains"))

    (told,) = rows(lake, "FROM performance")
    (latest,) = rows(lake, "FROM latest_accounts")

    assert told["sessions"] == len(returns) > 60
    assert told["total_return"] == pytest.approx(growth - 1, abs=1e-7)
    assert told["annual_return"] == pytest.approx(growth ** (252 / len(returns)) - 1, abs=1e-7)
    assert told["annual_volatility"] == pytest.approx(np.std(returns, ddof=1) * np.sqrt(252), abs=1e-7)
    assert told["max_drawdown"] == pytest.approx(worst, abs=1e-7)
    assert float(told["deposits"]) == pytest.approx(sum(history.paid.values()) - 900)
    assert float(told["dividends"]) == history.dividends
    assert float(told["commissions"]) == pytest.approx(history.commissions, abs=0.01)
    assert float(told["realised_gain"]) == pytest.approx(gains)
    assert before is not None
    assert (told["first_date"], told["last_date"]) == (DAYS[0], DAYS[-1])
    assert float(latest["equity"]) == pytest.approx(before, abs=0.01)
    assert float(latest["cash"]) == pytest.approx(sum(history.cash.values()), abs=0.01)
    assert float(latest["positions"]) == pytest.approx(before - sum(history.cash.values()), abs=0.02)
    assert (latest["return"], latest["drawdown"]) == (told["total_return"], told["max_drawdown"])
    assert (latest["yearly"], latest["day"]) == (told["money_weighted_return"], DAYS[-1])


def test_the_money_weighted_return_makes_the_payments_worth_the_value(
    history: History, lake: duckdb.DuckDBPyConnection
) -> None:
    last = history.equity()[DAYS[-1]]
    assert last is not None

    def value(rate: float) -> float:
        grown = (paid * (1 + rate) ** ((DAYS[-1] - day).days / 365) for day, paid in history.paid.items())
        return float(last - sum(grown))

    (told,) = rows(lake, "FROM performance")
    assert told["money_weighted_return"] == pytest.approx(brentq(value, -0.99, 20, xtol=1e-12), abs=1e-6)


def equity_of(*days: tuple[date, float, float]) -> pl.DataFrame:
    """Return a table `equity` of days, values and payments."""
    return pl.DataFrame(
        [("main", day, "USD", 0.0, value, value, 0, flow) for day, value, flow in days],
        schema=["account", "date", "currency", "cash", "positions_value", "equity", "unpriced", "flow"],
        orient="row",
    )


def made_up(equity: pl.DataFrame, **frames: pl.DataFrame) -> duckdb.DuckDBPyConnection:
    journal = Journal(START, "run")
    journal.add(ACCOUNTS, ACCOUNT)
    ((_, accounts),) = journal.frames()
    empty = {table.qualified: pl.DataFrame(schema=table.polars_schema) for table in CHAINED_TABLES}
    bars = pl.DataFrame(schema={"ticker": pl.String, "date": pl.Date, "close": pl.Float64})
    return views(empty | {"accounts": accounts, "bars": bars, "equity": equity} | frames, skipped=["equity"])


def test_excels_example_of_xirr() -> None:
    payments = [(date(2008, 1, 1), -10_000.0), (date(2008, 3, 1), 2_750.0), (date(2008, 10, 30), 4_250.0),
                (date(2009, 2, 15), 3_250.0)]  # fmt: skip
    days = [(day, 1.0, -amount) for day, amount in payments] + [(date(2009, 4, 1), 2_750.0, 0.0)]
    with made_up(equity_of(*days)) as lake:
        (told,) = rows(lake, "FROM money_weighted_returns")
    assert told["money_weighted_return"] == pytest.approx(0.3733625335, abs=5e-11)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, None), (20_000.0, 1.0), (5_000.0, -0.5), (10_000.0, 0.0)],
    ids=["all is lost, which no rate makes", "doubled", "halved", "nothing gained"],
)
def test_money_weighted_returns_of_one_payment(value: float, expected: float | None) -> None:
    start = date(2022, 3, 1)
    with made_up(equity_of((start, 10_000.0, 10_000.0), (start + timedelta(365), value, 0.0))) as lake:
        (told,) = rows(lake, "FROM money_weighted_returns")
    found = told["money_weighted_return"]
    assert found is None if expected is None else found == pytest.approx(expected, abs=1e-12)


def test_a_money_weighted_return_nearest_to_zero_of_several() -> None:
    """Of −100, +230 and −132 after one and two years, 10% and 20% make nothing of the account."""
    start = date(2021, 3, 1)
    days = equity_of(
        (start, 100.0, 100.0), (start + timedelta(365), 0.0, -230.0), (start + timedelta(730), -132.0, 0.0)
    )
    with made_up(days) as lake:
        (told,) = rows(lake, "FROM money_weighted_returns")
    assert told["money_weighted_return"] == pytest.approx(0.1, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4000), st.integers(-900, 1000).filter(bool)), min_size=1, max_size=9),
    st.integers(1, 100_000),
)
def test_money_weighted_returns_of_any_payments_make_them_worth_the_value(
    payments: list[tuple[int, int]], value: int
) -> None:
    start = date(2010, 1, 1)
    paid: dict[int, int] = {}
    for place, amount in payments:
        paid[place] = paid.get(place, 0) + amount
    last = max(paid) + 30
    days = [(start + timedelta(place), 1.0, float(amount)) for place, amount in sorted(paid.items())]
    with made_up(equity_of(*days, (start + timedelta(last), float(value), 0.0))) as lake:
        (told,) = rows(lake, "FROM money_weighted_returns")

    def left(rate: float) -> float:
        return float(value - sum(amount * (1 + rate) ** ((last - place) / 365) for place, amount in paid.items()))

    found = told["money_weighted_return"]
    if found is None:
        signs = {left(rate) > 0 for rate in np.expm1(np.linspace(-2, 2, 41))}
        assert len(signs) == 1
    else:
        scale = value + sum(abs(amount) * (1 + found) ** ((last - place) / 365) for place, amount in paid.items())
        assert abs(left(found)) < 1e-6 * scale


def limit_drawdown(*halts: Mapping[str, Any], account: str = "main") -> dict[str, Any]:
    """Return what the limit sees after halts, of an account worth 100, 120, 90, 96: 20% below its peak."""
    days = [(DAYS[n], value, 100.0 if n == 0 else 0.0) for n, value in enumerate((100.0, 120.0, 90.0, 96.0))]
    journal = Journal(START, "run")
    journal.add(ACCOUNTS, ACCOUNT)
    for number in range(4):
        journal.add(AUDIT_HEADS, {"rows": 0, "head": "", "cutoff": DAYS[number]})
        for halt in halts if number == 2 else ():
            journal.add(HALTS, {"reason": "x", **halt})
    made = {table.qualified: frame for table, frame in journal.frames()}
    with made_up(equity_of(*days), **made) as lake:
        (told,) = rows(lake, f"FROM limit_drawdowns WHERE account = '{account}'")
        (history,) = rows(lake, "SELECT arg_max(drawdown, date) AS newest FROM drawdowns")
    assert history["newest"] == pytest.approx(-0.2)  # whatever was resumed, the history stays
    return told


FALL = {"action": "halt", "cause": "drawdown", "account": "main"}
RESUME = {"action": "resume", "cause": "hand", "person": "me"}


@pytest.mark.parametrize(
    "halts",
    [
        [],
        [FALL],
        [{**FALL, "account": "other"}, RESUME],
        [{**FALL, "cause": "hand", "account": None}, RESUME],
        [RESUME],
    ],
    ids=["no halt", "a halt in force", "one of another account", "one by hand", "a resume of nothing"],
)
def test_only_the_end_of_its_own_halt_begins_a_new_peak(halts: list[dict[str, Any]]) -> None:
    told = limit_drawdown(*halts)
    assert told["since"] is None
    assert told["drawdown"] == pytest.approx(-0.2)


@pytest.mark.parametrize("account", ["main", None], ids=["of the account", "of an older version, without a name"])
def test_a_peak_counts_from_the_day_on_which_a_person_resumed(account: str | None) -> None:
    told = limit_drawdown({**FALL, "account": account}, RESUME)
    assert told["since"] == DAYS[2]
    assert told["peak"] == pytest.approx(0.96)  # 90 was the value on the day of the resume, and 96 is the highest since
    assert told["drawdown"] == pytest.approx(0.0)
    again = limit_drawdown({**FALL, "account": account}, RESUME, {**FALL, "cause": "hand"}, RESUME)
    assert again["since"] == DAYS[2]


def test_a_fall_is_not_known_while_the_account_cannot_be_valued() -> None:
    days = equity_of((DAYS[0], 100.0, 100.0), (DAYS[1], 90.0, 0.0), (DAYS[2], 95.0, 0.0)).with_columns(
        pl.when(pl.col("date") == DAYS[2]).then(None).otherwise("equity").alias("equity"),
        unpriced=pl.when(pl.col("date") == DAYS[2]).then(1).otherwise(0),
    )
    with made_up(days) as lake:
        (told,) = rows(lake, "FROM limit_drawdowns")
    assert (told["date"], told["drawdown"]) == (DAYS[2], None)


def sample(seed: int, closes: Mapping[str, Sequence[tuple[date, float]]], *steps: Any) -> duckdb.DuckDBPyConnection:  # noqa: ANN401
    """Return a database of an account after steps: functions that make a row of a book."""
    journal, book = Journal(START, f"run {seed}"), Book.of(ACCOUNT, (), ())
    journal.add(ACCOUNTS, ACCOUNT)
    for table, step in steps:
        journal.add(table, step(book))
    made = {table.qualified: frame for table, frame in journal.frames()}
    empty = {table.qualified: pl.DataFrame(schema=table.polars_schema) for table in CHAINED_TABLES}
    bars = [(name, day, close) for name, own in closes.items() for day, close in own]
    frame = pl.DataFrame(bars, schema={"ticker": pl.String, "date": pl.Date, "close": pl.Float64}, orient="row")
    return views(empty | made | {"bars": frame})


def bought(day: date, ticker: str, shares: int, price: float, side: str = "buy") -> Any:  # noqa: ANN401
    name = f"{side} {ticker} {day}"
    return FILLS, lambda book: book.fill(
        Trade(name, "o", ticker, side, D(shares), D(str(price)), "USD", D(0), D(1), day, "paper")
    )


def paid(day: date, amount: int) -> Any:  # noqa: ANN401
    return CASH_EVENTS, lambda book: book.cash_event(CashKind.DEPOSIT, D(amount), day=day, name=f"pay {day}")


EVERY = [FIRST + timedelta(number) for number in range(140)]


def test_bars_of_what_an_account_does_not_hold_are_no_days_of_it() -> None:
    """A coin that trades on week-ends is in the lake: days and volatility are those of the share alone, until the
    account holds it too."""
    generator = random.Random(3)  # noqa: S311 - prices, not secrets
    share = [(day, round(100 * float(np.exp(generator.gauss(0, 0.02))), 4)) for day in DAYS]
    coin = [(day, 10.0 + number % 7) for number, day in enumerate(EVERY)]
    steps = (paid(DAYS[0], 10_000), bought(DAYS[0], "S", 90, share[0][1]))
    alone = sample(1, {"S": share}, *steps)
    beside = sample(1, {"S": share, "COIN": coin}, *steps)
    assert rows(beside, "FROM performance") == rows(alone, "FROM performance")
    assert rows(alone, "SELECT sessions FROM performance") == [{"sessions": len(DAYS) - 1}]

    begin, end = EVERY[35], EVERY[70]
    held = sample(1, {"S": share, "COIN": coin}, *steps, bought(begin, "COIN", 5, coin[35][1]),
                  bought(end, "COIN", 5, coin[70][1], "sell"))  # fmt: skip
    days = [row["date"] for row in rows(held, "SELECT date FROM equity ORDER BY date")]
    assert days == [day for day in EVERY if day in DAYS or begin <= day <= end]


def test_the_days_without_a_position_are_the_sessions_of_what_was_held() -> None:
    share = [(day, 50.0) for day in DAYS]
    lake = sample(1, {"S": share, "COIN": [(day, 1.0) for day in EVERY]}, paid(DAYS[0], 10_000),
                  bought(DAYS[3], "S", 10, 50.0), bought(DAYS[9], "S", 10, 50.0, "sell"))  # fmt: skip
    assert [row["date"] for row in rows(lake, "SELECT date FROM equity ORDER BY date")] == DAYS


def test_what_was_accepted_is_a_payment_and_neither_a_return_nor_a_gain_nor_a_dividend() -> None:
    """100 shares at 10 and 50 of cash that the broker has and the ledger lacked, and then 40 shares given up."""
    closes = [(day, 10.0) for day in DAYS]

    def adjusted(day: date, shares: int, name: str) -> Any:  # noqa: ANN401
        return CASH_EVENTS, lambda book: book.adjust(
            "S", D(shares), price=D(10), day=day, currency="USD", rate=D(1), name=name, detail="ok"
        )

    cash = (CASH_EVENTS, lambda book: book.cash_event(CashKind.ACCEPTED, D(50), day=DAYS[7], name="c", detail="ok"))
    lake = sample(1, {"S": closes}, paid(DAYS[0], 1_000), bought(DAYS[1], "S", 60, 8.0),
                  adjusted(DAYS[5], 100, "a"), cash, adjusted(DAYS[9], -40, "b"))  # fmt: skip
    flows = {row["date"]: float(row["flow"]) for row in rows(lake, "FROM equity") if row["flow"]}
    assert flows == {DAYS[0]: 1_000, DAYS[5]: 1_000, DAYS[7]: 50, DAYS[9]: -400}
    returns = {row["date"]: row["daily_return"] for row in rows(lake, "FROM drawdowns") if row["daily_return"]}
    assert returns == {DAYS[1]: pytest.approx(0.12)}  # 60 shares bought 2 below the close
    (told,) = rows(lake, "FROM performance")
    assert (float(told["dividends"]), float(told["realised_gain"]), float(told["deposits"])) == (0, 0, 1_000)
    assert rows(lake, "FROM realised_gains") == []


def test_a_split_that_is_told_late_restates_the_gain_of_a_sale() -> None:
    """100 at 100, split 2:1, 60 sold at 50: a gain of 0, and not of −3,000, whenever the split is told."""
    closes = [(day, 100.0 if day < DAYS[4] else 50.0) for day in DAYS]
    split = (
        CASH_EVENTS,
        lambda book: book.split("S", Fraction(2), day=DAYS[4], price=D(50), currency="USD", rate=D(1), name="s"),
    )
    settle = (CASH_EVENTS, lambda book: book.settle_lots()[0])
    trades = (paid(DAYS[0], 10_000), bought(DAYS[1], "S", 100, 100.0))
    sale = bought(DAYS[6], "S", 60, 50.0, "sell")
    for steps in ((*trades, split, sale), (*trades, sale, split, settle)):
        lake = sample(1, {"S": closes}, *steps)
        (told,) = rows(lake, "FROM performance")
        assert (float(told["realised_gain"]), told["total_return"]) == (0, pytest.approx(0))
        assert {row["equity"] for row in rows(lake, "FROM equity")} == {D("10000.0000")}
        assert rows(lake, "SELECT quantity, cost FROM lots") == [{"quantity": D(140), "cost": D(7_000)}]
