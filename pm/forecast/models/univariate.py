"""Forecasters that treat each ticker on its own, among them the adapter for models of statsforecast."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.forecast.base import MEANS_SCHEMA, Forecasts, means_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.forecast.base import Panel
    from pm.typing import FloatArray

__all__ = ["ForecastTask", "UnivariateForecaster", "forecast_each"]

MIN_BARS = 20
"""Minimum number of bars up to the first origin for a fit."""


@dataclass(frozen=True)
class ForecastTask:
    """A ticker's log prices and the origins to forecast from.

    Attributes
    ----------
    log_prices
        Shape (bars,).
    features
        Features known ahead, shape (bars and following sessions, features); without columns if there are none.
    origins
        Positions of the bars to forecast from, oldest first.
    horizon
        Number of sessions to forecast.
    """

    log_prices: FloatArray
    features: FloatArray
    origins: list[int]
    horizon: int


def forecast_each(
    panel: Panel, origins: pl.DataFrame, horizon: int, forecast: Callable[[ForecastTask], FloatArray]
) -> Forecasts:
    """Forecast each ticker on its own; report one that cannot be fitted as a failure with its reason.

    Parameters
    ----------
    panel, origins, horizon
        See `Forecaster.forecast`.
    forecast
        Returns the means of a task, shape (origins, horizon). Any exception is reported as the ticker's failure.
        Warnings are suppressed, because a user cannot act on the details of an optimisation.
    """
    frames: list[pl.DataFrame] = []
    failures: dict[str, str] = {}
    origin_bars = panel.bars_at(origins).partition_by("ticker", as_dict=True)
    series = panel.bars.partition_by("ticker", as_dict=True)
    known = {} if panel.known_ahead is None else panel.known_ahead.partition_by("ticker", as_dict=True)
    for key, rows in origin_bars.items():
        ticker = str(key[0])
        log_prices = series[key]["log_price"].to_numpy()
        features = known[key].sort("bar").drop("ticker", "bar").to_numpy() if key in known else None
        task = ForecastTask(
            log_prices,
            np.empty((log_prices.size + horizon, 0)) if features is None else features,
            rows["bar"].to_list(),
            horizon,
        )
        try:
            _check(task)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                means = np.asarray(forecast(task), dtype=np.float64)
        except Exception as error:  # noqa: BLE001 - the library raises exceptions of any class, Exception included
            failures[ticker] = f"failed: {type(error).__name__}: {error}"
            continue
        frames.append(means_frame(ticker, rows["origin_date"], means))
    return Forecasts(pl.concat(frames) if frames else MEANS_SCHEMA.to_frame(), failures)


def _check(task: ForecastTask) -> None:
    """Raise ValueError for a series that no model can be fitted to, with a clearer message than the library's."""
    first, last = task.origins[0], task.origins[-1]
    broken = int((~np.isfinite(task.log_prices[: last + 1])).sum())
    if broken:
        raise ValueError(f"{broken} of {last + 1} log prices are not finite numbers")
    if first + 1 < MIN_BARS:
        raise ValueError(f"needs {MIN_BARS} bars up to the first origin, has {first + 1}")
    if np.ptp(task.log_prices[: first + 1]) == 0.0:
        raise ValueError(f"the first {first + 1} log prices are all equal")


@dataclass(frozen=True)
class UnivariateForecaster:
    """A statsforecast model, fitted to each ticker on its own.

    The model objects are called directly rather than through `StatsForecast`. The numbers are the same, but a ticker
    that fails does not affect the others, and no pandas frames are built.

    Models are given log prices relative to the first one, in units of the root mean square change. An optimiser may
    stop at steps or gains of a fixed size; without this scaling it could stop at once on a series with small changes.

    Parameters
    ----------
    name
        See `Forecaster.name`.
    min_observations
        See `Forecaster.min_observations`.
    build
        Returns a new, unfitted model with methods `fit(y)`, `predict(h)` and `forward(y, h)`. It imports statsforecast
        when it is called.
    """

    name: str
    min_observations: int
    build: Callable[[], Any]

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Fit at each ticker's first origin and forecast from all of them; see `Forecaster.forecast`."""
        return forecast_each(panel, origins, horizon, self._forecast)

    def _forecast(self, task: ForecastTask) -> FloatArray:
        first, *later = task.origins
        start, changes = task.log_prices[0], np.diff(task.log_prices[: first + 1])
        unit = np.sqrt(np.mean(changes**2))
        scaled = (task.log_prices - start) / unit
        model = self.build().fit(scaled[: first + 1])
        means = [model.predict(task.horizon)["mean"]]
        means += [model.forward(scaled[: origin + 1], task.horizon)["mean"] for origin in later]
        return np.asarray(start + unit * np.asarray(means))
