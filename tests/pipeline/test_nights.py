"""Bars that are fetched night by night come to what one fetch brings."""

from __future__ import annotations

import random
import shutil
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.pipeline import Request, add_to_universe, open_lake, refresh_bars
from pm.sources import OPENERS
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pm.workspace import Workspace

    Contents = Callable[..., dict[str, pl.DataFrame]]
    Refresh = Callable[[Path, date], None]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Market, Share, evening

DERIVED = ("bars", "bar_flags", "quarantine", "rebasings", "restatements")


@pytest.fixture
def vendor() -> Iterator[Market]:
    """Return a vendor that stands for Yahoo while the test lasts; the clock stands still meanwhile."""
    openers, clock = dict(OPENERS), market.running_clock()
    made = Market("yahoo")
    market.install(made)
    market.stop_clock(evening(date(2000, 1, 3)))
    yield made
    OPENERS.clear()
    OPENERS.update(openers)
    market.start_clock(clock)


@pytest.fixture
def refresh(
    workspace_in: Callable[[Path], Workspace], settings_with: Callable[..., Any], vendor: Market
) -> Callable[..., None]:
    """Refresh a folder's tickers on the evening of a day: `refresh(folder, day, tickers)`."""
    del vendor

    def run(folder: Path, day: date, tickers: Sequence[str] = ()) -> None:
        workspace, settings = workspace_in(folder), settings_with()
        with open_lake(workspace, settings) as lake:
            if tickers:
                add_to_universe(lake, workspace, settings, lambda _: None, tickers=tickers)
            market.stop_clock(evening(day))
            refresh_bars(lake, workspace, settings, lambda _: None, request=Request())

    return run


def weekdays(begin: date, end: date) -> list[date]:
    days = [begin + timedelta(days=count) for count in range((end - begin).days + 1)]
    return [day for day in days if day.weekday() < 5]


def adjusted(share: Share, end: date) -> dict[date, float]:
    """Return adjusted closes computed bar by bar, by the multipliers of the Center for Research in Security Prices."""
    closes = share.bars(end).select("date", "close").rows()
    factor, found = 1.0, {}
    for place in range(len(closes) - 1, -1, -1):
        day, close = closes[place]
        found[day] = close * factor
        if place:
            before = closes[place - 1][1]
            factor *= (1 - share.dividends.get(day, 0.0) / before) / share.splits.get(day, 1.0)
    return found


@pytest.mark.parametrize("step", [pytest.param(600, id="some"), pytest.param(7, id="many", marks=pytest.mark.slow)])
def test_ten_years_of_nights_equal_one_fetch(
    tmp_path: Path, vendor: Market, refresh: Callable[..., None], contents: Contents, step: int
) -> None:
    begin, end = date(2010, 1, 4), date(2019, 12, 31)
    days = weekdays(begin, end)
    dividends = {days[30 + 64 * number]: 0.1 + 0.01 * number for number in range(40)}
    splits = {days[500]: 2.0, days[1000]: 1.5, days[1502]: 0.1, days[2200]: 4.0}
    share = Share("IBM", begin=begin, dividends=dividends, splits=splits)
    vendor.shares["IBM"] = share
    by_night, at_once = tmp_path / "nights", tmp_path / "once"
    # Each action is news on a night of its own, and some are fetched days after.
    nights = {*days[250::step], *splits, end, *list(dividends)[:: 1 if step == 7 else 13]}
    tickers: list[str] = ["IBM"]
    for night in sorted(night for night in nights if night >= days[250]):
        refresh(by_night, night, tickers)
        tickers = []
    refresh(at_once, end, ["IBM"])
    expected = adjusted(share, end)
    for folder in (by_night, at_once):
        bars = contents(folder, "bars")["bars"]
        found = {row["date"]: row["close"] * row["adj_factor"] for row in bars.iter_rows(named=True)}
        assert found == pytest.approx(expected, rel=1e-9)
    assert contents(by_night, "restatements")["restatements"].is_empty()


@pytest.mark.parametrize(
    ("seed", "nights"), [(1, 10), *(pytest.param(seed, 40, marks=pytest.mark.slow) for seed in range(2, 8))]
)
def test_nights_with_all_that_happens_come_to_what_checking_everything_at_once_does(
    tmp_path: Path,
    vendor: Market,
    refresh: Callable[..., None],
    contents: Contents,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    nights: int,
) -> None:
    """Jumps, splits told and untold, halts, corrected and late bars, failures: the window is as good as the history."""
    chance = random.Random(seed)  # noqa: S311 - seeded
    begin = date(2023, 1, 2)
    days = weekdays(begin, date(2024, 2, 29))
    tickers = [f"T{number:02d}" for number in range(24)]
    for number, ticker in enumerate(tickers):
        vendor.shares[ticker] = Eventful(ticker, begin, number, days[-nights:], chance)
    looked: list[int] = []
    count_windows(monkeypatch, looked)
    folder = tmp_path / "nights"
    for place, night in enumerate(days[-nights:]):
        vendor.failures = {ticker: FailureReason.UNREACHABLE for ticker in tickers if chance.random() < 0.1}
        refresh(folder, night, tickers if place == 0 else ())
    vendor.failures = {}
    refresh(folder, days[-1] + timedelta(days=1))
    assert sum(looked) > nights * len(tickers) / 2  # most were checked without their history
    in_nights = contents(folder, *DERIVED, "reconciliation")
    at_once = shutil.copytree(folder, tmp_path / "again")
    monkeypatch.setattr("pm.pipeline.runner.code_hash", lambda *_: "another code")
    refresh(at_once, days[-1] + timedelta(days=3))
    again = contents(at_once, *DERIVED, "reconciliation")
    assert in_nights["bar_flags"].height > 10
    assert in_nights["bars"].height > 24 * 250
    for name in DERIVED:
        # Of equal rows of two nights, a dividend between them decides which one a bar stands for.
        named = {"row"} & set(again[name].columns)
        found = [frames[name].drop(named).sort(pl.all(), nulls_last=True) for frames in (again, in_nights)]
        assert_frame_equal(*found)


def count_windows(monkeypatch: pytest.MonkeyPatch, looked: list[int]) -> None:
    """Count the tickers that are checked without their history."""
    from pm.pipeline.stages import check

    look = vars(check)["look"]

    def counted(*arguments: Any) -> Any:  # noqa: ANN401 - as `look`
        window = look(*arguments)
        looked.append(0 if window is None else len(window.tickers))
        return window

    monkeypatch.setattr(check, "look", counted)


def _changed(name: str, when: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(when).then(value).otherwise(pl.col(name)).alias(name)


class Eventful(Share):
    """A share to whose bars something happens."""

    def __init__(self, name: str, begin: date, number: int, late: list[date], chance: random.Random) -> None:
        dividends = {chance.choice(late): 0.5} if number % 4 == 0 else {}
        splits = {chance.choice(late): 2.0} if number % 6 == 1 else {}
        super().__init__(name, begin=begin, dividends=dividends, splits=splits)
        object.__setattr__(self, "days", {kind: chance.choice(late[3:-3]) for kind in ("halt", "jump", "wrong", "bad")})
        object.__setattr__(self, "number", number)

    def bars(self, end: date) -> pl.DataFrame:
        days: dict[str, date] = self.days  # type: ignore[attr-defined]
        number: int = self.number  # type: ignore[attr-defined]
        bars = super().bars(end)
        prices = ("open", "high", "low", "close")
        if number % 5 == 2:  # the price stands still for a fortnight
            halted = pl.col("date").is_between(days["halt"], days["halt"] + timedelta(days=14))
            price = bars.filter(pl.col("date") < days["halt"])["close"].tail(1)
            if len(price):
                bars = bars.with_columns(
                    pl.when(halted).then(price.item()).otherwise(pl.col(name)).alias(name) for name in prices
                )
        if number % 5 == 3:  # it jumps, or splits untold
            factor = 2.0 if number % 2 else 0.5
            after = pl.col("date") >= days["jump"]
            bars = bars.with_columns(
                pl.when(after).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name) for name in prices
            )
        if number % 5 == 4 and end < days["wrong"] + timedelta(days=5):  # a close that is corrected some days later
            wrong = pl.col("date") == days["wrong"]
            bars = bars.with_columns(close=pl.when(wrong).then(pl.col("close") * 1.002).otherwise("close"))
        if number % 3 == 0:  # the newest bar's volume is completed a day later
            bars = bars.with_columns(volume=pl.when(pl.col("date") == end).then(1.0).otherwise("volume"))
        if number % 7 == 5:  # a row that is refused
            bad = pl.col("date") == days["bad"]
            bars = bars.with_columns(close=pl.when(bad).then(-1.0).otherwise("close"))
        if number % 7 == 6:  # a day that comes late
            bars = bars.filter((pl.col("date") != days["bad"]) | (pl.lit(end) > days["bad"] + timedelta(days=3)))
        return bars
