from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pm.quality import adjustment_factors, classify, differing, find_rebasings
from pm.tables.quality import BARS, REBASINGS
from pm.tables.sources import RAW_ACTIONS, RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Sequence

FETCHED = datetime(2020, 6, 1)  # noqa: DTZ001 - the lake's times are UTC without a zone
DAYS = [date(2020, 1, 1) + timedelta(days=n) for n in range(60)]
LENGTH = len(DAYS)


@dataclass
class World:
    """Closes as traded, with dividends and splits, and what a vendor says about them on any day."""

    dividends: dict[int, float] = field(default_factory=dict)
    splits: dict[int, float] = field(default_factory=dict)
    sigma: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)  # noqa: S311 - seeded, so that a failure can be repeated
        self.returns = [1.0, *(math.exp(chance.gauss(0, self.sigma)) for _ in range(LENGTH - 1))]
        self.closes = [80.0]
        for n in range(1, LENGTH):
            ex_dividend = self.closes[-1] * (1 - self.dividends.get(n, 0.0))
            self.closes.append(ex_dividend * self.returns[n] / self.splits.get(n, 1.0))

    def window(self, first: int, last: int, *, decimals: int = 6, adjusted: str = "adj_close") -> list[dict[str, Any]]:
        """Return the bars from `first` to `last`, as downloaded on the last day: closes are adjusted for splits."""
        rows = []
        for n in range(first, last + 1):
            split = math.prod(ratio for day, ratio in self.splits.items() if n < day <= last)
            dividend = math.prod(1 - share for day, share in self.dividends.items() if n < day <= last)
            close = self.closes[n] / split
            prices: dict[str, float | None] = {"close": close, "adj_close": close * dividend}
            if adjusted == "close":
                prices = {"close": close * dividend, "adj_close": None}
            rows.append(
                {"ticker": "A", "date": DAYS[n], "volume": 100.0}
                | {name: value and round(value, decimals) for name, value in prices.items()}
            )
        return rows


@dataclass
class Shelf:
    """Bars as the lake keeps them, one delivery or several at a time."""

    bars: pl.DataFrame = field(default_factory=BARS.polars_schema.to_frame)
    raw: pl.DataFrame = field(default_factory=RAW_BARS.polars_schema.to_frame)
    rebasings: pl.DataFrame = field(default_factory=REBASINGS.polars_schema.to_frame)

    def take(self, deliveries: pl.DataFrame) -> None:
        known = self.bars.join(self.raw.select("batch_id", "row", "adj_close"), on=["batch_id", "row"])
        found = find_rebasings(deliveries, known, self.rebasings)
        suspects = differing(deliveries, self.bars, self.rebasings)
        assert set(found["ticker"]) <= set(suspects)
        columns = found.columns
        self.rebasings = pl.concat(
            [self.rebasings.select(columns).join(found, on=["ticker", "batch_id"], how="anti"), found]
        )
        self.raw = pl.concat([self.raw, deliveries])
        past = known.join(deliveries, on=["ticker", "date"], how="anti").select(self.raw.columns)
        every = adjustment_factors(pl.concat([deliveries, past]), RAW_ACTIONS.polars_schema.to_frame(), self.rebasings)
        good = every.join(deliveries, on=["batch_id", "row"], how="semi")
        changed = classify(good, self.bars, self.rebasings)
        fresh = pl.concat([changed.inserted, changed.updated])
        kept = self.bars.join(fresh, on=["ticker", "date"], how="anti").drop("adj_factor")
        again = kept.join(every.select("batch_id", "row", "adj_factor"), on=["batch_id", "row"], how="left").join(
            self.bars.select("ticker", "date", before="adj_factor"), on=["ticker", "date"]
        )
        settled = again.with_columns(pl.coalesce("adj_factor", "before").alias("adj_factor")).select(fresh.columns)
        self.bars = pl.concat([settled, fresh]).sort("date")

    def returns(self) -> list[float]:
        adjusted = self.bars.select(pl.col("close") * pl.col("adj_factor")).to_series()
        return (adjusted / adjusted.shift(1)).drop_nulls().to_list()

    def evidence(self) -> list[str]:
        return self.rebasings.sort("fetched_at")["evidence"].to_list()


def delivered(*windows: Sequence[dict[str, Any]]) -> list[pl.DataFrame]:
    """Return windows as deliveries, one after another."""
    return [
        pl.DataFrame(
            [
                {"source": "t", "fetched_at": FETCHED + timedelta(days=n), "batch_id": f"b{n:02}", "row": place, **row}
                for place, row in enumerate(rows, 1)
            ],
            schema=RAW_BARS.polars_schema,
        )
        for n, rows in enumerate(windows)
    ]


def shelved(*windows: Sequence[dict[str, Any]], at_once: bool = False) -> Shelf:
    shelf = Shelf()
    deliveries = delivered(*windows)
    for delivery in [pl.concat(deliveries)] if at_once else deliveries:
        shelf.take(delivery)
    return shelf


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("adjusted", ["adj_close", "close"])
@pytest.mark.parametrize("overlap", [2, 10])
@pytest.mark.parametrize(
    "world",
    [
        World(dividends={45: 0.08}),
        World(dividends={45: 0.002}),
        World(splits={45: 2.0}),
        World(splits={45: 0.1}),
        World(splits={46: 1.25}, dividends={44: 0.01, 50: 0.01}),
        World(splits={45: 4.0}, dividends={45: 0.02}),
        World(),
    ],
)
def test_nightly_windows_come_to_the_true_returns(world: World, overlap: int, adjusted: str, *, at_once: bool) -> None:
    windows = [world.window(0, 40, adjusted=adjusted)]
    windows += [world.window(last - overlap, last, adjusted=adjusted) for last in range(41, LENGTH)]
    assert shelved(*windows, at_once=at_once).returns() == pytest.approx(world.returns[1:], rel=1e-6)


def test_one_common_day_is_enough_if_its_close_or_its_whole_bar_tells() -> None:
    dividend = World(dividends={45: 0.01})
    shelf = shelved(dividend.window(0, 44), dividend.window(44, 59))
    assert shelf.returns() == pytest.approx(dividend.returns[1:], rel=1e-6)
    split = World(splits={45: 1.5})
    windows = [
        [row | {name: row["close"] * scale for name, scale in (("open", 1.01), ("high", 1.02), ("low", 0.99))}
         for row in window]
        for window in (split.window(0, 44), split.window(44, 59))
    ]  # fmt: skip
    assert shelved(*windows).returns() == pytest.approx(split.returns[1:], rel=1e-6)


def test_a_corrected_last_day_is_no_new_basis() -> None:
    world = World(dividends={45: 0.03})
    live = world.window(0, 44)
    live[-1] = live[-1] | {name: live[-1][name] * 1.013 for name in ("close", "adj_close")}
    # only the day that had not ended is common: its close was corrected, and its factor tells the dividend
    assert shelved(live, world.window(44, 59)).returns() == pytest.approx(world.returns[1:], rel=1e-6)
    plain = World()
    live = plain.window(0, 44, adjusted="close")
    live[-1] = live[-1] | {"close": live[-1]["close"] * 1.013}
    shelf = shelved(live, plain.window(44, 59, adjusted="close"))
    assert shelf.returns() == pytest.approx(plain.returns[1:], rel=1e-6)
    assert shelf.evidence() == []


def test_bars_in_a_wrong_unit_that_are_corrected_are_no_new_basis() -> None:
    world = World()
    pence = [row | {"close": row["close"] * (100 if n >= 30 else 1)} for n, row in enumerate(world.window(0, 50))]
    pence = [row | {"adj_close": None} for row in pence]
    shelf = shelved(pence, [row | {"adj_close": None} for row in world.window(30, 50)])
    assert shelf.returns() == pytest.approx(world.returns[1:51], rel=1e-6)
    middle = [row | {"close": row["close"] * (100 if 20 <= n < 30 else 1), "adj_close": None}
              for n, row in enumerate(world.window(0, 50))]  # fmt: skip
    shelf = shelved(middle, [row | {"adj_close": None} for row in world.window(20, 29, adjusted="close")])
    assert shelf.returns() == pytest.approx(world.returns[1:51], rel=1e-6)


def test_where_no_day_is_common_the_break_is_noted_until_a_delivery_reaches_over_it() -> None:
    world = World(dividends={45: 0.08})
    apart = shelved(world.window(0, 44), world.window(45, 50))
    assert apart.evidence() == ["none"]
    assert apart.rebasings.select("date", "ratio").row(0) == (DAYS[45], 1.0)
    over = shelved(world.window(0, 44), world.window(45, 50), world.window(40, 59))
    assert over.returns() == pytest.approx(world.returns[1:], rel=1e-6)
    assert over.evidence() == ["settled", "overlap"]


def test_a_factor_that_the_later_delivery_starts_with_is_carried_back_to_one_that_ended_at_1() -> None:
    world = World(dividends={50: 0.05})
    assert shelved(world.window(0, 44), world.window(45, 59)).returns() == pytest.approx(world.returns[1:], rel=1e-6)


def test_pieces_of_one_download_are_not_joined_anew_nor_noted() -> None:
    world = World(dividends={20: 0.05, 50: 0.05})
    whole = world.window(0, 59)
    shelf = shelved(whole[30:45], whole[:30], whole[45:], at_once=False)
    assert shelf.returns() == pytest.approx(world.returns[1:], rel=1e-6)
    assert set(shelf.evidence()) <= {"none"}
    assert (shelf.rebasings["ratio"] == 1).all()


def test_an_older_window_that_comes_later_is_brought_to_the_newer_basis() -> None:
    world = World(dividends={25: 0.04, 45: 0.08}, splits={50: 3.0})
    shelf = shelved(world.window(20, 59), world.window(0, 30))
    assert shelf.returns() == pytest.approx(world.returns[1:], rel=1e-6)
    assert shelf.bars["adj_factor"][-1] == 1.0


def test_an_adjusted_close_that_no_earlier_file_has() -> None:
    world = World(dividends={45: 0.08})
    plain = [row | {"adj_close": None} for row in world.window(0, 44)]
    shelf = shelved(plain, world.window(40, 59))
    assert shelf.returns() == pytest.approx(world.returns[1:], rel=1e-6)
    world = World(splits={45: 2.0}, dividends={50: 0.01})
    plain = [row | {"adj_close": None} for row in world.window(0, 44)]
    assert shelved(plain, world.window(40, 59)).returns() == pytest.approx(world.returns[1:], rel=1e-6)


def test_common_days_that_contradict_each_other_are_noted() -> None:
    world = World()
    chance = random.Random(1)  # noqa: S311 - seeded, so that a failure can be repeated
    odd = [row | {"adj_close": row["adj_close"] * chance.uniform(0.5, 0.9)} for row in world.window(40, 59)]
    assert shelved(world.window(0, 49), odd).evidence() == ["unclear"]


moves = st.dictionaries(st.integers(1, LENGTH - 1), st.floats(0.001, 0.3), max_size=3)
ratios = st.dictionaries(
    st.integers(1, LENGTH - 1), st.sampled_from([2.0, 3.0, 1.5, 1.25, 1.1, 0.5, 0.1, 7.0]), max_size=2
)
nights = st.lists(st.tuples(st.integers(1, 8), st.integers(2, 20)), min_size=1, max_size=5)


@given(moves, ratios, nights, st.integers(0, 99), st.sampled_from(["adj_close", "close"]))
@example({9: 0.1}, {9: 2.0}, [(1, 2), (8, 2), (1, 20)], 0, "close")
@hypothesis_settings(deadline=None, max_examples=60)
def test_any_windows_with_common_days_come_to_the_true_returns(
    dividends: dict[int, float],
    splits: dict[int, float],
    steps: list[tuple[int, int]],
    seed: int,
    adjusted: str,
) -> None:
    world = World(dividends, splits, seed=seed)
    last = 19
    windows = [world.window(0, last, adjusted=adjusted)]
    for ahead, back in steps:
        last = min(last + ahead, LENGTH - 1)
        windows.append(world.window(max(0, last - ahead - back + 1), last, adjusted=adjusted))
    in_parts, at_once = shelved(*windows), shelved(*windows, at_once=True)
    assert in_parts.returns() == pytest.approx(world.returns[1 : last + 1], rel=2e-6)
    assert_frame_equal(in_parts.bars, at_once.bars)
    assert_frame_equal(in_parts.rebasings, at_once.rebasings, check_row_order=False)
