"""Regression of a ticker's returns on observations that were known before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.forecast.base import Forecasts, means_frame

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from pm.forecast.base import Panel
    from pm.typing import FloatArray

__all__ = ["ObservedForecaster"]

MIN_PAIRS = 60
"""Minimum number of bars with observations whose return over the horizon is known at the first origin."""


@dataclass(frozen=True)
class ObservedForecaster:
    """Direct regression: the log return over k sessions is b_k'·x, with x the standardised observations at the origin.

    A slope b_k is estimated for each step k by least squares without a constant, so that a drift of the ticker is no
    part of it, from the bars up to the first origin whose return over the whole horizon is known there. Mean and
    standard deviation of the observations are those of these bars. At later origins only x is new.

    Attributes
    ----------
    since
        Last day up to which no change is forecast: what chose the observations depends on it. None to use them always.

    References
    ----------
    Marcellino, Stock and Watson (2006), A comparison of direct and iterated multistep AR methods, J. Econometrics 135.
    """

    since: date | None = None
    name: str = "observed"
    min_observations: int = 120

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Return no change plus what the observations say; see `Forecaster.forecast`."""
        observed = {} if panel.observed is None else panel.observed.partition_by("ticker", as_dict=True)
        series = panel.bars.partition_by("ticker", as_dict=True, maintain_order=True)
        parts: list[tuple[str, pl.Series, FloatArray]] = []
        failures: dict[str, str] = {}
        for key, rows in panel.bars_at(origins).partition_by("ticker", as_dict=True, maintain_order=True).items():
            ticker = str(key[0])
            if key not in observed:
                failures[ticker] = "has no observations"
                continue
            log_prices = series[key]["log_price"].to_numpy()
            known = observed[key].sort("bar").drop("ticker", "bar").to_numpy().astype(np.float64)
            at = rows["bar"].to_numpy()
            slopes = _slopes(log_prices, known, int(at[0]), horizon)
            if slopes is None:
                failures[ticker] = f"fewer than {MIN_PAIRS} bars before the first origin have observations that vary"
                continue
            mean, deviation, coefficients = slopes
            x = (known[at] - mean) / deviation
            returns = np.where(np.isfinite(x).all(axis=1)[:, np.newaxis], np.nan_to_num(x) @ coefficients, 0.0)
            if self.since is not None:
                early = (rows["origin_date"] <= self.since).to_numpy()
                returns[early] = 0.0
            parts.append((ticker, rows["origin_date"], log_prices[at][:, np.newaxis] + returns))
        return Forecasts(means_frame(parts), failures)


def _slopes(
    log_prices: FloatArray, known: FloatArray, origin: int, horizon: int
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return mean and deviation of the observations, and slopes of shape (names, steps); None if there are too few."""
    last = origin - horizon
    usable = np.flatnonzero(np.isfinite(known[: max(last + 1, 0)]).all(axis=1))
    if len(usable) < MIN_PAIRS:
        return None
    mean, deviation = known[usable].mean(axis=0), known[usable].std(axis=0)
    if not (deviation > 1e-12 * np.maximum(np.abs(mean), 1e-300)).all():
        return None
    x = (known[usable] - mean) / deviation
    steps = np.arange(1, horizon + 1)
    y = log_prices[usable[:, np.newaxis] + steps] - log_prices[usable][:, np.newaxis]
    coefficients, *_ = np.linalg.lstsq(x, y, rcond=None)
    return mean, deviation, np.asarray(coefficients)
