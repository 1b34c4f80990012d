"""Compile all that the forecast models compile, by ranking ARIMA orders of a short simulated series."""

from __future__ import annotations

import numpy as np

from pm.forecast.arima_order import rank_orders

__all__ = ["warm_up"]


def warm_up() -> None:
    """Rank the ARIMA orders of simulated changes, so that later forecasts find all functions compiled."""
    rank_orders(np.random.default_rng(0).standard_normal(100))
