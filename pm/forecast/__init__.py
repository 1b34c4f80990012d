"""Forecasts of log prices by several models, combined by their out-of-sample errors.

`tickers.forecast_tickers` is the entry point. `panel` checks the prices; `models` has the forecasters, one a file, with
the protocol in `base`; `cross_validation` measures their errors at rolling origins; `weights` combines the models by
these errors; `distribution` adds the volatility room's quantiles to every mean.
"""

from __future__ import annotations

from pm.forecast.tickers import ForecastResult, forecast_tickers, join_results

__all__ = ["ForecastResult", "forecast_tickers", "join_results"]
