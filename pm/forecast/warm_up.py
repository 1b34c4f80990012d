"""Compile all that the forecast models compile, by fitting them to a short simulated series."""

from __future__ import annotations

import numpy as np

from pm.forecast.arima_order import rank_orders
from pm.forecast.smoothing.ets import fit_ets, forecast_ets
from pm.forecast.smoothing.theta import fit_theta, forecast_theta

__all__ = ["warm_up"]


def warm_up() -> None:
    """Fit the compiled models to simulated changes, so that later forecasts find all functions compiled."""
    changes = np.random.default_rng(0).standard_normal(100)
    rank_orders(changes)
    values, origins = np.cumsum(changes), np.array([60, 99])
    forecast_theta(values, fit_theta(values), origins, 5)
    forecast_ets(values, fit_ets(values), origins, 5)
