from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.errors import SettingsError
from pm.forecast import ForecastResult, forecast_tickers
from pm.parallel import map_chunks
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.volatility import fit_volatility

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.settings import ForecastSettings

    Walk = Callable[..., pl.DataFrame]
    Build = Callable[..., pl.DataFrame]
    Forecast = Callable[..., ForecastResult]
    Change = Callable[[pl.DataFrame], pl.DataFrame]

AS_OF = date(2020, 12, 31)
LENGTHS = {"AAA": 320, "BBB": 150, "CCC": 84, "DDD": 60}
STAMP = {"run_id": pl.String, "snapshot_id": pl.Int64, "cutoff": pl.Date}


@pytest.fixture(scope="module")
def prices(walk: Walk) -> pl.DataFrame:
    return pl.concat(walk(ticker, bars, seed=seed) for seed, (ticker, bars) in enumerate(LENGTHS.items()))


@pytest.fixture(scope="module")
def forecast(settings: ForecastSettings, flat_volatility: Build, next_days: Build) -> Forecast:
    """Forecast with volatility and targets for the last bars of `known`, by default the prices themselves."""

    def run(prices: pl.DataFrame, *, known: pl.DataFrame | None = None, **changes: object) -> ForecastResult:
        chosen = settings.model_copy(update=changes)
        known = prices if known is None else known
        volatility, targets = flat_volatility(known, chosen.horizon), next_days(known, chosen.horizon)
        return forecast_tickers(prices, volatility, targets, settings=chosen, as_of=AS_OF)

    return run


@pytest.fixture(scope="module")
def result(prices: pl.DataFrame, forecast: Forecast) -> ForecastResult:
    """Forecast the prices once for all tests."""
    return forecast(prices)


def assert_same(one: ForecastResult, other: ForecastResult) -> None:
    assert_frame_equal(one.forecasts, other.forecasts, check_exact=True)
    assert_frame_equal(one.weights, other.weights, check_exact=True)
    assert_frame_equal(one.exclusions, other.exclusions, check_exact=True)


def test_frames_have_the_columns_of_their_tables(result: ForecastResult) -> None:
    frames = {"forecasts": result.forecasts, "model_weights": result.weights, "exclusions": result.exclusions}
    for name, frame in frames.items():
        stamped = frame.with_columns(pl.lit(None, dtype=dtype).alias(column) for column, dtype in STAMP.items())
        assert_frame_equal(TABLES[name].conform(stamped), stamped)
        assert not frame.select(column for column in TABLES[name].key if column not in STAMP).is_duplicated().any()


def test_the_ensemble_is_the_weighted_mean_of_the_models(result: ForecastResult) -> None:
    shares = {row[:2]: row[2] for row in result.weights.select("ticker", "model", "weight").iter_rows()}
    columns = result.forecasts.select("ticker", "model", "step", "mean_log_return")
    means = {row[:3]: row[3] for row in columns.iter_rows()}
    for ticker in LENGTHS:
        for step in range(1, 11):
            parts = [shares[ticker, m] * means.get((ticker, m, step), 0.0) for m in ("naive", "drift", "theta")]
            # Three products of at most 0.1 are added.
            assert means[ticker, "ensemble", step] == pytest.approx(sum(parts), abs=1e-15)
        assert sum(shares[ticker, m] for m in ("naive", "drift", "theta")) == pytest.approx(1.0)


def test_every_model_has_every_step_and_ordered_quantiles(result: ForecastResult) -> None:
    rows = result.forecasts
    steps = rows.group_by("ticker", "model").agg(pl.col("step").sort())
    assert steps["step"].to_list() == [list(range(1, 11))] * steps.height
    assert set(rows.filter(pl.col("ticker") == "AAA")["model"]) == {"naive", "drift", "theta", "ensemble", "martingale"}
    quantiles = rows.select(quantile_column("q", level) for level in QUANTILES).to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    assert (rows["target_date"] > rows["origin_date"]).all()


def test_prices_are_in_units_of_the_close_as_traded(prices: pl.DataFrame, forecast: Forecast) -> None:
    halved = prices.with_columns(adj_factor=pl.lit(0.5))
    rows = forecast(halved).forecasts
    last = prices.group_by("ticker").agg(pl.col("close").last())
    joined = rows.filter(model="naive").join(last, on="ticker")
    np.testing.assert_allclose(joined["origin_close"], joined["close"])
    np.testing.assert_allclose(joined["mean"], joined["close"])
    np.testing.assert_allclose(rows["mean"], rows["origin_close"] * np.exp(rows["mean_log_return"].to_numpy()))


def test_forecasts_do_not_depend_on_other_tickers_order_or_chunks(
    prices: pl.DataFrame, settings: ForecastSettings, flat_volatility: Build, next_days: Build
) -> None:
    everything = settings.model_copy(update={"models": load_settings().forecast.models})
    work = partial(
        forecast_tickers,
        volatility=flat_volatility(prices, 10),
        targets=next_days(prices, 10),
        settings=everything,
        as_of=AS_OF,
    )
    whole = work(prices)
    assert_same(work(prices.sample(fraction=1, shuffle=True, seed=9)), whole)
    parts = list(map_chunks(work, prices.partition_by("ticker"), jobs=2))
    together = ForecastResult(
        pl.concat(part.forecasts for part in parts),
        pl.concat(part.weights for part in parts),
        pl.concat(part.exclusions for part in parts),
    )
    assert_same(together, whole)


def test_forecasts_do_not_depend_on_bars_after_the_cutoff(
    prices: pl.DataFrame, walk: Walk, forecast: Forecast, result: ForecastResult
) -> None:
    later = pl.concat(
        walk(ticker, 30, seed=99, sigma=0.3).with_columns(pl.col("date") + pl.duration(days=30)) for ticker in LENGTHS
    )
    assert later["date"].min() == AS_OF + timedelta(days=1)
    assert_same(forecast(pl.concat([prices, later]), known=prices), result)


def test_forecasts_use_the_last_bar(prices: pl.DataFrame, forecast: Forecast, result: ForecastResult) -> None:
    moved = prices.with_columns(pl.when(pl.col("date") == AS_OF).then(pl.col("close") * 1.1).otherwise("close"))
    before, after = result.forecasts, forecast(moved).forecasts
    naive = pl.col("model") == "naive"
    np.testing.assert_allclose(after.filter(naive)["mean"], before.filter(naive)["mean"] * 1.1)
    for model in ("drift", "theta"):
        own = (pl.col("model") == model) & (pl.col("ticker") == "AAA")
        assert (after.filter(own)["mean_log_return"] != before.filter(own)["mean_log_return"]).any()


def test_cross_validation_ends_on_the_last_bar(result: ForecastResult) -> None:
    weights = result.weights.filter(pl.col("rmse").is_not_null())
    assert weights["last_target"].unique().to_list() == [AS_OF]
    # Four origins are ten days apart, with ten days after each: the first is forty days before the last bar, or later
    # with a short history.
    first = dict(weights.select("ticker", "first_origin").unique().iter_rows())
    assert first == {
        "AAA": AS_OF - timedelta(days=40),
        "BBB": AS_OF - timedelta(days=40),
        "CCC": AS_OF - timedelta(days=20),
    }


def test_errors_equal_those_of_a_rolling_origin_loop(prices: pl.DataFrame, result: ForecastResult) -> None:
    weights = result.weights
    logs = np.log(prices.filter(ticker="AAA")["close"].to_numpy())
    squares: dict[str, list[float]] = {"naive": [], "drift": []}
    for window in range(4):
        origin = len(logs) - 1 - 10 - 10 * window
        slope = (logs[origin] - logs[0]) / origin
        for step in range(1, 11):
            squares["naive"].append((logs[origin] - logs[origin + step]) ** 2)
            squares["drift"].append((logs[origin] + step * slope - logs[origin + step]) ** 2)
    for model, values in squares.items():
        row = weights.row(by_predicate=(pl.col("ticker") == "AAA") & (pl.col("model") == model), named=True)
        assert row["rmse"] == pytest.approx(np.sqrt(np.mean(values)))
        assert row["relative_rmse"] == pytest.approx(np.sqrt(np.mean(values) / np.mean(squares["naive"])))
        assert row["origins"] == 4


def test_a_short_history_is_forecast_with_naive_alone(result: ForecastResult) -> None:
    rows = result.weights.filter(ticker="DDD").sort("model")
    assert rows["model"].to_list() == ["drift", "ensemble", "naive", "theta"]
    assert rows["weight"].to_list() == [0.0, None, 1.0, 0.0]
    assert rows["reason"].to_list() == ["needs 80 bars, has 60", None, None, "needs 80 bars, has 60"]
    assert rows.select("rmse", "mae", "first_origin").null_count().row(0) == (4, 4, 4)
    assert result.exclusions.select("ticker", "reason").rows() == [("DDD", "short_history")]
    assert set(result.forecasts.filter(ticker="DDD")["model"]) == {"naive", "ensemble", "martingale"}


def test_the_sample_with_the_packaged_settings(
    sample_prices: pl.DataFrame, flat_volatility: Build, next_days: Build
) -> None:
    settings = load_settings().forecast
    cutoff = sample_prices["date"].max()
    assert isinstance(cutoff, date)
    volatility, targets = (build(sample_prices, settings.horizon) for build in (flat_volatility, next_days))
    result = forecast_tickers(sample_prices, volatility, targets, settings=settings, as_of=cutoff)
    assert result.exclusions.is_empty()
    assert result.forecasts.select("ticker", "model").n_unique() == 5 * 9 - 2  # FB is too short for two
    facebook = {row["model"]: row for row in result.weights.filter(ticker="FB").iter_rows(named=True)}
    assert facebook["auto_arima"]["reason"] == "needs 250 bars, has 196"
    assert facebook["auto_arima"]["weight"] == 0
    for model in ("naive", "drift", "theta", "auto_ets"):
        assert facebook[model]["reason"] is None
        assert facebook[model]["origins"] == 6
        assert (facebook[model]["verdict"], facebook[model]["evidence"]) == ("no edge", "none")
    others = result.weights.filter(pl.col("ticker") != "FB", pl.col("reason").is_null())
    assert (others["origins"] == settings.origins).all()
    assert (others["evidence"] == "own").all()
    assert (result.weights["last_target"].drop_nulls() == cutoff).all()


def first_step_only(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter((pl.col("ticker") != "AAA") | (pl.col("step") == 1))


def without(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("ticker") != "AAA")


def from_an_earlier_date(frame: pl.DataFrame) -> pl.DataFrame:
    late = pl.col("origin_date") - pl.duration(days=1)
    return frame.with_columns(origin_date=pl.when(ticker="AAA").then(late).otherwise("origin_date"))


def not_finite(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(r05=pl.when(ticker="AAA").then(float("nan")).otherwise("r05"))


def with_past_target(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(target_date=pl.when(ticker="AAA").then(pl.lit(AS_OF)).otherwise("target_date"))


def unchanged(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def test_a_ticker_with_incomplete_inputs_is_excluded_and_others_are_not_affected(
    prices: pl.DataFrame,
    settings: ForecastSettings,
    flat_volatility: Build,
    next_days: Build,
    forecast: Forecast,
) -> None:
    cases: list[tuple[Change, Change, str]] = [
        (without, unchanged, "no_volatility"),
        (first_step_only, unchanged, "no_volatility"),
        (not_finite, unchanged, "no_volatility"),
        (from_an_earlier_date, unchanged, "origin_mismatch"),
        (unchanged, without, "no_targets"),
        (unchanged, first_step_only, "no_targets"),
        (unchanged, with_past_target, "no_targets"),
    ]
    clean = forecast(without(prices))
    volatility, targets = flat_volatility(prices, 10), next_days(prices, 10)
    found = []
    for change_volatility, change_targets, _ in cases:
        result = forecast_tickers(
            prices, change_volatility(volatility), change_targets(targets), settings=settings, as_of=AS_OF
        )
        found.append(result.exclusions.filter(ticker="AAA")["reason"].to_list())
        assert_same(ForecastResult(result.forecasts, result.weights, without(result.exclusions)), clean)
    assert found == [[reason] for *_, reason in cases]


def test_bad_prices_are_excluded_and_others_are_not_affected(
    prices: pl.DataFrame, walk: Walk, forecast: Forecast, result: ForecastResult
) -> None:
    flat = walk("FLAT", 200, seed=1).with_columns(close=pl.lit(3.0))
    zero = walk("ZERO", 200, seed=1).with_columns(
        close=pl.when(pl.int_range(pl.len()) == 150).then(0).otherwise("close")
    )
    stub = walk("STUB", 5, seed=1)
    with_bad = forecast(pl.concat([flat, prices, stub, zero]))
    reasons = dict(with_bad.exclusions.select("ticker", "reason").iter_rows())
    assert reasons == {"DDD": "short_history", "FLAT": "constant", "STUB": "too_few_bars", "ZERO": "bad_price"}
    assert_frame_equal(with_bad.forecasts, result.forecasts, check_exact=True)
    assert_frame_equal(with_bad.weights, result.weights, check_exact=True)


def test_a_series_with_a_hundredfold_jump_is_forecast(walk: Walk, forecast: Forecast) -> None:
    prices = walk("X", 300, seed=1).with_columns(
        close=pl.when(pl.int_range(pl.len()) > 200).then(pl.col("close") * 100).otherwise("close")
    )
    result = forecast(prices, models=["naive", "drift", "auto_arima", "theta", "auto_ets"])
    assert result.exclusions.is_empty()
    assert np.isfinite(result.forecasts["mean"].to_numpy()).all()
    assert set(result.forecasts["model"]) >= {"naive", "ensemble", "martingale"}


@pytest.mark.parametrize("last", [1.7e308, 1e-320], ids=["huge", "tiny"])
def test_a_forecast_out_of_the_range_of_numbers_is_excluded_and_others_are_not_affected(
    last: float, prices: pl.DataFrame, walk: Walk, forecast: Forecast, result: ForecastResult
) -> None:
    close = pl.when(pl.int_range(pl.len()) == pl.len() - 1).then(pl.lit(last)).otherwise("close")
    extreme = walk("EXTREME", 200, seed=1).with_columns(close=close)
    with_extreme = forecast(pl.concat([extreme, prices]))
    assert dict(with_extreme.exclusions.select("ticker", "reason").iter_rows())["EXTREME"] == "out_of_range"
    kept = with_extreme.exclusions.filter(pl.col("ticker") != "EXTREME")
    assert_same(replace(with_extreme, exclusions=kept), result)
    assert_frame_equal(with_extreme.error_products, result.error_products, check_exact=True)


def test_no_prices_give_empty_tables(prices: pl.DataFrame, forecast: Forecast) -> None:
    result = forecast(prices.clear(), known=prices)
    assert result.forecasts.is_empty()
    assert result.weights.is_empty()
    assert result.exclusions.is_empty()


def test_for_an_unknown_model_the_most_similar_is_suggested(prices: pl.DataFrame, forecast: Forecast) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'theta'"):
        forecast(prices, models=["naive", "thetta"])


def test_random_walks_have_no_edge_and_their_intervals_cover_at_their_level(
    walk: Walk, settings: ForecastSettings, next_days: Build
) -> None:
    count, horizon = 300, settings.horizon
    whole = pl.concat(walk(f"T{i:03d}", 400 + horizon, seed=1000 + i) for i in range(count))
    cutoff = AS_OF - timedelta(days=horizon)
    past = whole.filter(pl.col("date") <= cutoff)
    returns = past.select("ticker", "date", log_return=pl.col("close").log().diff().over("ticker"))
    uncorrected = {"simulations": 2000, "calibration_sessions": 0, "models": ["garch"], "windows": [400], "seed": 1}
    volatility = fit_volatility(
        returns, settings=load_settings().volatility.model_copy(update=uncorrected), horizon=horizon
    )
    result = forecast_tickers(
        past,
        volatility.paths,
        next_days(past, horizon),
        settings=settings.model_copy(update={"models": ["naive", "drift"], "origins": 16}),
        as_of=cutoff,
    )
    verdicts = result.weights.filter(model="ensemble")
    assert (verdicts["evidence"] == "own").all()
    # The level of the test is 5%; with 300 walks the standard error is 1.3%.
    assert (verdicts["verdict"] == "edge").mean() <= 0.065  # type: ignore[operator]
    assert verdicts["in_confidence_set"].mean() >= 0.9  # type: ignore[operator]
    outcome = whole.select("ticker", pl.col("date").alias("target_date"), pl.col("close").alias("outcome"))
    scored = result.forecasts.join(outcome, on=["ticker", "target_date"]).with_columns(
        error=(pl.col("outcome") / pl.col("mean")).log(), inside=pl.col("outcome").is_between("q05", "q95")
    )
    assert scored.height == count * horizon * 4
    rmse = scored.group_by("model", "step").agg((pl.col("error") ** 2).mean().sqrt())
    by_model: dict[str, Any] = {
        str(model): part.sort("step")["error"].to_numpy()
        for (model,), part in rmse.partition_by("model", as_dict=True).items()
    }
    assert np.median(by_model["ensemble"] / by_model["naive"]) == pytest.approx(1.0, abs=0.03)
    ensemble = scored.filter(model="ensemble")
    assert 0.86 <= ensemble["inside"].mean() <= 0.94  # type: ignore[operator]
    for step in (1, horizon):
        # Three standard errors of a proportion of 300 tickers.
        assert ensemble.filter(step=step)["inside"].mean() == pytest.approx(0.9, abs=3 * (0.09 / count) ** 0.5)
