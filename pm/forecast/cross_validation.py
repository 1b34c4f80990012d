"""Rolling-origin cross-validation: where to forecast from, and how wrong each model was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from pm.forecast.base import Panel
    from pm.settings import ForecastSettings

__all__ = ["bars_needed", "outcomes", "rolling_origins", "score"]

TRAINING_BARS = 60
"""Bars up to the first origin, at least: a quarter."""

MIN_ORIGINS = 2


def bars_needed(settings: ForecastSettings) -> int:
    """Count the bars below which a ticker cannot be cross-validated: those of the fit, and two windows after it."""
    return TRAINING_BARS + settings.horizon + (MIN_ORIGINS - 1) * settings.origin_step


def rolling_origins(panel: Panel, settings: ForecastSettings) -> pl.DataFrame:
    """Give each ticker's origins, columns ticker and origin_date, oldest first.

    There are `settings.origins` of them, `settings.origin_step` of the ticker's own sessions apart, such that the last
    one's horizon ends on its last bar. A short history has fewer, so that TRAINING_BARS are left before the first; one
    too short for two has none.
    """
    bars = pl.len().over("ticker").cast(pl.Int64)
    last_origin = bars - 1 - settings.horizon
    behind = last_origin - pl.col("bar")
    fitting = (last_origin - (TRAINING_BARS - 1)) // settings.origin_step + 1
    origins = panel.bars.with_columns(behind=behind, bars=bars, fitting=fitting).filter(
        pl.col("bars") >= bars_needed(settings),
        pl.col("behind") >= 0,
        pl.col("behind") % settings.origin_step == 0,
        pl.col("behind") // settings.origin_step < pl.min_horizontal("fitting", pl.lit(settings.origins)),
    )
    return origins.select("ticker", pl.col("date").alias("origin_date"))


def outcomes(panel: Panel, origins: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Give what came after each origin: columns ticker, origin_date, step, target_date, actual (log price)."""
    later = panel.bars.select("ticker", "bar", pl.col("date").alias("target_date"), pl.col("log_price").alias("actual"))
    return (
        panel.at(origins)
        .select("ticker", "origin_date", "bar")
        .join(pl.DataFrame({"step": pl.int_range(1, horizon + 1, eager=True)}), how="cross")
        .with_columns(pl.col("bar") + pl.col("step"))
        .join(later, on=["ticker", "bar"])
        .drop("bar")
    )


def score(forecasts: pl.DataFrame, actual: pl.DataFrame) -> pl.DataFrame:
    """Give each model's out-of-sample errors on each ticker.

    Parameters
    ----------
    forecasts
        Columns ticker, model, origin_date, step, mean.
    actual
        From `outcomes`. The two are joined by ticker, origin date and step.

    Returns
    -------
    Columns ticker, model, rmse, mae, loss, origins, first_origin, last_target. `loss` is the mean of the squared
    errors, each divided by its step: errors of a random walk have a variance proportional to the step, so that this
    puts all steps on one footing where the plain mean would be decided by the last few. (Dividing by the naive
    forecast's own errors of that step would do the same with eight noisy numbers.)
    """
    joined = (
        actual.join(forecasts, on=["ticker", "origin_date", "step"])
        .with_columns(error=pl.col("mean") - pl.col("actual"))
        .sort("ticker", "model", "origin_date", "step")
    )
    rows = []
    # By numpy, a ticker and model at a time: the order of a sum must not depend on who else is in the chunk.
    for (ticker, model), group in joined.partition_by("ticker", "model", as_dict=True).items():
        error = group["error"].to_numpy()
        rows.append(
            {
                "ticker": ticker,
                "model": model,
                "rmse": float(np.sqrt(np.mean(error**2))),
                "mae": float(np.mean(np.abs(error))),
                "loss": float(np.mean(error**2 / group["step"].to_numpy())),
                "origins": group["origin_date"].n_unique(),
                "first_origin": group["origin_date"].min(),
                "last_target": group["target_date"].max(),
            }
        )
    schema = {
        "ticker": pl.String,
        "model": pl.String,
        "rmse": pl.Float64,
        "mae": pl.Float64,
        "loss": pl.Float64,
        "origins": pl.Int64,
        "first_origin": pl.Date,
        "last_target": pl.Date,
    }
    return pl.DataFrame(rows, schema=schema)
