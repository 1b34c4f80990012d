"""Make forecasts of known distributions, with the columns of the lake's tables."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from scipy.stats import norm

from pm.settings import SignalSettings, load_settings
from pm.tables.forecast import FORECASTS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ORIGIN = date(2013, 3, 1)
STAMP = {"run_id": "run", "snapshot_id": 11, "cutoff": ORIGIN}


@pytest.fixture
def settings() -> SignalSettings:
    return load_settings().signals


@pytest.fixture
def lognormal() -> Callable[..., tuple[pl.DataFrame, pl.DataFrame]]:
    """Return a function that makes forecasts and volatility of tickers, each with its normal (mean, sigma) of the log
    return over 20 sessions.
    """

    def make(tickers: Mapping[str, tuple[float, float]], *, close: float = 100.0) -> tuple[pl.DataFrame, pl.DataFrame]:
        forecasts: list[dict[str, Any]] = []
        volatility: list[dict[str, Any]] = []
        for ticker, (mean, sigma) in tickers.items():
            for step in (1, 10, 20):
                m, s = mean * step / 20, sigma * math.sqrt(step / 20)
                at = STAMP | {"ticker": ticker, "step": step, "origin_date": ORIGIN}
                quantiles = {
                    quantile_column("q", level): close * math.exp(m + s * norm.ppf(level)) for level in QUANTILES
                }
                forecasts.append(
                    at
                    | {"model": "ensemble", "target_date": ORIGIN + timedelta(days=step), "origin_close": close}
                    | {"mean_log_return": m, "sigma": s, "mean": close * math.exp(m)}
                    | quantiles
                )
                volatility.append(at | {"model": "garch_pool", "sigma": sigma / math.sqrt(20), "cumulative_sigma": s})
        return (
            pl.DataFrame(forecasts, schema=FORECASTS.polars_schema),
            pl.DataFrame(volatility, schema=VOLATILITY.polars_schema),
        )

    return make
