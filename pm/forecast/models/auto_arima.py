"""ARIMA, its order chosen by the corrected Akaike criterion."""

from __future__ import annotations

from typing import Any

from pm.forecast.models.univariate import UnivariateForecaster

__all__ = ["AUTO_ARIMA"]


def _build() -> Any:  # noqa: ANN401 - the library is untyped
    from statsforecast.models import AutoARIMA  # takes 2 s to import

    # At most one difference. The unit-root test asks for a second one now and then, and an ARIMA(p,2,q) extrapolates
    # the last weeks' slope for ever: it would say that returns, not prices, wander without limit.
    return AutoARIMA(season_length=1, seasonal=False, max_d=1)


AUTO_ARIMA = UnivariateForecaster(name="auto_arima", min_observations=250, build=_build)
"""Non-seasonal ARIMA by stepwise search.

Needs 250 bars, a year: with fewer, the search picks orders that the first origin of cross-validation cannot support.

References
----------
Hyndman and Khandakar (2008), Automatic time series forecasting: the forecast package for R, J. Stat. Software 27(3).
"""
