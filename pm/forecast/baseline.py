"""A benchmark of the forecast distributions: GARCH(1,1) with filtered historical simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.prices import log_returns
from pm.tables.forecast import FORECASTS
from pm.tables.quantiles import QUANTILES, quantile_column

if TYPE_CHECKING:
    from pm.settings import VolatilitySettings

__all__ = ["GARCH_HS", "garch_forecasts"]

GARCH_HS = "garch_hs"
"""Name of the benchmark in column `model` of table `forecasts`."""

_WINDOW = 1000
"""Number of newest returns that GARCH is fitted to."""


def garch_forecasts(prices: pl.DataFrame, martingales: pl.DataFrame, *, settings: VolatilitySettings) -> pl.DataFrame:
    """Return forecasts of no change whose distribution is that of one GARCH(1,1) model with normal likelihood.

    It is what `fit_volatility` computes for a pool of this one model, of one window, without correction by past
    outcomes: what the pool and the correction are worth is the difference from it. A ticker that GARCH cannot be fitted
    to has exponentially weighted volatility, as in the pool.

    Parameters
    ----------
    prices
        Columns ticker, date, close, adj_factor, up to the day of the run.
    martingales
        Rows of table `forecasts` of model 'martingale': the tickers and steps to forecast.
    settings
        Section `volatility`.

    References
    ----------
    Barone-Adesi, Giannopoulos and Vosper (1999), VaR without correlations for portfolios of derivative securities,
    J. Futures Markets 19.
    """
    from pm.volatility import fit_volatility

    single = settings.model_copy(update={"models": ["garch"], "windows": [_WINDOW], "calibration_sessions": 0})
    horizon = int(martingales["step"].max() or 1)  # type: ignore[arg-type]
    paths = fit_volatility(log_returns(prices), settings=single, horizon=horizon).paths
    levels = [(quantile_column("q", level), quantile_column("r", level)) for level in QUANTILES]
    return (
        martingales.join(
            paths.select("ticker", "origin_date", "step", "cumulative_sigma", *(name for _, name in levels)),
            on=["ticker", "origin_date", "step"],
        )
        .with_columns(
            pl.lit(GARCH_HS).alias("model"),
            pl.col("cumulative_sigma").alias("sigma"),
            *((pl.col("origin_close") * pl.col(r).exp()).alias(q) for q, r in levels),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in FORECASTS.unstamped_schema.items())
        .sort("ticker", "step")
    )
