"""Exponential smoothing with additive errors; the trend is chosen by the corrected Akaike criterion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.forecast.models.univariate import UnivariateForecaster

if TYPE_CHECKING:
    from pm.forecast.models.univariate import Kernels

__all__ = ["AUTO_ETS"]


def _kernels() -> Kernels:
    from pm.forecast.smoothing.ets import fit_ets, forecast_ets  # numba takes 0.5 s to import

    return fit_ets, forecast_ets


AUTO_ETS = UnivariateForecaster(name="auto_ets", min_observations=60, kernels=_kernels)
"""State-space exponential smoothing without a season; the trend (none, linear, damped) is chosen automatically.

Errors are additive only: a log price changes little relative to its level, so that multiplicative errors are nearly the
same model. On 120 real windows they did not improve the forecasts (mean squared error relative to naive 0.9996 with
them, 0.9988 without).

References
----------
Hyndman, Koehler, Ord and Snyder (2008), Forecasting with exponential smoothing: the state space approach.
"""
