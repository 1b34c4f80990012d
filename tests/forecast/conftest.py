from __future__ import annotations

import gzip
from datetime import date, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import settings as hypothesis_settings
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from pm.forecast.base import Panel
from pm.settings import ForecastSettings
from pm.tables.quantiles import QUANTILES, quantile_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


# No time limit for an example: on a busy machine a fast one can take long.
hypothesis_settings.register_profile("no deadline", deadline=None)
hypothesis_settings.load_profile("no deadline")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread, as workers do: for small matrices on a busy machine, two take ten times as long."""
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="session")
def settings() -> ForecastSettings:
    return ForecastSettings(
        horizon=10,
        window=500,
        models=["naive", "drift", "theta"],
        origins=4,
        origin_step=10,
        arima_features=[],
        group_correlation=0.6,
        group_size=8,
        max_age_days=10,
    )


@pytest.fixture(scope="session")
def sample_prices() -> pl.DataFrame:
    """Prices of the sample's five tickers with their adjustment factors: FB has 196 bars, the others have thousands."""
    packed = (files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes()
    return (
        pl.read_csv(gzip.decompress(packed), try_parse_dates=True)
        .select(
            ticker="Ticker",
            date="Date",
            close=pl.col("Close").cast(pl.Float64),
            adj_factor=pl.col("Adj Close") / pl.col("Close"),
        )
        .sort("ticker", "date")
    )


@pytest.fixture(scope="session")
def walk() -> Callable[..., pl.DataFrame]:
    """Build prices of a geometric random walk on consecutive days up to 2020-12-31."""

    def build(ticker: str, bars: int, *, seed: int, sigma: float = 0.02) -> pl.DataFrame:
        close = 50 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, sigma, bars)))
        dates = [date(2020, 12, 31) - timedelta(days=bars - 1 - i) for i in range(bars)]
        return pl.DataFrame({"ticker": ticker, "date": dates, "close": close, "adj_factor": 1.0})

    return build


@pytest.fixture(scope="session")
def as_panel() -> Callable[..., Panel]:
    """Build a panel from log prices; the i-th ticker has a bar on every i-th day."""

    def build(series: dict[str, NDArray[np.float64]]) -> Panel:
        parts = [
            pl.DataFrame(
                {
                    "ticker": ticker,
                    "date": [date(2010, 1, 1) + timedelta(days=interval * bar) for bar in range(len(values))],
                    "bar": np.arange(len(values)),
                    "log_price": values,
                }
            )
            for interval, (ticker, values) in enumerate(series.items(), start=1)
        ]
        return Panel(pl.concat(parts).sort("ticker", "date"))

    return build


@pytest.fixture(scope="session")
def flat_volatility() -> Callable[..., pl.DataFrame]:
    """Build volatility paths of a normal random walk from each ticker's last bar."""

    def build(prices: pl.DataFrame, horizon: int, *, sigma: float = 0.02) -> pl.DataFrame:
        last = prices.group_by("ticker", maintain_order=True).agg(pl.col("date").max().alias("origin_date"))
        cumulative_sigma = (pl.col("step").sqrt() * sigma).alias("cumulative_sigma")
        return last.join(pl.DataFrame({"step": range(1, horizon + 1)}), how="cross").with_columns(
            cumulative_sigma,
            pl.lit("middle").alias("regime"),
            *((pl.col("step").sqrt() * sigma * norm.ppf(p)).alias(quantile_column("r", p)) for p in QUANTILES),
        )

    return build


@pytest.fixture(scope="session")
def next_days() -> Callable[..., pl.DataFrame]:
    """Build the sessions to forecast: the days after each ticker's last bar."""

    def build(prices: pl.DataFrame, horizon: int) -> pl.DataFrame:
        last = prices.group_by("ticker", maintain_order=True).agg(pl.col("date").max())
        return last.join(pl.DataFrame({"step": range(1, horizon + 1)}), how="cross").select(
            "ticker", "step", target_date=pl.col("date") + pl.duration(days="step")
        )

    return build
