from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.forecast.cross_validation import Backtest
from pm.forecast.stacking import combine
from pm.forecast.weights import ENSEMBLE, combine_models, model_weights

HORIZON = 20


def backtest(ticker: str, *, origins: int, skill: float, seed: int = 0) -> Backtest:
    """Build a backtest of naive, of 'good', which predicts a fraction `skill` of each change, and of 'noise'."""
    rng = np.random.default_rng(seed)
    moves = np.cumsum(rng.normal(0, 0.02, (origins, HORIZON)), axis=1)
    start = np.full(origins, 4.0)
    guesses = [0 * moves, skill * moves, rng.normal(0, 0.02, moves.shape)]
    days = tuple(date(2020, 1, 1) + timedelta(days=28 * place) for place in range(origins))
    return Backtest(
        ticker=ticker,
        models=("naive", "good", "noise"),
        origin_dates=days,
        last_target=days[-1] + timedelta(days=28),
        actual=4.0 + moves,
        means=4.0 + np.array(guesses),
        origin=start,
        naive_scale=np.full(origins, 0.016),
        variance=np.full(origins, 0.02**2),
    )


REASONS: dict[str, dict[str, str]] = {"naive": {}, "noise": {}, "good": {}, "late": {"EDGE": "needs 250 bars, has 196"}}


@pytest.fixture
def weights() -> pl.DataFrame:
    tests = {
        "EDGE": backtest("EDGE", origins=16, skill=0.5),
        "WALK": backtest("WALK", origins=16, skill=-0.1),
        "FEW": backtest("FEW", origins=5, skill=0.5),
    }
    return model_weights(["WALK", "FEW", "EDGE", "NONE"], combine_models(tests, overlap=1), REASONS)


def test_every_ticker_has_a_row_for_each_model_and_the_ensemble(weights: pl.DataFrame) -> None:
    assert weights["ticker"].unique(maintain_order=True).to_list() == ["EDGE", "FEW", "NONE", "WALK"]
    for own in weights.partition_by("ticker"):
        assert own["model"].to_list() == ["ensemble", "good", "late", "naive", "noise"]
        assert own["weight"].sum() == pytest.approx(1.0)
        assert own["weight"].is_null().to_list() == [True, False, False, False, False]
        assert own["verdict"].n_unique() == own["evidence"].n_unique() == 1


def test_a_model_with_skill_has_weight_and_gives_the_ticker_an_edge(weights: pl.DataFrame) -> None:
    own = {row["model"]: row for row in weights.filter(ticker="EDGE").iter_rows(named=True)}
    assert {row["verdict"] for row in own.values()} == {"edge"}
    assert own["good"]["weight"] > 0.5
    # If half of each change is predicted, half of each error remains.
    assert own["good"]["relative_rmse"] == pytest.approx(0.5)
    assert own["good"]["directional_accuracy"] == 1.0
    assert own["good"]["dm_p_value"] < 0.01
    assert own["good"]["in_confidence_set"]
    assert not own["naive"]["in_confidence_set"]
    assert own["late"]["reason"] == "needs 250 bars, has 196"
    assert (own["late"]["weight"], own["late"]["rmse"], own["late"]["origins"]) == (0.0, None, 0)


@pytest.mark.parametrize(("ticker", "evidence"), [("WALK", "own"), ("FEW", "none"), ("NONE", "none")])
def test_naive_has_all_the_weight_without_evidence(weights: pl.DataFrame, ticker: str, evidence: str) -> None:
    own = weights.filter(ticker=ticker)
    assert own["verdict"].unique().to_list() == ["no edge"]
    assert own["evidence"].unique().to_list() == [evidence]
    assert own.filter(weight=1.0)["model"].to_list() == ["naive"]


def test_the_ensembles_errors_are_those_of_left_out_weights(weights: pl.DataFrame) -> None:
    tested = backtest("EDGE", origins=16, skill=0.5)
    found = combine(tested.error_products(), overlap=1)
    squares = []
    for origin in range(16):
        mixed = sum(found.left_out_weights[origin, model] * tested.means[model, origin] for model in range(3))
        squares.append((mixed - tested.actual[origin]) ** 2)
    row = weights.row(by_predicate=(pl.col("ticker") == "EDGE") & (pl.col("model") == ENSEMBLE), named=True)
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean(squares)))
    assert row["origins"] == 16
    assert row["relative_rmse"] < 0.8


def test_an_ensemble_of_naive_alone_equals_naive(weights: pl.DataFrame) -> None:
    row = weights.row(by_predicate=(pl.col("ticker") == "FEW") & (pl.col("model") == ENSEMBLE), named=True)
    assert (row["relative_rmse"], row["dm_statistic"], row["dm_p_value"]) == (1.0, 0.0, 0.5)


def test_a_model_with_missing_forecasts_has_a_reason() -> None:
    rows = model_weights(
        ["X"], combine_models({"X": backtest("X", origins=9, skill=0.1)}, overlap=1), {**REASONS, "odd": {}}
    )
    odd = rows.row(by_predicate=pl.col("model") == "odd", named=True)
    assert (odd["weight"], odd["reason"]) == (0.0, "lacks a forecast of some step from some origin")


def test_other_tickers_do_not_change_the_weights(weights: pl.DataFrame) -> None:
    alone = model_weights(
        ["EDGE"], combine_models({"EDGE": backtest("EDGE", origins=16, skill=0.5)}, overlap=1), REASONS
    )
    assert_frame_equal(alone, weights.filter(ticker="EDGE"), check_exact=True)


def judged(rows: pl.DataFrame, overlap: int = 1) -> pl.DataFrame:
    """Return the ensembles' rows, with what their own numbers say of an edge in column `stored`."""
    largest = (1 - 1.44 / (pl.col("origins") / overlap).sqrt()).clip(0).sqrt()
    better = (pl.col("dm_p_value") < 0.05) & (pl.col("relative_rmse") < largest)
    return rows.filter(model=ENSEMBLE).with_columns(stored=better.fill_null(value=False))


@pytest.mark.parametrize("overlap", [1, 2])
def test_the_verdict_is_what_the_numbers_of_its_row_say(overlap: int) -> None:
    """Skills of all sizes, so that many tickers are near the threshold."""
    skills = np.linspace(0, 0.6, 240)
    tests = {
        f"T{place:03}": backtest(f"T{place:03}", origins=9 + place % 12, skill=skill, seed=place)
        for place, skill in enumerate(skills)
    }
    rows = judged(model_weights(tests, combine_models(tests, overlap=overlap), REASONS), overlap)
    assert rows["stored"].to_list() == (rows["verdict"] == "edge").to_list()
    assert 20 < rows["stored"].sum() < 220


def test_a_significant_gain_as_small_as_chance_gives_is_no_edge() -> None:
    """A small part of each change is predicted, at all of 16 origins: the test is sure, but the RMSE is above 0.8."""
    rows = judged(
        model_weights(["X"], combine_models({"X": backtest("X", origins=16, skill=0.15)}, overlap=1), REASONS)
    )
    assert rows["dm_p_value"].item() < 0.001
    assert 0.8 < rows["relative_rmse"].item() < 0.95
    assert rows["verdict"].item() == "no edge"


def test_a_smaller_loss_with_a_larger_rmse_is_no_edge() -> None:
    """The model is right from every origin but one; before that one, prices moved most, so that it counts least."""
    calm = backtest("X", origins=16, skill=0.5)
    volatile, moves = np.arange(16) == 7, calm.actual - 4.0
    actual = np.where(volatile[:, np.newaxis], 40 * moves, moves)
    means = calm.means - 4.0
    means[1, 7] = -0.05 * actual[7]
    means[2] = 0.0
    variance = np.where(volatile, 80.0**2, 1.0) * calm.variance
    tests = {"X": replace(calm, actual=4.0 + actual, means=4.0 + means, variance=variance)}
    ensembles = combine_models(tests, overlap=1)
    rows = judged(model_weights(["X"], ensembles, REASONS))
    assert rows["dm_p_value"].item() < 0.05
    assert rows["relative_rmse"].item() > 1
    assert (rows["verdict"].item(), ensembles["X"].weights) == ("no edge", {"naive": 1.0})
