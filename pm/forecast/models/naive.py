"""Martingale: the expected log price is the last one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.forecast.base import MEANS_SCHEMA, Forecasts

if TYPE_CHECKING:
    from pm.forecast.base import Panel

__all__ = ["NaiveForecaster"]


@dataclass(frozen=True)
class NaiveForecaster:
    """No change: E y[T+k] = y[T]. The benchmark of all other models.

    The minimum of 21 bars is that of the volatility room, whose distribution its forecasts need.
    """

    name: str = "naive"
    min_observations: int = 21

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Return the log price at the origin for every step; see `Forecaster.forecast`."""
        means = (
            panel.bars_at(origins)
            .join(pl.DataFrame({"step": pl.int_range(1, horizon + 1, eager=True)}), how="cross")
            .select("ticker", "origin_date", "step", pl.col("log_price").alias("mean"))
        )
        return Forecasts(means.cast(MEANS_SCHEMA))
