from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pm.quality.splits import likely_splits

CLEAN = Path(__file__).with_name("cases") / "splits-unadjusted" / "CLEAN.csv"
FIELDS = ("open", "high", "low", "close", "volume")
PRICES = FIELDS[:4]
SIGMAS = 7.0


@pytest.fixture(scope="module")
def walk() -> pl.DataFrame:
    return pl.read_csv(CLEAN, try_parse_dates=True).rename(str.lower).cast({"volume": pl.Float64})


@pytest.fixture(scope="module")
def stocks(sample: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The sample's bars by ticker, adjusted."""
    factor = pl.col("adj_close") / pl.col("close")
    adjusted = sample.sort("ticker", "date").with_columns(pl.col(PRICES) * factor)
    return {str(ticker): part.select("date", *FIELDS) for (ticker,), part in adjusted.group_by("ticker")}


def split_at(bars: pl.DataFrame, place: int, ratio: float) -> pl.DataFrame:
    """Return bars with a split that is not adjusted for: earlier prices are `ratio` times as high."""
    before = pl.int_range(pl.len()) < place
    scale = pl.when(before).then(ratio).otherwise(1.0)
    return bars.with_columns(pl.col(PRICES) * scale, pl.col("volume") / scale)


def closes_of(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(pl.lit(None, pl.Float64).alias(name) for name in FIELDS if name != "close")


@pytest.mark.parametrize("ratio", [2.0, 1.5, 1.25, 1.1, 1 / 190, 4 / 3, 6 / 5, 7 / 5, 10.0, 0.1, 0.5])
def test_a_split_on_any_of_two_days_is_found_also_from_closes_alone(walk: pl.DataFrame, ratio: float) -> None:
    # A rise of 1% on the second day hides a part of the smallest split.
    for day in (date(2026, 6, 10), date(2026, 3, 2))[: 1 if ratio == 1.1 else 2]:
        place = walk["date"].index_of(day)
        assert place is not None
        for bars in (split_at(walk, place, ratio), closes_of(split_at(walk, place, ratio))):
            ((found, value),) = likely_splits(bars, sigmas=SIGMAS)
            assert found == place
            assert np.log(value) == pytest.approx(np.log(ratio), abs=0.03)
    assert likely_splits(walk, sigmas=SIGMAS) == []


def test_a_split_is_found_on_the_day_itself_and_the_days_after(walk: pl.DataFrame) -> None:
    place = walk["date"].index_of(date(2026, 11, 20))
    assert place is not None
    for after in range(1, 4):
        found = likely_splits(split_at(walk, place, 2.0).head(place + after), sigmas=SIGMAS)
        assert found == [(place, 2.0)]


def test_ordinary_days_of_the_sample_are_seldom_taken_for_splits(stocks: dict[str, pl.DataFrame]) -> None:
    assert [likely_splits(bars, sigmas=SIGMAS) for bars in stocks.values()] == [[]] * 5
    assert sum(len(likely_splits(closes_of(bars), sigmas=SIGMAS)) for bars in stocks.values()) <= 6


@pytest.mark.parametrize(("ratio", "share"), [(1.25, 0.55), (1.5, 0.75), (2.0, 0.75), (4.0, 0.75), (0.1, 0.75)])
def test_most_splits_of_the_sample_are_found(stocks: dict[str, pl.DataFrame], ratio: float, share: float) -> None:
    chance = np.random.default_rng(0)
    places = {ticker: chance.integers(80, bars.height - 1, 12) for ticker, bars in stocks.items()}
    found = [
        int(place) in [bar for bar, _ in likely_splits(split_at(stocks[ticker], int(place), ratio), sigmas=SIGMAS)]
        for ticker, days in places.items()
        for place in days
    ]
    assert np.mean(found) >= share


def test_a_crash_with_trading_or_with_larger_moves_after_it_is_no_split(walk: pl.DataFrame) -> None:
    place = 300
    split = split_at(walk, place, 1.25)
    loud = pl.int_range(pl.len()) == place
    assert (
        likely_splits(split.with_columns(volume=pl.col("volume") * pl.when(loud).then(6).otherwise(1)), sigmas=SIGMAS)
        == []
    )
    wide = split.with_columns(high=pl.col("high") * pl.when(loud).then(1.1).otherwise(1))
    assert likely_splits(wide, sigmas=SIGMAS) == []
    shaken = closes_of(split).with_columns(
        close=pl.col("close") * pl.when(pl.int_range(pl.len()) == place + 1).then(1.07).otherwise(1)
    )
    assert likely_splits(shaken, sigmas=SIGMAS) == []


def test_simulated_returns_without_splits_are_seldom_flagged() -> None:
    chance = np.random.default_rng(7)
    flagged = returns = 0
    for _ in range(12):
        shocks, variance, values = chance.standard_t(4, 2_500) / np.sqrt(2), 1.0, []
        for shock in shocks:
            values.append(0.013 * np.sqrt(variance) * shock)
            variance = 0.03 + 0.08 * variance * shock**2 + 0.89 * variance
        bars = pl.DataFrame({"close": 100 * np.exp(np.cumsum(values))}).with_columns(
            pl.lit(None, pl.Float64).alias(name) for name in FIELDS if name != "close"
        )
        flagged += len(likely_splits(bars, sigmas=SIGMAS))
        returns += bars.height
    assert flagged <= 12  # in 30,000 returns


def test_short_and_odd_series(walk: pl.DataFrame) -> None:
    for bars in (walk.head(0), walk.head(1), walk.head(15), walk.with_columns(close=pl.lit(5.0))):
        assert likely_splits(bars, sigmas=SIGMAS) == []
