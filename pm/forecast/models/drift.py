"""Random walk with drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.forecast.base import MEANS_SCHEMA, Forecasts

if TYPE_CHECKING:
    from pm.forecast.base import Panel

__all__ = ["DriftForecaster"]


@dataclass(frozen=True)
class DriftForecaster:
    """The mean log return continues: E y[T+k] = y[T] + k·(y[T] − y[0])/T, over all bars of the window up to the origin.

    At every origin the drift is computed from the first bar and the origin's.

    References
    ----------
    Hyndman and Athanasopoulos (2021), Forecasting: principles and practice, 3rd ed., section 5.2.
    """

    name: str = "drift"
    min_observations: int = 60

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Extrapolate the line from the first bar through the origin; see `Forecaster.forecast`."""
        first = panel.bars.group_by("ticker").agg(pl.col("log_price").first().alias("first"))
        slope = (pl.col("log_price") - pl.col("first")) / pl.col("bar")
        means = (
            panel.bars_at(origins)
            .join(first, on="ticker", maintain_order="left")
            .join(pl.DataFrame({"step": pl.int_range(1, horizon + 1, eager=True)}), how="cross")
            .select("ticker", "origin_date", "step", (pl.col("log_price") + pl.col("step") * slope).alias("mean"))
        )
        return Forecasts(means.cast(MEANS_SCHEMA))
