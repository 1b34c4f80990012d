from __future__ import annotations

import math
from datetime import date

import polars as pl
import pytest

from pm.forecast.distribution import price_distribution
from pm.lake.tables import QUANTILES, quantile_column

SPREAD = dict(zip(QUANTILES, (-0.25, -0.2, -0.15, -0.05, 0.002, 0.06, 0.14, 0.19, 0.23), strict=True))


def test_quantiles_by_hand() -> None:
    means = pl.DataFrame(
        {"ticker": ["X", "X"], "model": ["naive", "drift"], "step": [1, 1], "mean_log_return": [0.0, 0.01]}
    )
    volatility = pl.DataFrame(
        {"ticker": "X", "step": 1, "cumulative_sigma": 0.1, **{quantile_column("r", p): r for p, r in SPREAD.items()}}
    )
    targets = pl.DataFrame({"ticker": ["X"], "step": [1], "target_date": [date(2020, 1, 2)]})
    last = pl.DataFrame({"ticker": ["X"], "origin_date": [date(2020, 1, 1)], "origin_close": [80.0]})
    rows = {row["model"]: row for row in price_distribution(means, volatility, targets, last).iter_rows(named=True)}
    for model, mean in (("naive", 0.0), ("drift", 0.01)):
        row = rows[model]
        assert row["mean"] == pytest.approx(80 * math.exp(mean))
        assert row["sigma"] == 0.1
        assert (row["origin_date"], row["target_date"]) == (date(2020, 1, 1), date(2020, 1, 2))
        for level in QUANTILES:
            assert row[quantile_column("q", level)] == pytest.approx(80 * math.exp(mean + SPREAD[level]))
