"""Forecasters that treat each ticker on its own, among them those of the compiled `pm.forecast.smoothing`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pm.forecast.base import Forecasts, means_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from pm.forecast.base import Panel
    from pm.typing import FloatArray, IntArray

__all__ = ["ForecastTask", "Kernels", "UnivariateForecaster", "forecast_each"]

Kernels: TypeAlias = (
    "tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray, FloatArray, IntArray, int], FloatArray]]"
)
"""Functions that fit a model and forecast with it: see `UnivariateForecaster`."""

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
    parts: list[tuple[str, pl.Series, FloatArray]] = []
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
        parts.append((ticker, rows["origin_date"], means))
    return Forecasts(means_frame(parts), failures)


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
    """A model of `pm.forecast.smoothing`, fitted to each ticker on its own.

    Models are given log prices relative to the first one, in units of the root mean square change, so that a fit does
    not depend on the unit or the volatility of a series.

    Parameters
    ----------
    name
        See `Forecaster.name`.
    min_observations
        See `Forecaster.min_observations`.
    kernels
        Returns the compiled functions of the model: one that returns the parameters of values, and one that returns
        means from values, parameters, the places of the origins and the horizon. It imports them when it is called.
    """

    name: str
    min_observations: int
    kernels: Callable[[], Kernels]

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Fit at each ticker's first origin and forecast from all of them; see `Forecaster.forecast`."""
        return forecast_each(panel, origins, horizon, self._forecast)

    def _forecast(self, task: ForecastTask) -> FloatArray:
        fit, forecast = self.kernels()
        fitted_to, last = task.origins[0] + 1, task.origins[-1]
        start, changes = task.log_prices[0], np.diff(task.log_prices[:fitted_to])
        unit = np.sqrt(np.mean(changes**2))
        scaled = (task.log_prices[: last + 1] - start) / unit
        parameters = fit(scaled[:fitted_to])
        means = forecast(scaled, parameters, np.array(task.origins, dtype=np.int64), task.horizon)
        return np.asarray(start + unit * means)
