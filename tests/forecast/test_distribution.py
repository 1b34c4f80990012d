from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from pm.forecast.base import Panel
from pm.forecast.distribution import SPREADS_SCHEMA, martingale_distribution, price_distribution, return_scales
from pm.tables.quantiles import QUANTILES, quantile_column

SPREAD = dict(zip(QUANTILES, (-0.25, -0.2, -0.15, -0.05, 0.002, 0.06, 0.14, 0.19, 0.23), strict=True))


def volatility(steps: int = 1) -> pl.DataFrame:
    """Build a path with the same quantiles at every step."""
    quantiles = {quantile_column("r", level): value for level, value in SPREAD.items()}
    return pl.DataFrame(
        [
            {"ticker": "X", "step": k, "cumulative_sigma": 0.1, "regime": "high", **quantiles}
            for k in range(1, steps + 1)
        ]
    )


def targets(steps: int = 1) -> pl.DataFrame:
    days = [
        {"ticker": "X", "step": k, "target_date": date(2020, 1, 1) + timedelta(days=k)} for k in range(1, steps + 1)
    ]
    return pl.DataFrame(days)


LAST = pl.DataFrame(
    {
        "ticker": ["X"],
        "origin_date": [date(2020, 1, 1)],
        "origin_close": [80.0],
        "naive_scale": [0.01],
        "tick": [0.01],
        "constant_sigma": [0.02],
    }
)


def by_model(means: pl.DataFrame, spreads: pl.DataFrame, steps: int = 1) -> dict[tuple[str, int], dict[str, Any]]:
    rows = price_distribution(means, volatility(steps), targets(steps), LAST, spreads).iter_rows(named=True)
    return {(row["model"], row["step"]): row for row in rows}


def test_quantiles_equal_values_computed_by_hand() -> None:
    means = pl.DataFrame(
        {"ticker": ["X", "X"], "model": ["naive", "drift"], "step": [1, 1], "mean_log_return": [0.0, 0.01]}
    )
    spreads = pl.DataFrame({"ticker": ["X"], "model": ["drift"], "step": [1], "spread": [0.5]}, schema=SPREADS_SCHEMA)
    rows = by_model(means, spreads)
    for model, mean, spread in (("naive", 0.0, 1.0), ("drift", 0.01, 0.5)):
        row = rows[model, 1]
        assert row["mean"] == pytest.approx(80 * math.exp(mean))
        assert row["sigma"] == pytest.approx(0.1 * spread)
        assert (row["spread"], row["regime"], row["naive_scale"]) == (spread, "high", 0.01)
        assert (row["origin_date"], row["target_date"]) == (date(2020, 1, 1), date(2020, 1, 2))
        for level in QUANTILES:
            assert row[quantile_column("q", level)] == pytest.approx(80 * math.exp(mean + spread * SPREAD[level]))


def test_no_quantile_is_below_the_smallest_price_that_can_be_quoted() -> None:
    means = pl.DataFrame({"ticker": ["X"], "model": ["naive"], "step": [1], "mean_log_return": [0.0]})
    coarse = LAST.with_columns(tick=pl.lit(76.0))
    free = price_distribution(means, volatility(1), targets(1), LAST, SPREADS_SCHEMA.to_frame()).row(0, named=True)
    held = price_distribution(means, volatility(1), targets(1), coarse, SPREADS_SCHEMA.to_frame()).row(0, named=True)
    walk = martingale_distribution(targets(1), volatility(1), LAST.with_columns(tick=pl.lit(79.0))).row(0, named=True)
    names = [quantile_column("q", level) for level in QUANTILES]
    assert free["q025"] < 76 < free["q975"]
    assert [held[name] for name in names] == [max(free[name], 76.0) for name in names]
    assert min(walk[name] for name in names) == 79.0


def test_no_interval_is_narrower_than_that_of_the_step_before() -> None:
    steps = 4
    means = pl.DataFrame({"ticker": "X", "model": "m", "step": [1, 2, 3, 4], "mean_log_return": [0.0, 0.3, -0.3, 0.1]})
    spreads = means.select("ticker", "model", "step", spread=pl.Series([0.9, 0.2, 0.8, 0.1])).cast(SPREADS_SCHEMA)
    rows = by_model(means, spreads, steps)
    for low, high in (("q025", "q975"), ("q05", "q95"), ("q10", "q90"), ("q25", "q75")):
        widths = [math.log(rows["m", step][high] / rows["m", step][low]) for step in range(1, steps + 1)]
        # Logarithms of ratios of prices, rounded to a few ε.
        assert (np.diff(widths) > -1e-14).all()
    for row in rows.values():
        assert (np.diff([row[quantile_column("q", level)] for level in QUANTILES]) > 0).all()


def test_the_martingale_is_a_normal_random_walk() -> None:
    rows = martingale_distribution(targets(9), volatility(9), LAST).sort("step").iter_rows(named=True)
    for row in rows:
        sigma = 0.02 * math.sqrt(row["step"])
        assert (row["model"], row["mean_log_return"], row["mean"]) == ("martingale", 0.0, 80.0)
        assert row["sigma"] == pytest.approx(sigma)
        for level in QUANTILES:
            assert row[quantile_column("q", level)] == pytest.approx(80 * math.exp(norm.ppf(level, scale=sigma)))


def test_return_scales_equal_values_computed_by_hand() -> None:
    log_prices = [4.0, 4.1, 4.0, 4.3]
    bars = pl.DataFrame({"ticker": "X", "date": [date(2020, 1, n) for n in range(1, 5)], "log_price": log_prices})
    row = return_scales(Panel(bars.with_columns(bar=pl.int_range(4)))).row(0, named=True)
    assert row["naive_scale"] == pytest.approx((0.1 + 0.1 + 0.3) / 3)
    assert row["constant_sigma"] == pytest.approx(math.sqrt((0.01 + 0.01 + 0.09) / 3))
