"""The martingale: tomorrow's expected log price is today's."""

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
    """No change: E y[T+k] = y[T]. What every other model is measured against, and the hardest of them to beat.

    It needs 21 bars only so that there are returns enough for a volatility to put around it.
    """

    name: str = "naive"
    min_observations: int = 21

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Give the log price at the origin for every step; see `Forecaster.forecast`."""
        means = (
            panel.at(origins)
            .join(pl.DataFrame({"step": pl.int_range(1, horizon + 1, eager=True)}), how="cross")
            .select("ticker", "origin_date", "step", pl.col("log_price").alias("mean"))
        )
        return Forecasts(means.cast(MEANS_SCHEMA))
