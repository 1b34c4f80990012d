from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.forecast import ForecastResult, forecast_tickers, join_results
from pm.forecast.cross_validation import Backtest
from pm.forecast.pooling import (
    ERROR_PRODUCTS_SCHEMA,
    combine_pooled,
    error_products_frame,
    reweight_ensemble,
    with_pooled_weights,
)
from pm.forecast.stacking import combine
from pm.forecast.weights import ENSEMBLE, combine_models, model_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pm.settings import ForecastSettings

    Array = NDArray[np.float64]
    Build = Callable[..., pl.DataFrame]

HORIZON, FIRST, GAP = 20, date(2020, 1, 1), 28


def backtest(ticker: str, changes: Array, forecasts: dict[str, Array], *, late: int = 0) -> Backtest:
    """Build a backtest of naive and of models with given forecasts, from `late` days before the usual origins."""
    origins = len(changes)
    days = tuple(FIRST + timedelta(days=GAP * (20 - origins + i) - late) for i in range(origins))
    return Backtest(
        ticker=ticker,
        models=("naive", *forecasts),
        origin_dates=days,
        last_target=days[-1] + timedelta(days=GAP),
        actual=4.0 + changes,
        means=4.0 + np.array([0 * changes, *forecasts.values()]),
        origin=np.full(origins, 4.0),
        naive_scale=np.full(origins, 0.016),
        variance=np.full(origins, 0.02**2),
    )


def simulate_market(rng: np.random.Generator, origins: int, tickers: int, *, common: float) -> Array:
    """Simulate changes of tickers that share a fraction `common` of their variance; shape (tickers, origins, steps)."""
    shared = rng.normal(0, 0.02, (1, origins, HORIZON))
    own = rng.normal(0, 0.02, (tickers, origins, HORIZON))
    return np.asarray(np.cumsum(np.sqrt(common) * shared + np.sqrt(1 - common) * own, axis=2))


def skilled_backtests() -> dict[str, Backtest]:
    rng = np.random.default_rng(0)
    changes = simulate_market(rng, 14, 6, common=0.4)
    tests = {
        f"T{i}": backtest(f"T{i}", changes[i], {"bad": rng.normal(0, 0.05, changes[i].shape), "good": 0.5 * changes[i]})
        for i in range(6)
    }
    few = simulate_market(rng, 4, 2, common=0.4)
    tests["NEW"] = backtest("NEW", few[0], {"bad": 0 * few[0], "good": 0.5 * few[0]}, late=3)
    tests["PART"] = backtest("PART", few[1], {"bad": 0 * few[1]})
    return tests


REASONS: dict[str, dict[str, str]] = {"naive": {}, "bad": {}, "good": {"PART": "needs 250 bars, has 140"}}


def test_every_pair_of_models_has_one_row_an_origin() -> None:
    tests = skilled_backtests()
    rows = error_products_frame(tests)
    assert rows.schema == ERROR_PRODUCTS_SCHEMA
    assert rows.height == 6 * 14 * 6 + 4 * 6 + 4 * 3
    assert not rows.select("ticker", "origin_date", "model", "other").is_duplicated().any()
    products = tests["T3"].error_products()
    own = rows.filter(ticker="T3", model="naive", other="good").sort("origin_date")["product"]
    np.testing.assert_array_equal(own, products[:, 0, 2])
    assert_frame_equal(error_products_frame({}), ERROR_PRODUCTS_SCHEMA.to_frame())


def test_pooled_weights_are_those_of_the_mean_of_each_period() -> None:
    # Origins a few days apart are in the same period. The means are summed in another order; G + λI has a condition
    # number of at most about 100, so that weights agree to about 1e-14.
    rng = np.random.default_rng(0)
    changes = simulate_market(rng, 14, 6, common=0.4)
    tests = {
        f"T{i}": backtest(f"T{i}", own, {"bad": rng.normal(0, 0.05, own.shape), "good": 0.5 * own}, late=i % 4)
        for i, own in enumerate(changes)
    }
    pooled = combine_pooled(error_products_frame(tests), overlap=1)
    assert pooled is not None
    assert (pooled.models, pooled.periods) == (("naive", "bad", "good"), 14)
    expected = combine(np.mean([test.error_products() for test in tests.values()], axis=0), overlap=2)
    np.testing.assert_allclose(pooled.combination.weights, expected.weights, atol=1e-12)
    assert pooled.combination.test.statistic == pytest.approx(expected.test.statistic)


def test_naives_errors_take_the_place_of_a_missing_models() -> None:
    tests = skilled_backtests()
    with_copy = dict(tests)
    part = tests["PART"]
    with_copy["PART"] = backtest("PART", part.actual - 4.0, {"bad": part.means[1] - 4.0, "good": part.means[0] - 4.0})
    one, other = (combine_pooled(error_products_frame(each), overlap=1) for each in (tests, with_copy))
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one.combination.weights, other.combination.weights, atol=1e-12)


def test_pooled_weights_do_not_depend_on_the_order_of_rows() -> None:
    rows = error_products_frame(skilled_backtests())
    one, other = (combine_pooled(each, overlap=1) for each in (rows, rows.sample(fraction=1, shuffle=True, seed=1)))
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.combination.weights, other.combination.weights)
    assert one.combination.test == other.combination.test


def test_too_few_periods_give_no_pooled_weights() -> None:
    assert combine_pooled(ERROR_PRODUCTS_SCHEMA.to_frame(), overlap=1) is None
    rng = np.random.default_rng(0)
    changes = simulate_market(rng, 7, 30, common=0.0)
    tests = {f"T{i}": backtest(f"T{i}", changes[i], {"good": 0.9 * changes[i]}) for i in range(30)}
    assert combine_pooled(error_products_frame(tests), overlap=1) is None
    alone = {"X": backtest("X", changes[0][:1], {"good": changes[0][:1]})}
    assert combine_pooled(error_products_frame(alone), overlap=1) is None


def test_tickers_with_few_origins_get_the_pooled_weights() -> None:
    tests = skilled_backtests()
    before = model_weights([*tests, "NONE"], combine_models(tests, overlap=1), REASONS)
    pooled = combine_pooled(error_products_frame(tests), overlap=1)
    assert pooled is not None
    assert pooled.combination.edge
    after = with_pooled_weights(before, pooled)
    untouched = pl.col("ticker").str.starts_with("T") | (pl.col("ticker") == "NONE")
    assert_frame_equal(after.filter(untouched), before.filter(untouched), check_exact=True)
    shares = dict(zip(pooled.models, pooled.combination.weights, strict=True))
    new = {row["model"]: row for row in after.filter(ticker="NEW").iter_rows(named=True)}
    assert {model: row["weight"] for model, row in new.items()} == pytest.approx({**shares, ENSEMBLE: None})
    assert {(row["verdict"], row["evidence"]) for row in new.values()} == {("edge", "pooled")}
    assert new[ENSEMBLE]["rmse"] is None
    assert new["good"]["rmse"] is not None
    part = dict(after.filter(ticker="PART").select("model", "weight").iter_rows())
    assert part["good"] == 0.0
    assert part["naive"] == pytest.approx(shares["naive"] + shares["good"])
    assert with_pooled_weights(before, None) is before


def test_a_pool_without_an_edge_gives_naive_all_the_weight() -> None:
    rng = np.random.default_rng(2)
    changes = simulate_market(rng, 12, 5, common=0.5)
    tests = {f"T{i}": backtest(f"T{i}", changes[i], {"bad": rng.normal(0, 0.05, changes[i].shape)}) for i in range(5)}
    tests["NEW"] = backtest("NEW", changes[0][:4], {"bad": 0.2 + changes[0][:4]})
    before = model_weights(tests, combine_models(tests, overlap=1), {"naive": {}, "bad": {}})
    pooled = combine_pooled(error_products_frame(tests), overlap=1)
    assert pooled is not None
    assert not pooled.combination.edge
    after = with_pooled_weights(before, pooled)
    changed = ["evidence"]
    assert_frame_equal(after.drop(changed), before.drop(changed))
    assert after.filter(ticker="NEW")["evidence"].unique().to_list() == ["pooled"]


def test_a_pool_claims_no_edge_on_random_walks_that_move_together() -> None:
    # `test_pooled_weights_are_those_of_the_mean_of_each_period` shows that these are the pooled weights.
    rng = np.random.default_rng(5)
    steps = np.arange(1, HORIZON + 1)
    claimed = {}
    for common in (0.0, 0.6):
        edges = []
        for _ in range(200):
            changes = simulate_market(rng, 14, 8, common=common)
            # A drift of each ticker, and the momentum of the market's last period.
            drift = rng.normal(0, 0.003, (8, 1, 1)) * steps
            momentum = np.roll(changes.mean(axis=0), 1, axis=0) * 0.5
            momentum[0] = 0.0
            errors = np.stack([-changes, drift - changes, momentum - changes], axis=2)  # ticker, origin, model, step
            products = np.einsum("toks,tols,s->okl", errors, errors, 1 / (steps * 0.02**2)) / (8 * HORIZON)
            edges.append(combine(products, overlap=2).edge)
        claimed[common] = float(np.mean(edges))
    # The level of the test is 5%; with 200 pools the standard error is 1.5%.
    assert max(claimed.values()) <= 0.065, claimed


def test_joined_chunks_do_not_depend_on_their_order(
    walk: Build, settings: ForecastSettings, flat_volatility: Build, next_days: Build
) -> None:
    """Prices rise by 1% a day, a significant drift on long histories; one history is too short to show it."""
    lengths = {"AAA": 320, "BBB": 300, "CCC": 310, "NEW": 110}
    chosen = settings.model_copy(update={"origins": 16, "models": ["naive", "drift"]})
    trend = pl.col("close") * (0.01 * pl.int_range(pl.len())).exp()
    parts = [
        walk(ticker, bars, seed=seed, sigma=0.01).with_columns(close=trend)
        for seed, (ticker, bars) in enumerate(lengths.items())
    ]
    results = [
        forecast_tickers(
            part, flat_volatility(part, 10), next_days(part, 10), settings=chosen, as_of=date(2020, 12, 31)
        )
        for part in parts
    ]
    joined = join_results(results, chosen)
    backwards = join_results(results[::-1], chosen)
    for name in ("forecasts", "weights", "exclusions"):
        assert_frame_equal(getattr(joined, name), getattr(backwards, name), check_exact=True)

    verdicts = {row[0]: row[1:] for row in joined.weights.select("ticker", "verdict", "evidence").unique().iter_rows()}
    assert verdicts == dict.fromkeys(("AAA", "BBB", "CCC"), ("edge", "own")) | {"NEW": ("edge", "pooled")}
    one_by_one = ForecastResult(
        *(pl.concat(getattr(r, n) for r in results) for n in ("forecasts", "weights", "exclusions"))
    )
    settled = (pl.col("ticker") != "NEW") | (pl.col("model") != ENSEMBLE)
    assert_frame_equal(joined.forecasts.filter(settled), one_by_one.forecasts.filter(settled), check_exact=True)

    shares = dict(joined.weights.filter(ticker="NEW").select("model", "weight").iter_rows())
    assert shares["drift"] > 0.5
    rows = joined.forecasts.filter(ticker="NEW", step=7)
    by_model = {row["model"]: row for row in rows.iter_rows(named=True)}
    mixed = sum(shares[model] * by_model[model]["mean_log_return"] for model in ("naive", "drift"))
    ensemble = by_model[ENSEMBLE]
    assert ensemble["mean_log_return"] == pytest.approx(mixed)
    assert ensemble["mean"] == pytest.approx(ensemble["origin_close"] * np.exp(mixed))
    # The quantiles relative to the mean do not change: they are those of all models of a ticker.
    assert ensemble["q05"] / ensemble["mean"] == pytest.approx(by_model["naive"]["q05"] / by_model["naive"]["mean"])


def test_reweighting_with_the_same_weights_changes_nothing_but_rounding(
    walk: Build, settings: ForecastSettings, flat_volatility: Build, next_days: Build
) -> None:
    prices = walk("AAA", 200, seed=3)
    result = forecast_tickers(
        prices, flat_volatility(prices, 10), next_days(prices, 10), settings=settings, as_of=date(2020, 12, 31)
    )
    assert_frame_equal(reweight_ensemble(result.forecasts, result.weights), result.forecasts, rel_tol=1e-13)
