from __future__ import annotations

from datetime import date, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.settings import VolatilitySettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@pytest.fixture
def settings() -> VolatilitySettings:
    return VolatilitySettings(
        models=["garch", "gjr", "gjr_t"],
        windows=[500, 1500],
        min_observations=250,
        ewma_lambda=0.94,
        simulations=2000,
        calibration_sessions=200,
        refit_sessions=100,
        calibration_simulations=100,
        conformal_rate=0.005,
        seed=7,
    )


@pytest.fixture(scope="session")
def sp500_percent() -> NDArray[np.float64]:
    """Simple returns of the S&P 500 in percent, 1999 to 2018: the series of the reference values."""
    from arch.data import sp500

    returns = 100 * sp500.load()["Adj Close"].pct_change().dropna()
    return np.ascontiguousarray(returns, dtype=np.float64)


@pytest.fixture(scope="session")
def real_returns() -> dict[str, NDArray[np.float64]]:
    """Log returns of the embedded sample and of arch's two indices."""
    from arch.data import nasdaq, sp500

    sample = pl.read_csv((files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes(), try_parse_dates=True)
    prices = {
        str(ticker): rows.sort("Date")["Adj Close"].to_numpy()
        for (ticker,), rows in sample.partition_by("Ticker", as_dict=True).items()
    }
    for name, index in (("SP500", sp500), ("NASDAQ", nasdaq)):
        prices[name] = index.load()["Adj Close"].to_numpy()
    return {name: np.diff(np.log(levels)) for name, levels in prices.items()}


@pytest.fixture(scope="session")
def simulate_garch() -> Callable[..., NDArray[np.float64]]:
    """Simulate GARCH(1,1) returns one after the other, from the definition."""

    def simulate(
        rng: np.random.Generator, length: int, *, omega: float, alpha: float, beta: float, mu: float = 0.0
    ) -> NDArray[np.float64]:
        variance = omega / (1 - alpha - beta)
        returns = np.empty(length)
        for t in range(length):
            shock = np.sqrt(variance) * rng.standard_normal()
            returns[t] = mu + shock
            variance = omega + alpha * shock**2 + beta * variance
        return returns

    return simulate


@pytest.fixture(scope="session")
def as_frame() -> Callable[..., pl.DataFrame]:
    """Lay series of returns out as the frame that the features room gives: a null first, then the returns."""

    def frame(series: dict[str, NDArray[np.float64]]) -> pl.DataFrame:
        parts = [
            pl.DataFrame(
                {
                    "ticker": ticker,
                    "date": [date(2010, 1, 1) + timedelta(days=day) for day in range(len(values) + 1)],
                    "log_return": [None, *values.tolist()],
                },
                schema={"ticker": pl.String, "date": pl.Date, "log_return": pl.Float64},
            )
            for ticker, values in series.items()
        ]
        return pl.concat(parts)

    return frame
