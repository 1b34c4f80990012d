from __future__ import annotations

import math
from datetime import date, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t

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
        panel_sessions=1500,
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
    """A function that simulates GARCH(1,1) returns one after the other, from the definition."""

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
    """A function that makes the frame of `pm.features` from series of returns: first a null, then the returns."""

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


@pytest.fixture(scope="session")
def fat_tailed() -> Callable[..., NDArray[np.float64]]:
    """A function that draws Student t returns of 5 degrees of freedom and unit sample variance."""

    def draw(seed: int, length: int = 400) -> NDArray[np.float64]:
        returns = np.random.default_rng(seed).standard_t(5, length)
        return np.asarray(returns / returns.std())

    return draw


def _variances_one_by_one(returns: NDArray[np.float64], theta: NDArray[np.float64], centre: float) -> list[float]:
    mu, omega, alpha, gamma, beta, _ = theta
    weights = [0.94**age for age in range(min(75, len(returns)))]
    backcast = sum(w * (r - centre) ** 2 for w, r in zip(weights, returns, strict=False)) / sum(weights)
    h = [omega + (alpha + gamma / 2 + beta) * backcast]
    for value in returns:
        shock = value - mu
        h.append(omega + (alpha + (gamma if shock < 0 else 0)) * shock**2 + beta * h[-1])
    return h


@pytest.fixture(scope="session")
def variances_one_by_one() -> Callable[[NDArray[np.float64], NDArray[np.float64], float], list[float]]:
    """A function that computes the conditional variances from their definition.

    Its last argument is the mean that the squared returns of the starting value are taken about.
    """
    return _variances_one_by_one


@pytest.fixture(scope="session")
def log_densities() -> Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]:
    """A function that computes the log-density of each return by scipy, from the definition of the variances."""

    def compute(returns: NDArray[np.float64], theta: NDArray[np.float64]) -> NDArray[np.float64]:
        h = np.array(_variances_one_by_one(returns, theta, float(returns.mean())))[:-1]
        shocks, nu = returns - theta[0], float(theta[5])
        if math.isinf(nu):
            return np.asarray(norm.logpdf(shocks, scale=np.sqrt(h)))
        return np.asarray(student_t.logpdf(shocks, nu, scale=np.sqrt(h * (nu - 2) / nu)))

    return compute
