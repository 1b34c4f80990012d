"""Exponential smoothing, its error and trend chosen by the corrected Akaike criterion."""

from __future__ import annotations

from typing import Any

from pm.forecast.models.univariate import UnivariateForecaster

__all__ = ["AUTO_ETS"]


def _build() -> Any:  # noqa: ANN401 - the library is untyped
    from statsforecast.models import AutoETS  # takes 2 s to import

    return AutoETS(season_length=1, model="ZZN")


AUTO_ETS = UnivariateForecaster(name="auto_ets", min_observations=60, build=_build)
"""State-space exponential smoothing without a season: error and trend (none, linear, damped) are chosen.

References
----------
Hyndman, Koehler, Ord and Snyder (2008), Forecasting with exponential smoothing: the state space approach.
"""
