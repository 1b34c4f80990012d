"""The comparison of an evaluation's distributions, against loops and simulated truth."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pm.forecast.member_scores import MEMBERS, member_sets
from pm.statistics.scores import crps_quantiles
from pm.tables.quantiles import QUANTILES, quantile_column

DAYS = [date(2020, 1, 1) + timedelta(days=place) for place in range(400)]
NORMAL = [-1.959964, -1.644854, -1.281552, -0.6744898, 0.0, 0.6744898, 1.281552, 1.644854, 1.959964]
WIDTHS = {"naive": 1.0, "garch_pool": 1.05, "panel": 1.6, "garch_hs": 2.0}
"""Standard deviation of each distribution, relative to the right one."""


def bars() -> pl.DataFrame:
    rng = np.random.default_rng(2)
    return pl.concat(
        pl.DataFrame(
            {
                "ticker": ticker,
                "date": DAYS,
                "close": 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(DAYS)))),
                "adj_factor": 1.0,
            }
        )
        for ticker in ("A", "B", "C")
    )


def forecasts(prices: pl.DataFrame, places: range, steps: tuple[int, ...]) -> pl.DataFrame:
    rows = []
    for ticker, day, close, _ in prices.filter(pl.col("date").is_in([DAYS[place] for place in places])).iter_rows():
        for step in steps:
            for model, width in WIDTHS.items():
                sigma = 0.01 * step**0.5 * width
                quantiles = {
                    quantile_column("q", p): close * float(np.exp(sigma * z))
                    for p, z in zip(QUANTILES, NORMAL, strict=True)
                }
                row = {"ticker": ticker, "model": model, "cutoff": day, "origin_date": day, "origin_close": close}
                rows.append(row | {"step": step, "sigma": sigma} | quantiles)
    return pl.DataFrame(rows)


def test_wrong_widths_are_not_in_the_set_and_right_ones_are() -> None:
    prices = bars()
    found = member_sets(forecasts(prices, range(0, 380, 5), (1, 5)), prices, (1, 5))
    assert found["dates"].to_list() == [76] * 8
    assert found["forecasts"].to_list() == [228] * 8
    for step in (1, 5):
        own = dict(found.filter(step=step).select("model", "in_confidence_set").iter_rows())
        assert own["naive"]
        assert not own["panel"]
        assert not own["garch_hs"]
        assert max(found.filter(step=step)["mcs_p_value"]) == 1.0


def test_the_crps_is_the_mean_over_dates_of_the_mean_over_tickers() -> None:
    prices = bars()
    rows = forecasts(prices, range(0, 380, 5), (5,))
    # On the first ten dates only A has all models, so that B and C do not count there.
    few = pl.col("cutoff").is_in([DAYS[place] for place in range(0, 50, 5)])
    rows = rows.filter(~(few & (pl.col("ticker") != "A") & (pl.col("model") == "panel")))
    found = member_sets(rows, prices, (5,))
    closes = {(ticker, day): close for ticker, day, close, _ in prices.iter_rows()}
    expected = []
    for place in range(0, 380, 5):
        losses = []
        for ticker in ("A",) if place < 50 else ("A", "B", "C"):
            outcome = np.log(closes[ticker, DAYS[place + 5]] / closes[ticker, DAYS[place]])
            sigma = 0.01 * 5**0.5
            losses.append(float(crps_quantiles(np.array(NORMAL) * sigma * 1.6, outcome, QUANTILES)) / sigma)
        expected.append(np.mean(losses))
    row = found.filter(model="panel").row(0, named=True)
    assert row["scaled_crps"] == pytest.approx(np.mean(expected), rel=1e-9)
    assert row["forecasts"] == 10 + 66 * 3


def test_few_dates_have_no_set_and_none_has_no_row() -> None:
    prices = bars()
    few = member_sets(forecasts(prices, range(0, 35, 5), (1,)), prices, (1,))
    assert few["model"].to_list() == list(MEMBERS)
    assert few["mcs_p_value"].null_count() == few["in_confidence_set"].null_count() == 4
    assert member_sets(forecasts(prices, range(0, 35, 5), (1,)), prices.head(0), (1,)).is_empty()
