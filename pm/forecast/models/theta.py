"""Dynamic optimised theta model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.forecast.models.univariate import UnivariateForecaster

if TYPE_CHECKING:
    from pm.forecast.models.univariate import Kernels

__all__ = ["THETA"]


def _kernels() -> Kernels:
    from pm.forecast.smoothing.theta import fit_theta, forecast_theta  # numba takes 0.5 s to import

    return fit_theta, forecast_theta


THETA = UnivariateForecaster(name="theta", min_observations=60, kernels=_kernels)
"""Dynamic optimised theta: exponential smoothing plus a linear trend that is updated at every bar.

References
----------
Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler (2016), Models for optimising the theta method and their
relationship to state space models, Int. J. Forecasting 32.
"""
