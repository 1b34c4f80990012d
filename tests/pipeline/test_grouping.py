from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pm.pipeline.grouping import grouped_chunks
from pm.settings import ForecastSettings, load_settings

BARS = 1000


@pytest.fixture(scope="module")
def settings() -> ForecastSettings:
    return load_settings().forecast


@pytest.mark.parametrize("bar", [300, 620, 990])
@pytest.mark.parametrize("factor", [1 / 250, 0.4, 4.0, 1e9])
def test_a_wrong_quote_separates_no_related_tickers(factor: float, bar: int, settings: ForecastSettings) -> None:
    rng = np.random.default_rng(1)
    market = rng.normal(0, 0.01, BARS)
    days = [date(2010, 1, 1) + timedelta(days=day) for day in range(BARS)]
    own = {name: market + rng.normal(0, 0.003, BARS) for name in ("A", "B")}
    prices = pl.concat(
        pl.DataFrame({"ticker": name, "date": days, "close": 100 * np.exp(np.cumsum(returns)), "adj_factor": 1.0})
        for name, returns in own.items()
    )
    wrong = (pl.col("ticker") == "B") & (pl.col("date") == days[bar])
    spoilt = prices.with_columns(pl.col("close") * pl.when(wrong).then(factor).otherwise(1.0))
    (chunk,) = grouped_chunks(spoilt, settings, 100)
    assert chunk.groups.rows() == [("A", "A"), ("B", "A")]
