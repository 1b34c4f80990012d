"""Run one model on a panel: its cross-validation, its current forecast, and the tickers it cannot forecast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.forecast.base import NAIVE
from pm.forecast.cross_validation import bars_needed

if TYPE_CHECKING:
    from pm.forecast.base import Forecaster, Forecasts, Panel
    from pm.settings import ForecastSettings

__all__ = ["ModelRun", "run_model"]

MAX_RELATIVE_RETURN = 2.0
"""Ratio of a forecast return to the largest price range of any past horizon, above which the forecast is rejected.

A model whose forecast is beyond this has broken down numerically.
"""


@dataclass(frozen=True)
class ModelRun:
    """Forecasts of one model for the tickers of a panel.

    Attributes
    ----------
    cross_validated
        Forecasts from the cross-validation's origins: columns ticker, model, origin_date, step, mean (of the log
        price).
    current
        Forecasts from the last bar: columns ticker, model, step, mean_log_return.
    reasons
        Ticker → why the model was not used for it. Neither frame has rows of such a ticker.
    """

    cross_validated: pl.DataFrame
    current: pl.DataFrame
    reasons: dict[str, str]


def run_model(
    model: Forecaster, panel: Panel, last: pl.DataFrame, origins: pl.DataFrame, settings: ForecastSettings
) -> ModelRun:
    """Cross-validate a model and forecast from the last bar, for the tickers that have enough bars for both.

    The model is not used for a ticker for which it fails or returns a forecast that is not finite or implausibly large;
    other tickers are not affected.

    Parameters
    ----------
    model
        The model.
    panel
        Log prices of the tickers to forecast.
    last
        See `PricedPanel.last`.
    origins
        Origins of the cross-validation, from `rolling_origins`.
    settings
        Horizon and cross-validation settings.
    """
    counts = panel.bar_counts()
    # Naive is used without cross-validation too: it is the only forecast of a ticker with a short history.
    needed = model.min_observations if model.name == NAIVE else max(model.min_observations, bars_needed(settings))
    reasons = {ticker: f"needs {needed} bars, has {bars}" for ticker, bars in counts.items() if bars < needed}
    usable = panel.only(counts.keys() - reasons.keys())
    cross_validated = model.forecast(usable, origins, settings.horizon)
    reasons |= _failures(cross_validated)
    usable = panel.only(counts.keys() - reasons.keys())
    current = model.forecast(usable, usable.last_origins(), settings.horizon)
    reasons |= _failures(current)

    returns = (
        current.means.join(last, on=["ticker", "origin_date"])
        .with_columns(mean_log_return=pl.col("mean") - pl.col("log_price"))
        .sort("ticker", "step")
    )
    implausible = returns.filter(pl.col("mean_log_return").abs() > MAX_RELATIVE_RETURN * pl.col("max_range")).unique(
        "ticker", keep="first", maintain_order=True
    )
    for ticker, step, value in implausible.select("ticker", "step", "mean_log_return").iter_rows():
        reasons.setdefault(ticker, f"implausible forecast: log return of {value:.3g} at step {step}")

    used = ~pl.col("ticker").is_in(list(reasons))
    name = pl.lit(model.name).alias("model")
    return ModelRun(
        cross_validated=cross_validated.means.filter(used).select("ticker", name, "origin_date", "step", "mean"),
        current=returns.filter(used).select("ticker", name, "step", "mean_log_return"),
        reasons=reasons,
    )


def _failures(forecasts: Forecasts) -> dict[str, str]:
    """Return why a model has no usable forecast, for the tickers that it failed for or has no finite forecast of."""
    broken = forecasts.means.filter(~pl.col("mean").is_finite())["ticker"].unique()
    return {str(ticker): "forecast is not finite" for ticker in broken} | forecasts.failures
