"""Stage `risk` on real bars: its rows fit each other, and a run with nothing new does not compute them again."""

from __future__ import annotations

import shutil
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.tables.vocabulary import StageStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.pipeline.runner import RunResult

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]
    Build = Callable[[str, Callable[[Path], object]], Path]

RISK = {"paths": 2_000, "horizons": [1, 5], "tail_levels": [0.999], "window": 500, "limit_horizon": 5}


@pytest.fixture(scope="module")
def house(build_once: Build, stocks: pl.DataFrame, run_pipeline: Run, import_files: Run) -> Path:
    """Return a workspace with the risk of three tickers on 2012-12-31, of which FB began in May."""

    def build(folder: Path) -> None:
        three = pl.col("ticker").is_in(["IBM", "MSFT", "FB"]) & pl.col("date").is_between(
            date(2008, 1, 2), date(2012, 12, 31)
        )
        stocks.filter(three).write_parquet(folder / "bars.parquet")
        import_files(folder, folder / "bars.parquet")
        run_pipeline(folder, upto="risk", risk=RISK)

    return build_once("house_with_risk", build)


def test_the_components_of_each_horizon_and_level_sum_to_its_shortfall(house: Path, read_table: Read) -> None:
    risk = read_table(house, "portfolio_risk", "method = 'joint'")
    parts = read_table(house, "risk_contributions")
    summed = parts.group_by("horizon", "level").agg(pl.col("component_es", "share", "weight").sum())
    joined = risk.join(summed, on=["horizon", "level"])
    assert joined.height == 2 * 3
    assert joined["component_es"].to_numpy() == pytest.approx(joined["es"].to_numpy(), abs=1e-14)
    assert joined["share"].to_numpy() == pytest.approx(np.ones(6))
    assert joined["weight"].to_numpy() == pytest.approx(np.ones(6))
    alone = parts.group_by("horizon", "level").agg(pl.col("standalone_es").sum())
    assert (risk.join(alone, on=["horizon", "level"]).select(pl.col("es") < pl.col("standalone_es"))["es"]).all()


def test_risk_grows_with_the_level_and_the_horizon_and_beyond_them(house: Path, read_table: Read) -> None:
    risk = read_table(house, "portfolio_risk")
    for measure in ("var", "es"):
        wide = risk.filter(method="joint").pivot("horizon", index="level", values=measure).sort("level")
        assert (wide["5"] > wide["1"]).all()
        assert wide["1"].is_sorted()
        assert wide["5"].is_sorted()
    tail = risk.filter(method="tail", horizon=5).row(0, named=True)
    assert tail["var"] > risk.filter(method="joint", horizon=5, level=0.99)["var"][0]
    assert set(risk["method"]) == {"joint", "tail", "drawdown", "normal_ewma", "historical"}
    assert set(risk["portfolio"]) == {"model"}
    assert set(risk.filter(method="joint", horizon=1)["scenarios"]) == {500}
    assert set(risk.filter(method="joint", horizon=5)["scenarios"]) == {2000}
    assert risk.filter(method="joint")["se_es"].min() > 0  # type: ignore[operator]


def test_a_ticker_without_residuals_on_some_dates_is_said_so(house: Path, read_table: Read) -> None:
    excluded = read_table(house, "exclusions", "stage = 'risk'")
    assert excluded.select("ticker", "reason").rows() == [("FB", "residuals_filled")]
    began = read_table(house, "bars", "ticker = 'FB'").height - 1
    assert f"no return on {500 - began:,} of the 500 joint dates" in excluded["detail"][0]


def test_stress_results_are_about_the_bars(house: Path, read_table: Read) -> None:
    stress = read_table(house, "stress_results")
    crisis = stress.filter(scenario="autumn of 2008").row(0, named=True)
    closes = read_table(house, "bars").with_columns(price=pl.col("close") * pl.col("adj_factor"))
    expected = 0.0
    for ticker in ("IBM", "MSFT"):
        own = closes.filter(ticker=ticker)
        before = own.filter(pl.col("date") < date(2008, 9, 12))["price"][-1]
        after = own.filter(pl.col("date") <= date(2008, 11, 20))["price"][-1]
        expected += (after / before - 1) / 3
    assert crisis["portfolio_return"] == pytest.approx(expected)
    assert crisis["covered"] == pytest.approx(2 / 3)
    assert "pandemic of 2020" not in stress["scenario"].to_list()
    worst = stress.filter(kind="worst_sessions").sort("sessions")["portfolio_return"]
    assert (worst < 0).all()
    assert stress.filter(scenario="all move 3 sigma alike", sessions=1)["portfolio_return"][0] < 0


def test_factors_and_exposures(house: Path, read_table: Read) -> None:
    exposures = read_table(house, "exposures")
    shares = exposures.group_by("source", "entity").agg(
        total=pl.col("variance_share").sum() + pl.col("specific_share").first()
    )
    assert shares["total"].to_numpy() == pytest.approx(np.ones(shares.height))
    assert set(exposures["entity"]) == {"FB", "IBM", "MSFT", "portfolio model"}
    assert (exposures.filter(source="principal", factor="pc1")["beta"] > 0).all()
    assert set(exposures.filter(source="published")["factor"]) == {"Mkt-RF", "SMB", "HML"}
    factors = read_table(house, "factor_returns")
    market = factors.filter(source="published", factor="Mkt-RF", date=date(2008, 10, 1))["value"]
    assert market.to_list() == pytest.approx([-0.1723], abs=2e-4)  # of Ken French's file
    assert factors.filter(source="principal", factor="pc1").height == 500


def test_limits_that_equal_weights_do_not_keep_are_only_said(house: Path, read_table: Read) -> None:
    events = read_table(house, "limit_events", "limit_name = 'max_weight'")
    assert events["subject"].sort().to_list() == ["FB", "IBM", "MSFT"]
    assert set(events["action"]) == {"warn"}
    assert events["value"].to_numpy() == pytest.approx(np.full(3, 1 / 3))


def test_a_run_with_nothing_new_skips_the_stage_and_another_seed_does_not(
    house: Path, tmp_path: Path, run_pipeline: Run, read_table: Read
) -> None:
    own = shutil.copytree(house, tmp_path / "house")
    again = run_pipeline(own, upto="risk", risk=RISK)
    events = read_table(own, "stage_events", f"run_id = '{again.run_id}' AND stage = 'risk'")
    assert events["status"].to_list() == [StageStatus.SKIPPED.value]
    other = run_pipeline(own, upto="risk", risk=RISK | {"seed": 5})
    before, after = (
        read_table(own, "portfolio_risk", f"run_id {sign} '{other.run_id}' AND method = 'joint'")
        for sign in ("<>", "=")
    )
    assert before.filter(horizon=1)["es"].to_list() != after.filter(horizon=1)["es"].to_list()  # of residuals filled in
    assert before.filter(horizon=5)["es"].to_numpy() == pytest.approx(
        after.filter(horizon=5)["es"].to_numpy(), rel=0.25
    )
