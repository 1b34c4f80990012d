"""Dynamic optimised theta model."""

from __future__ import annotations

from typing import Any

from pm.forecast.models.univariate import UnivariateForecaster

__all__ = ["THETA"]


def _build() -> Any:  # noqa: ANN401 - the library is untyped
    from statsforecast.models import DynamicOptimizedTheta  # takes 2 s to import

    return DynamicOptimizedTheta(season_length=1)


THETA = UnivariateForecaster(name="theta", min_observations=60, build=_build)
"""Dynamic optimised theta: exponential smoothing plus a linear trend that is updated at every bar.

References
----------
Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler (2016), Models for optimising the theta method and their
relationship to state space models, Int. J. Forecasting 32.
"""
