"""Wrong quotes, splits not adjusted for and changes of units, from prices to the distributions that are forecast."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pm.forecast import ForecastResult, forecast_tickers
from pm.forecast.cross_validation import rolling_origins, settled_origins
from pm.forecast.panel import PricedPanel, build_panel
from pm.settings import ForecastSettings, VolatilitySettings
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.volatility import fit_volatility

BARS, HORIZON = 300, 5
LAST = date(2020, 12, 31)
FORECAST = ForecastSettings(
    horizon=HORIZON,
    window=250,
    models=["naive", "drift", "theta"],
    origins=30,
    origin_step=HORIZON,
    arima_features=[],
    group_correlation=0.6,
    group_size=8,
    max_age_days=10,
)
VOLATILITY = VolatilitySettings(
    models=["garch"],
    windows=[400],
    min_observations=200,
    panel_sessions=1500,
    ewma_lambda=0.94,
    simulations=1000,
    calibration_sessions=60,
    refit_sessions=60,
    calibration_simulations=100,
    conformal_rate=0.005,
    seed=7,
)
RNG = np.random.default_rng(8)
CLOSES = {
    "walk": 100 * np.exp(np.cumsum(0.0122 * RNG.standard_t(6, BARS))),
    "noise about a level": 100 * np.exp(RNG.normal(0, 0.01, BARS)),
}


def frame(closes: np.ndarray) -> pl.DataFrame:
    days = [LAST - timedelta(days=len(closes) - 1 - bar) for bar in range(len(closes))]
    return pl.DataFrame({"ticker": "X", "date": days, "close": closes, "adj_factor": 1.0})


def priced(closes: np.ndarray, *, known: int = BARS) -> PricedPanel:
    """Return the panel that a run sees on the day of the bar whose number is `known`, counted from 1."""
    prices = frame(closes)
    return build_panel(
        prices, as_of=prices["date"][known - 1], window=FORECAST.window, horizon=HORIZON, max_age_days=10, min_bars=21
    )


def forecast(closes: np.ndarray) -> ForecastResult:
    prices = frame(closes)
    returns = prices.select("ticker", "date", log_return=pl.col("close").log().diff())
    paths = fit_volatility(returns, settings=VOLATILITY, horizon=HORIZON).paths
    steps = range(1, HORIZON + 1)
    targets = pl.DataFrame(
        {"ticker": "X", "step": steps, "target_date": [LAST + timedelta(days=step) for step in steps]}
    )
    return forecast_tickers(prices, paths, targets, settings=FORECAST, as_of=LAST)


@cache
def expected(name: str) -> ForecastResult:
    return forecast(CLOSES[name])


def log_quantiles(result: ForecastResult) -> np.ndarray:
    """Return the logarithms of the quantiles, less that of the last close; a row a model and step."""
    columns = [quantile_column("q", level) for level in QUANTILES]
    return np.asarray(np.log(result.forecasts.select(pl.col(columns) / pl.col("origin_close")).to_numpy()))


def test_one_of_the_series_has_an_edge_and_one_has_none() -> None:
    verdicts = {name: expected(name).weights["verdict"][0] for name in CLOSES}
    assert verdicts == {"walk": "no edge", "noise about a level": "edge"}


@pytest.mark.parametrize("name", CLOSES)
@settings(max_examples=15, derandomize=True)
@given(place=st.integers(0, BARS - 2), log_factor=st.floats(-14, 14))
@example(place=BARS - 2, log_factor=-5.6)
@example(place=BARS - 2, log_factor=0.11)
@example(place=BARS - 6, log_factor=-0.1)
@example(place=0, log_factor=0.3)
def test_a_wrong_quote_that_was_undone_moves_no_forecast_by_much(name: str, place: int, log_factor: float) -> None:
    """Up to 10 standard deviations it can be kept, and then widens intervals for some sessions, but moves no median.

    A quote of ten standard deviations on the day before can hide an edge: the interval is then that of the volatility.
    """
    closes = CLOSES[name].copy()
    closes[place] *= np.exp(log_factor)
    found, right = forecast(closes), expected(name)
    assert found.forecasts.select("model", "step").equals(right.forecasts.select("model", "step"))
    quantiles, clean = log_quantiles(found), log_quantiles(right)
    low, high = QUANTILES.index(0.05), QUANTILES.index(0.95)
    width = clean[:, high] - clean[:, low]
    ratio = (quantiles[:, high] - quantiles[:, low]) / width
    assert (ratio >= 0.7).all()
    assert (ratio <= 9.0).all()
    median = QUANTILES.index(0.5)
    # An edge that smooths with a weight of 11% takes as much of a quote of the day before, here half of a narrow width.
    assert (np.abs(quantiles - clean)[:, median] <= 0.6 * width).all()
    if abs(log_factor) > 0.25:
        # It is left out, and the price after it is as if it had not been made.
        assert (np.abs(quantiles - clean).max(axis=1) <= 0.25 * width).all()
        spreads = pl.concat([found.forecasts, right.forecasts])["spread"].to_numpy().reshape(2, -1)
        np.testing.assert_allclose(spreads[0], spreads[1], atol=0.15)


@pytest.mark.parametrize(
    ("factor", "since"),
    [(4.0, 100), (0.5, 200), (0.01, 250), (100.0, BARS - 1), (0.01, BARS - 1), (1 / 15, BARS - 3)],
    ids=["split 1:4", "split 2:1", "pounds", "pence on the last day", "pounds on the last day", "split 15:1"],
)
def test_a_change_of_units_moves_no_return_that_is_forecast(factor: float, since: int) -> None:
    closes = CLOSES["walk"].copy()
    closes[since:] *= factor
    found, right = forecast(closes), expected("walk")
    width = np.ptp(log_quantiles(right), axis=1)
    assert (np.abs(log_quantiles(found) - log_quantiles(right)).max(axis=1) <= 0.15 * width).all()
    # The forecast is in the units of the last close.
    assert found.forecasts["origin_close"].unique().to_list() == [closes[-1]]


@pytest.mark.parametrize("since", range(225, 300, 15))
def test_cross_validation_uses_only_origins_at_which_a_run_saw_what_the_panel_shows(since: int) -> None:
    """A quote is wrong for three sessions from `since` on, and a split is not adjusted for 80 sessions before."""
    closes = CLOSES["walk"].copy()
    closes[since : since + 3] *= 0.4
    closes[since - 80 :] *= 4.0
    now = priced(closes)
    every = rolling_origins(now.panel, FORECAST.model_copy(update={"origin_step": 1, "origins": 150}))
    kept = settled_origins(every, now.quoted, {})
    days = now.quoted["date"].to_list()
    same = []
    for day in every["origin_date"]:
        then = priced(closes, known=days.index(day) + 1).panel.bars["log_price"].diff().drop_nulls()
        shown = now.panel.bars.filter(pl.col("date") <= day)["log_price"].diff().drop_nulls()
        both = min(len(then), len(shown))
        same.append(np.allclose(then.tail(both), shown.tail(both), atol=1e-12))
    assert_frame_equal(kept, every.filter(pl.Series(same)))
    doubted = set(every["origin_date"]) - set(kept["origin_date"])
    wrong = {days[bar] for bar in range(since, min(since + 3, BARS - HORIZON))}
    unproven = {days[bar] for bar in range(since - 80, since - 70)} & set(every["origin_date"])
    assert doubted == wrong | unproven


def test_origins_need_the_settled_prices_of_the_whole_group() -> None:
    now = priced(CLOSES["walk"])
    closes = CLOSES["walk"].copy()
    day = now.quoted["date"][BARS - 30]
    closes[BARS - 30] *= 0.4
    quoted = pl.concat([now.quoted, priced(closes).quoted.with_columns(ticker=pl.lit("Y"))])
    origins = now.quoted.filter(pl.col("date").is_between(day - timedelta(days=2), day + timedelta(days=2)))
    origins = origins.select("ticker", origin_date="date")
    assert settled_origins(origins, quoted, {}).equals(origins)
    alone = settled_origins(origins, quoted, {"X": "X", "Y": "Y"})
    assert alone.equals(origins)
    together = settled_origins(origins, quoted, {"X": "X", "Y": "X"})
    assert together.equals(origins.filter(pl.col("origin_date") != day))
