from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from pm.forecast.base import Forecasts, Panel
from pm.forecast.cross_validation import rolling_origins
from pm.forecast.model_run import run_model
from pm.forecast.models.naive import NaiveForecaster
from pm.forecast.panel import build_panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.settings import ForecastSettings


@dataclass(frozen=True)
class FaultyForecaster:
    """Naive, except for three tickers for which it fails in three ways."""

    name: str = "faulty"
    min_observations: int = 21

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        means = NaiveForecaster().forecast(panel.only({"AAA", "BBB", "CCC"}), origins, horizon).means
        broken = pl.when(ticker="AAA").then(float("nan")).when(ticker="BBB").then(pl.col("mean") + 9.0)
        return Forecasts(means.with_columns(mean=broken.otherwise("mean")), {"EEE": "failed: no reason given"})


def test_a_model_is_not_used_for_the_tickers_it_fails_for(
    walk: Callable[..., pl.DataFrame], settings: ForecastSettings
) -> None:
    prices = pl.concat(walk(ticker, 200, seed=i) for i, ticker in enumerate(("AAA", "BBB", "CCC", "EEE")))
    priced = build_panel(prices, as_of=date(2020, 12, 31), window=500, horizon=10, max_age_days=10, min_bars=21)
    origins = rolling_origins(priced.panel, settings)
    run = run_model(FaultyForecaster(), priced.panel, priced.last, origins, settings)
    assert run.reasons == {
        "AAA": "forecast is not finite",
        "BBB": "implausible forecast: log return of 9 at step 1",
        "EEE": "failed: no reason given",
    }
    assert set(run.current["ticker"]) == set(run.cross_validated["ticker"]) == {"CCC"}
