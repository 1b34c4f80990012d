"""One series at a time: the loop over tickers, and the adapter by which a model of statsforecast is a forecaster."""

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

__all__ = ["History", "UnivariateForecaster", "forecast_each"]

FEWEST = 20
"""Bars up to the first origin without which no parameter is estimated."""


@dataclass(frozen=True)
class History:
    """A ticker's log prices and where to forecast them from.

    Attributes
    ----------
    log_prices
        Shape (bars,).
    features
        Those known ahead, shape (bars and sessions after them, features); of no column where there are none.
    origins
        Bars to forecast from, counted from 0, oldest first.
    horizon
        Sessions ahead.
    """

    log_prices: FloatArray
    features: FloatArray
    origins: list[int]
    horizon: int


def forecast_each(
    panel: Panel, origins: pl.DataFrame, horizon: int, roll: Callable[[History], FloatArray]
) -> Forecasts:
    """Forecast each ticker on its own; one that cannot be fitted becomes a failure with its reason.

    Parameters
    ----------
    panel, origins, horizon
        See `Forecaster.forecast`.
    roll
        Gives the means of a history, shape (origins, horizon). Whatever it raises is the ticker's failure; what it
        warns of is not shown, for a user could do nothing about an optimiser's step.
    """
    frames: list[pl.DataFrame] = []
    failures: dict[str, str] = {}
    places = panel.at(origins).partition_by("ticker", as_dict=True)
    series = panel.bars.partition_by("ticker", as_dict=True)
    known = {} if panel.known_ahead is None else panel.known_ahead.partition_by("ticker", as_dict=True)
    for key, rows in places.items():
        ticker = str(key[0])
        log_prices = series[key]["log_price"].to_numpy()
        features = known[key].sort("bar").drop("ticker", "bar").to_numpy() if key in known else None
        history = History(
            log_prices,
            np.empty((log_prices.size + horizon, 0)) if features is None else features,
            rows["bar"].to_list(),
            horizon,
        )
        try:
            _refuse_unfit(history)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                means = np.asarray(roll(history), dtype=np.float64)
        except Exception as error:  # noqa: BLE001 - the library raises whatever comes up, bare Exception included
            failures[ticker] = f"failed: {type(error).__name__}: {error}"
            continue
        frames.append(means_frame(ticker, rows["origin_date"], means))
    return Forecasts(pl.concat(frames) if frames else MEANS_SCHEMA.to_frame(), failures)


def _refuse_unfit(history: History) -> None:
    """Raise ValueError for what no model can be fitted to, before a library finds its own words for it."""
    first, last = history.origins[0], history.origins[-1]
    broken = int((~np.isfinite(history.log_prices[: last + 1])).sum())
    if broken:
        raise ValueError(f"{broken} of {last + 1} log prices are not finite numbers")
    if first + 1 < FEWEST:
        raise ValueError(f"needs {FEWEST} bars up to the first origin, has {first + 1}")
    if np.ptp(history.log_prices[: first + 1]) == 0.0:
        raise ValueError(f"the first {first + 1} log prices are all equal")


@dataclass(frozen=True)
class UnivariateForecaster:
    """A statsforecast model, fitted to each ticker on its own.

    The model objects are called directly, not through `StatsForecast`: the numbers are the same, a ticker that fails
    does not take its chunk along, and no frame of pandas is made on the way.

    They see log prices from the first one on, in root mean squares of a session's change: an optimiser may stop at
    steps and at gains of a fixed size, which in a quiet series is before it has begun.

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
        return forecast_each(panel, origins, horizon, self._roll)

    def _roll(self, history: History) -> FloatArray:
        first, *later = history.origins
        begin, changes = history.log_prices[0], np.diff(history.log_prices[: first + 1])
        unit = np.sqrt(np.mean(changes**2))
        scaled = (history.log_prices - begin) / unit
        model = self.build().fit(scaled[: first + 1])
        means = [model.predict(history.horizon)["mean"]]
        means += [model.forward(scaled[: origin + 1], history.horizon)["mean"] for origin in later]
        return np.asarray(begin + unit * np.asarray(means))
