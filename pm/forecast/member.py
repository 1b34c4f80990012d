"""A member of the ensemble: a model, what it did out of sample, and what it says today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.forecast.base import NAIVE
from pm.forecast.cross_validation import bars_needed

if TYPE_CHECKING:
    from pm.forecast.base import Forecaster, Forecasts, Panel
    from pm.settings import ForecastSettings

__all__ = ["Member", "enlist"]

FURTHEST = 2.0
"""A mean further from today's price than this many times the widest range of any horizon in the window is absurd: a
model that broke down, not one that dares."""


@dataclass(frozen=True)
class Member:
    """A model's work on a panel.

    Attributes
    ----------
    tested
        Its cross-validation: columns ticker, model, origin_date, step, mean (of the log price).
    today
        Its forecast from the last bar: columns ticker, model, step, mean_log_return.
    reasons
        Ticker → why the model took no part; in that case neither frame has the ticker.
    """

    tested: pl.DataFrame
    today: pl.DataFrame
    reasons: dict[str, str]


def enlist(
    model: Forecaster, panel: Panel, last: pl.DataFrame, origins: pl.DataFrame, settings: ForecastSettings
) -> Member:
    """Cross-validate a model and take its forecast from the last bar, where it has bars enough for both.

    A model that fails on a ticker, gives what is no number, or is absurd, takes no part there; elsewhere it does.

    Parameters
    ----------
    model
        The model.
    panel
        The tickers to forecast.
    last
        See `PricedPanel.last`.
    origins
        From `rolling_origins`.
    settings
        Horizon and cross-validation.
    """
    lengths = panel.lengths()
    # Naive needs no cross-validation: where there is none, it carries the ticker alone.
    needed = model.min_observations if model.name == NAIVE else max(model.min_observations, bars_needed(settings))
    reasons = {ticker: f"needs {needed} bars, has {bars}" for ticker, bars in lengths.items() if bars < needed}
    able = panel.only(lengths.keys() - reasons.keys())
    tested = model.forecast(able, origins, settings.horizon)
    reasons |= _unsound(tested)
    able = panel.only(lengths.keys() - reasons.keys())
    today = model.forecast(able, able.last_origins(), settings.horizon)
    reasons |= _unsound(today)

    returns = (
        today.means.join(last, on=["ticker", "origin_date"])
        .with_columns(mean_log_return=pl.col("mean") - pl.col("log_price"))
        .sort("ticker", "step")
    )
    absurd = returns.filter(pl.col("mean_log_return").abs() > FURTHEST * pl.col("reach")).unique(
        "ticker", keep="first", maintain_order=True
    )
    for ticker, step, value in absurd.select("ticker", "step", "mean_log_return").iter_rows():
        reasons.setdefault(ticker, f"absurd: log return of {value:.3g} at step {step}")

    took_part = ~pl.col("ticker").is_in(list(reasons))
    name = pl.lit(model.name).alias("model")
    return Member(
        tested=tested.means.filter(took_part).select("ticker", name, "origin_date", "step", "mean"),
        today=returns.filter(took_part).select("ticker", name, "step", "mean_log_return"),
        reasons=reasons,
    )


def _unsound(forecasts: Forecasts) -> dict[str, str]:
    """Give the tickers that a model failed on, or answered with something that is no number."""
    broken = forecasts.means.filter(~pl.col("mean").is_finite())["ticker"].unique()
    return {str(ticker): "forecast is not finite" for ticker in broken} | forecasts.failures
