"""The adapter by which a model of statsforecast, one series at a time, becomes a forecaster."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.forecast.base import MEANS_SCHEMA, Forecasts

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.forecast.base import Panel
    from pm.volatility.base import FloatArray

__all__ = ["UnivariateForecaster"]


@dataclass(frozen=True)
class UnivariateForecaster:
    """A statsforecast model, fitted to each ticker on its own.

    The model objects are called directly, not through `StatsForecast`: the numbers are the same, a ticker that fails
    does not take its chunk along, and no frame of pandas is made on the way.

    Parameters
    ----------
    name
        See `Forecaster.name`.
    min_observations
        See `Forecaster.min_observations`.
    build
        Gives a new, unfitted model with `fit(y)`, `predict(h)` and `forward(y, h)`; imports statsforecast when called.
    """

    name: str
    min_observations: int
    build: Callable[[], Any]

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Fit at each ticker's first origin and carry forward; see `Forecaster.forecast`."""
        frames: list[pl.DataFrame] = []
        failures: dict[str, str] = {}
        places = panel.at(origins).partition_by("ticker", as_dict=True)
        series = panel.bars.partition_by("ticker", as_dict=True)
        for key, rows in places.items():
            ticker = str(key[0])
            try:
                means = self._roll(series[key]["log_price"].to_numpy(), rows["bar"].to_list(), horizon)
            except Exception as error:  # noqa: BLE001 - the library raises whatever comes up, bare Exception included
                failures[ticker] = f"failed: {type(error).__name__}: {error}"
                continue
            columns = {
                "ticker": [ticker] * means.size,
                "origin_date": np.repeat(rows["origin_date"].to_numpy(), horizon),
                "step": np.tile(np.arange(1, horizon + 1), len(rows)),
                "mean": means.ravel(),
            }
            frames.append(pl.DataFrame(columns, schema=MEANS_SCHEMA))
        return Forecasts(pl.concat(frames) if frames else MEANS_SCHEMA.to_frame(), failures)

    def _roll(self, log_prices: FloatArray, origins: list[int], horizon: int) -> FloatArray:
        """Give the means of each origin, shape (origins, horizon)."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # ARIMA tries many orders, and says so when the optimiser stops early on one that it then discards.
            warnings.filterwarnings("ignore", message="possible convergence problem", category=UserWarning)
            first, *later = origins
            model = self.build().fit(log_prices[: first + 1])
            means = [model.predict(horizon)["mean"]]
            means += [model.forward(log_prices[: origin + 1], horizon)["mean"] for origin in later]
        return np.asarray(means, dtype=np.float64)
