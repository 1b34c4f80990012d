from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from pm.forecast.cross_validation import (
    backtests,
    bars_needed,
    outcomes,
    rolling_origins,
    score_models,
    window_overlap,
)
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
    group_correlation=0.6,
    group_size=8,
    max_age_days=10,
)


def origin_bars(panel: Panel, settings: ForecastSettings) -> list[int]:
    origins = rolling_origins(panel, settings)
    return panel.bars_at(origins)["bar"].to_list()


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
def test_origins_of_histories_of_any_length(bars: int, expected: list[int], as_panel: Callable[..., Panel]) -> None:
    assert origin_bars(as_panel({"X": np.linspace(4, 5, bars)}), BASE) == expected


@hypothesis_settings(max_examples=60, deadline=None)
@given(bars=st.integers(1, 400), horizon=st.integers(1, 60), step=st.integers(1, 50), count=st.integers(2, 12))
def test_origins_equal_their_definition(bars: int, horizon: int, step: int, count: int) -> None:
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


def test_outcomes_are_the_bars_after_the_origins(as_panel: Callable[..., Panel]) -> None:
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


def test_window_overlap_counts_the_windows_with_a_common_session() -> None:
    for horizon in range(1, 25):
        for step in range(1, 25):
            settings = BASE.model_copy(update={"horizon": horizon, "origin_step": step})
            windows = [set(range(step * k + 1, step * k + horizon + 1)) for k in range(horizon + 1)]
            assert window_overlap(settings) == sum(bool(windows[0] & window) for window in windows)


@pytest.fixture
def tested(as_panel: Callable[..., Panel]) -> tuple[Panel, pl.DataFrame, pl.DataFrame]:
    """Build a panel, forecasts by naive and by two models that add noise to it, and the realised prices."""
    rng = np.random.default_rng(3)
    panel = as_panel({ticker: 4 + np.cumsum(rng.normal(0, 0.02, n)) for ticker, n in (("A", 300), ("B", 250))})
    actual = outcomes(panel, rolling_origins(panel, BASE), BASE.horizon)
    naive = (
        panel.bars.rename({"date": "origin_date", "log_price": "mean"})
        .join(actual.select("ticker", "origin_date", "step"), on=["ticker", "origin_date"])
        .select("ticker", pl.lit("naive").alias("model"), "origin_date", "step", "mean")
    )
    noise = [rng.normal(0, 0.01, naive.height) for _ in range(2)]
    others = [
        naive.with_columns(model=pl.lit(model), mean=pl.col("mean") + pl.Series(part))
        for model, part in zip(("arima", "theta"), noise, strict=True)
    ]
    return panel, pl.concat([*others, naive]), actual


def test_scores_equal_those_of_a_loop(tested: tuple[Panel, pl.DataFrame, pl.DataFrame]) -> None:
    panel, forecasts, actual = tested
    found = backtests(panel, forecasts.sample(fraction=1, shuffle=True, seed=1), actual)
    assert list(found) == ["A", "B"]
    truth = {row[:3]: row[3] for row in actual.select("ticker", "origin_date", "step", "actual").iter_rows()}
    means = {
        (t, m, o, k): mean
        for t, m, o, k, mean in forecasts.select("ticker", "model", "origin_date", "step", "mean").iter_rows()
    }
    for ticker, backtest in found.items():
        assert backtest.models == ("naive", "arima", "theta")
        own = panel.bars.filter(pl.col("ticker") == ticker)
        days, prices = own["date"].to_list(), own["log_price"].to_list()
        assert backtest.last_target == days[-1]
        assert len(backtest.origin_dates) == 8
        scores = score_models(backtest, overlap=1)
        losses: dict[str, list[float]] = {}
        for model in backtest.models:
            squares, sizes, shares, scaled, right, losses[model] = [], [], [], [], [], []
            for origin in backtest.origin_dates:
                at = days.index(origin)
                moves = [prices[bar] - prices[bar - 1] for bar in range(1, at + 1)]
                variance = sum(move**2 for move in moves[-59:]) / 59
                scale = sum(map(abs, moves)) / len(moves)
                standard = []
                for step in range(1, 21):
                    mean, realised = means[ticker, model, origin, step], truth[ticker, origin, step]
                    squares.append((mean - realised) ** 2)
                    sizes.append(abs(mean - realised))
                    scaled.append(abs(mean - realised) / scale)
                    price, forecast = math.exp(realised), math.exp(mean)
                    shares.append(2 * abs(forecast - price) / (forecast + price))
                    standard.append((mean - realised) ** 2 / step / variance)
                losses[model].append(sum(standard) / 20)
                if mean != prices[at]:
                    right.append((mean - prices[at]) * (realised - prices[at]) > 0)
            row = scores[model]
            assert row["rmse"] == pytest.approx(math.sqrt(sum(squares) / 160))
            assert row["mae"] == pytest.approx(sum(sizes) / 160)
            assert row["smape"] == pytest.approx(sum(shares) / 160)
            assert row["mase"] == pytest.approx(sum(scaled) / 160)
            assert row["loss"] == pytest.approx(sum(losses[model]) / 8)
            assert row["directional_origins"] == len(right)
            assert row["directional_accuracy"] == (pytest.approx(sum(right) / len(right)) if right else None)
            if model == "naive":
                assert (row["relative_rmse"], row["dm_statistic"], row["dm_p_value"]) == (1.0, None, None)
                continue
            theirs = ttest_1samp(np.subtract(losses["naive"], losses[model]), 0, alternative="greater")
            # Without overlap Harvey, Leybourne and Newbold's statistic is Student's.
            assert row["dm_statistic"] == pytest.approx(theirs.statistic)
            assert row["dm_p_value"] == pytest.approx(theirs.pvalue)
        assert max(row["mcs_p_value"] or 0.0 for row in scores.values()) == 1.0
        for row in scores.values():
            assert row["in_confidence_set"] == ((row["mcs_p_value"] or 0.0) > 0.1)


def test_the_loss_of_a_combination_is_a_quadratic_form(
    tested: tuple[Panel, pl.DataFrame, pl.DataFrame],
) -> None:
    backtest = backtests(*tested)["A"]
    products = backtest.error_products()
    weights = np.array([0.2, 0.5, 0.3])
    combined = np.einsum("k,kos->os", weights, backtest.means)
    joined = backtest.with_model("combined", combined)
    assert joined.models == ("naive", "arima", "theta", "combined")
    np.testing.assert_allclose(np.einsum("k,okl,l->o", weights, products, weights), joined.error_products()[:, 3, 3])
    np.testing.assert_array_equal(joined.error_products()[:, :3, :3], products)


def test_a_model_with_a_missing_forecast_is_not_compared(tested: tuple[Panel, pl.DataFrame, pl.DataFrame]) -> None:
    panel, forecasts, actual = tested
    spoilt = (pl.col("ticker") == "A") & (pl.col("model") == "arima") & (pl.col("step") == 7)
    found = backtests(panel, forecasts.filter(~spoilt), actual)
    assert found["A"].models == ("naive", "theta")
    assert found["B"].models == ("naive", "arima", "theta")
    assert list(backtests(panel, forecasts.filter(pl.col("ticker") == "B"), actual)) == ["B"]


def test_other_tickers_do_not_change_a_backtest(tested: tuple[Panel, pl.DataFrame, pl.DataFrame]) -> None:
    panel, forecasts, actual = tested
    alone = backtests(panel.only(["B"]), forecasts.filter(pl.col("ticker") == "B"), actual)["B"]
    together = backtests(*tested)["B"]
    np.testing.assert_array_equal(alone.error_products(), together.error_products())
    assert score_models(alone, overlap=1) == score_models(together, overlap=1)


def test_losses_are_finite_if_the_price_was_constant_before_an_origin(as_panel: Callable[..., Panel]) -> None:
    still = np.concatenate([np.full(200, 4.0), 4 + np.random.default_rng(0).normal(0, 0.02, 100).cumsum()])
    panel = as_panel({"X": still})
    origins = rolling_origins(panel, BASE)
    actual = outcomes(panel, origins, BASE.horizon)
    forecasts = actual.select("ticker", pl.lit("naive").alias("model"), "origin_date", "step", mean=pl.lit(4.0))
    backtest = backtests(panel, forecasts, actual)["X"]
    assert np.isfinite(backtest.error_products()).all()
    overall = np.mean(np.diff(still) ** 2)
    assert backtest.variance.min() == pytest.approx(0.1 * overall)
    scores = score_models(backtest, overlap=1)["naive"]
    assert scores["mase"] is None  # the price was constant before the first origins
    assert scores["rmse"] is not None


def test_models_are_not_compared_on_few_origins(tested: tuple[Panel, pl.DataFrame, pl.DataFrame]) -> None:
    panel, forecasts, actual = tested
    own = actual.filter(pl.col("ticker") == "A")
    late = own.filter(pl.col("origin_date") >= own["origin_date"].unique().sort()[-5])
    scores = score_models(backtests(panel, forecasts, late)["A"], overlap=1)
    assert scores["theta"]["rmse"] is not None
    assert scores["theta"]["mcs_p_value"] is None
    assert scores["theta"]["in_confidence_set"] is None
