"""Forecasts: several models of the log price, combined by what each earned out of sample.

`tickers.forecast_tickers` is the way through the room: `panel` checks the prices, `models` forecast (a model a file,
one protocol in `base`), `cross_validation` measures them on rolling origins, `weights` turns the errors into shares,
and `distribution` puts the volatility room's quantiles around every mean.
"""

from __future__ import annotations

from pm.forecast.tickers import ForecastResult, forecast_tickers, join_results

__all__ = ["ForecastResult", "forecast_tickers", "join_results"]
