from __future__ import annotations

from datetime import date, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_series_equal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Prices = Sequence[float | None] | NDArray[np.float64]


@pytest.fixture(scope="session")
def assert_near() -> Callable[..., None]:
    """Compare a feature with a list, null for None, to the tolerance asked for and no other."""

    def compare(result: pl.Series, expected: list[float | None], *, rel: float = 0, within: float = 0) -> None:
        reference = pl.Series(expected, dtype=pl.Float64)
        assert_series_equal(result, reference, rel_tol=rel, abs_tol=within, check_names=False)

    return compare


@pytest.fixture(scope="session")
def sample_bars() -> pl.DataFrame:
    """Daily bars of five tickers, as traded, with the factor that adjusts them for splits and dividends."""
    content = (files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes()
    return (
        pl.read_csv(content, try_parse_dates=True)
        .rename(str.lower)
        .with_columns(adj_factor=pl.col("adj close") / pl.col("close"), volume=pl.col("volume").cast(pl.Float64))
        .drop("adj close")
        .sort("ticker", "date")
    )


@pytest.fixture(scope="session")
def make_bars() -> Callable[..., pl.DataFrame]:
    """Bars of one ticker on successive days; open, high and low default to the close."""

    def make(close: Prices, /, *, ticker: str = "A", **others: Prices | float) -> pl.DataFrame:
        size = len(close)
        values = {"open": close, "high": close, "low": close, "close": close, "volume": 1000.0, "adj_factor": 1.0}
        columns = {
            name: pl.Series(name, [value] * size if isinstance(value, float) else value, dtype=pl.Float64)
            for name, value in (values | others).items()
        }
        days = pl.Series("date", [date(2020, 1, 1) + timedelta(days=day) for day in range(size)], dtype=pl.Date)
        return pl.DataFrame({"ticker": pl.repeat(ticker, size, eager=True, dtype=pl.String), "date": days, **columns})

    return make


@pytest.fixture(scope="session")
def simulated_bars(make_bars: Callable[..., pl.DataFrame]) -> Callable[..., pl.DataFrame]:
    """Consistent OHLCV bars of one ticker from a seeded random walk, open gaps included."""

    def simulate(size: int, *, seed: int = 0, ticker: str = "A") -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        gap, move = rng.normal(0, 0.01, size), rng.normal(0, 0.02, size)
        log_close = np.log(50) + np.cumsum(gap + move)
        log_open = log_close - move
        reach = np.abs(rng.normal(0, 0.01, (2, size)))
        high, low = np.maximum(log_open, log_close) + reach[0], np.minimum(log_open, log_close) - reach[1]
        return make_bars(
            np.exp(log_close),
            ticker=ticker,
            open=np.exp(log_open),
            high=np.exp(high),
            low=np.exp(low),
            volume=rng.lognormal(12, 0.5, size),
        )

    return simulate
