"""Benchmarks of the forecast distributions: GARCH(1,1) with filtered historical simulation, and each member alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.prices import log_returns
from pm.tables.forecast import FORECASTS
from pm.tables.quantiles import QUANTILES, quantile_column

if TYPE_CHECKING:
    from pm.settings import VolatilitySettings

__all__ = ["GARCH_HS", "garch_forecasts", "member_forecasts"]

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
    return _no_change(martingales, paths.with_columns(model=pl.lit(GARCH_HS)))


def member_forecasts(martingales: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Return forecasts of no change with the distribution of each member of the combined volatility alone.

    What the combination is worth is the difference of model 'naive', which has its distribution, from them.

    Parameters
    ----------
    martingales
        Rows of table `forecasts` of model 'martingale': the tickers and steps to forecast.
    members
        Rows of table `volatility_members`.
    """
    return _no_change(martingales, members.rename({"member": "model"}))


def _no_change(martingales: pl.DataFrame, distributions: pl.DataFrame) -> pl.DataFrame:
    """Return forecasts of no change with distributions of the return.

    Parameters
    ----------
    distributions
        Columns ticker, origin_date, step, model, cumulative_sigma, r025 … r975.
    """
    levels = [(quantile_column("q", level), quantile_column("r", level)) for level in QUANTILES]
    return (
        martingales.drop("model")
        .join(
            distributions.select(
                "ticker", "origin_date", "step", "model", "cumulative_sigma", *(name for _, name in levels)
            ),
            on=["ticker", "origin_date", "step"],
        )
        .with_columns(
            pl.col("cumulative_sigma").alias("sigma"),
            *((pl.col("origin_close") * pl.col(r).exp()).alias(q) for q, r in levels),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in FORECASTS.unstamped_schema.items())
        .sort("ticker", "model", "step")
    )
