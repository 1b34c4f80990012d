from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from pm.forecast.baseline import garch_forecasts
from pm.settings import load_settings
from pm.tables.forecast import FORECASTS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.volatility.base import VolatilityEstimate
from pm.volatility.garch import GARCH_MODELS

HORIZON = 10


@pytest.fixture(scope="module")
def prices() -> pl.DataFrame:
    """Return a series of GARCH(1,1), and one that is too short for it."""
    rng, variance, returns = np.random.default_rng(2), 1e-4, []
    for _ in range(1400):
        returns.append(np.sqrt(variance) * rng.standard_normal())
        variance = 2e-6 + 0.1 * returns[-1] ** 2 + 0.88 * variance
    days = pl.date_range(date(2018, 1, 1), date(2030, 1, 1), eager=True)
    return pl.concat(
        pl.DataFrame({"ticker": name, "date": days[:count], "close": 50 * np.exp(np.cumsum(returns[-count:]))})
        for name, count in (("LONG", 1400), ("SHORT", 100))
    ).with_columns(adj_factor=0.5)


@pytest.fixture(scope="module")
def forecasts(prices: pl.DataFrame) -> pl.DataFrame:
    last = prices.group_by("ticker").agg(pl.all().last())
    martingales = last.select("ticker", origin_date="date", origin_close="close").join(
        pl.DataFrame({"step": range(1, HORIZON + 1)}), how="cross"
    )
    rows = martingales.with_columns(
        model=pl.lit("martingale"), mean_log_return=0.0, mean="origin_close", spread=1.0, regime=pl.lit("low"),
        target_date=pl.col("origin_date") + pl.duration(days="step"), naive_scale=0.01, sigma=0.5,
        **{quantile_column("q", level): 1.0 for level in QUANTILES},
    )  # fmt: skip
    rows = rows.select(pl.col(name).cast(kind) for name, kind in FORECASTS.unstamped_schema.items())
    return garch_forecasts(prices, rows, settings=load_settings().volatility)


def test_the_distribution_is_that_of_simulated_paths_of_one_garch_model(
    prices: pl.DataFrame, forecasts: pl.DataFrame
) -> None:
    """The twin draws each path's shocks one by one from the standardised residuals."""
    own = forecasts.filter(ticker="LONG").sort("step")
    log_prices = prices.filter(ticker="LONG")["close"].log().to_numpy()
    fit = GARCH_MODELS["garch"].fit({"LONG": np.diff(log_prices)[-1000:]})["LONG"]
    assert isinstance(fit, VolatilityEstimate)
    assert own["sigma"].to_numpy() == pytest.approx(np.sqrt(np.cumsum(fit.forecast_variance(HORIZON))))
    rng, paths = np.random.default_rng(5), np.zeros((20_000, HORIZON))
    variance, total = np.full(20_000, fit.next_variance), np.zeros(20_000)
    for step in range(HORIZON):
        shock = np.sqrt(variance) * rng.choice(fit.shocks, 20_000)
        total = total + shock
        variance = fit.omega + fit.alpha * shock**2 + fit.beta * variance
        paths[:, step] = total
    for level in (0.05, 0.25, 0.75, 0.95):
        returns = np.log(own[quantile_column("q", level)].to_numpy() / own["origin_close"].to_numpy())
        assert returns == pytest.approx(np.quantile(paths, level, axis=0), rel=0.1, abs=1e-3)


def test_it_expects_no_change_and_has_every_step_of_every_ticker(forecasts: pl.DataFrame) -> None:
    assert forecasts["model"].unique().to_list() == ["garch_hs"]
    assert forecasts["mean_log_return"].unique().to_list() == [0.0]
    assert (forecasts["mean"] == forecasts["origin_close"]).all()
    assert forecasts.group_by("ticker").len().sort("ticker").rows() == [("LONG", HORIZON), ("SHORT", HORIZON)]
    quantiles = forecasts.select(quantile_column("q", level) for level in QUANTILES).to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
