from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.forecast.cross_validation import bars_needed, outcomes, rolling_origins, score
from pm.settings import ForecastSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from pm.forecast.base import Panel

BASE = ForecastSettings(
    horizon=20,
    window=1000,
    models=["naive"],
    origins=8,
    origin_step=20,
    arima_features=[],
    naive_share=0.25,
    max_age_days=10,
)


def origin_bars(panel: Panel, settings: ForecastSettings) -> list[int]:
    origins = rolling_origins(panel, settings)
    return panel.at(origins)["bar"].to_list()


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        (1000, [839, 859, 879, 899, 919, 939, 959, 979]),
        (240, [79, 99, 119, 139, 159, 179, 199, 219]),
        (219, [78, 98, 118, 138, 158, 178, 198]),
        (196, [75, 95, 115, 135, 155, 175]),
        (100, [59, 79]),
        (99, []),
        (5, []),
    ],
)
def test_origins_of_a_history(bars: int, expected: list[int], as_panel: Callable[..., Panel]) -> None:
    assert origin_bars(as_panel({"X": np.linspace(4, 5, bars)}), BASE) == expected


@hypothesis_settings(max_examples=60, deadline=None)
@given(bars=st.integers(1, 400), horizon=st.integers(1, 60), step=st.integers(1, 50), count=st.integers(2, 12))
def test_origins_obey_their_definition(bars: int, horizon: int, step: int, count: int) -> None:
    from datetime import date, timedelta

    from pm.forecast.base import Panel

    settings = BASE.model_copy(update={"horizon": horizon, "origin_step": step, "origins": count})
    days = [date(2010, 1, 1) + timedelta(days=3 * bar) for bar in range(bars)]
    panel = Panel(pl.DataFrame({"ticker": "X", "date": days, "bar": range(bars), "log_price": 1.0}))
    found = origin_bars(panel, settings)
    slow = [bars - 1 - horizon - step * k for k in range(count)]
    slow = sorted(origin for origin in slow if origin + 1 >= 60)
    assert found == (slow if len(slow) >= 2 else [])
    assert bool(found) == (bars >= bars_needed(settings))


def test_outcomes_are_the_bars_that_came(as_panel: Callable[..., Panel]) -> None:
    values = {"A": np.linspace(4, 5, 130), "B": np.linspace(7, 3, 150)}
    panel = as_panel(values)
    origins = rolling_origins(panel, BASE)
    actual = outcomes(panel, origins, BASE.horizon)
    days: dict[str, list[date]] = {
        ticker: panel.bars.filter(pl.col("ticker") == ticker)["date"].to_list() for ticker in values
    }
    assert actual.height == origins.height * BASE.horizon
    for ticker, origin, step, target, price in actual.select(
        "ticker", "origin_date", "step", "target_date", "actual"
    ).iter_rows():
        bar = days[ticker].index(origin) + step
        assert target == days[ticker][bar]
        assert price == values[ticker][bar]
    for ticker in values:
        assert actual.filter(pl.col("ticker") == ticker)["target_date"].max() == days[ticker][-1]


def test_scores_equal_a_plain_loop(as_panel: Callable[..., Panel]) -> None:
    rng = np.random.default_rng(3)
    panel = as_panel({ticker: np.cumsum(rng.normal(size=n)) for ticker, n in (("A", 150), ("B", 210))})
    actual = outcomes(panel, rolling_origins(panel, BASE), BASE.horizon)
    forecasts = pl.concat(
        actual.select("ticker", "origin_date", "step").with_columns(
            model=pl.lit(model), mean=pl.Series(rng.normal(size=actual.height))
        )
        for model in ("naive", "other")
    )
    scores = score(forecasts.sample(fraction=1, shuffle=True, seed=1), actual)

    truth = {row[:3]: row[3] for row in actual.select("ticker", "origin_date", "step", "actual").iter_rows()}
    errors: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for ticker, origin, step, model, mean in forecasts.iter_rows():
        errors.setdefault((ticker, model), []).append((step, mean - truth[ticker, origin, step]))
    assert scores.height == len(errors) == 4
    for row in scores.iter_rows(named=True):
        own = errors[row["ticker"], row["model"]]
        assert row["rmse"] == pytest.approx(math.sqrt(sum(e**2 for _, e in own) / len(own)))
        assert row["mae"] == pytest.approx(sum(abs(e) for _, e in own) / len(own))
        assert row["loss"] == pytest.approx(sum(e**2 / step for step, e in own) / len(own))
        assert row["origins"] == len(own) / BASE.horizon
        assert row["last_target"] == panel.bars.filter(pl.col("ticker") == row["ticker"])["date"].max()


def test_loss_of_a_random_walk_is_its_variance_at_every_step() -> None:
    # The naive error at step k is a sum of k shocks: dividing its square by k makes all steps speak as loudly.
    shocks = np.random.default_rng(0).normal(0, 0.02, (200_000, 10))
    errors = np.cumsum(shocks, axis=1)
    np.testing.assert_allclose((errors**2 / np.arange(1, 11)).mean(axis=0), 0.02**2, rtol=0.02)
