"""Observations through the pipeline: imported once, tested, and used by forecasts of later dates alone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from pm import pipeline
from pm.errors import InputError, NoResultsError
from pm.pipeline import Request, open_lake
from pm.sources.observation_import import OBSERVATIONS_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.pipeline.runner import RunResult
    from pm.workspace import Workspace

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]
    Build = Callable[[str, Callable[[Path], object]], Path]

BARS, TESTED = 640, 600
"""Number of bars, and of those that the test of the observation sees."""


def weekdays() -> list[date]:
    days: list[date] = []
    on = date(2021, 1, 4)
    while len(days) < BARS:
        if on.weekday() < 5:
            days.append(on)
        on += timedelta(days=1)
    return days


DAYS = weekdays()


def world() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return bars of two tickers whose next returns follow a number, and the number, known on the day."""
    bars, numbers = [], []
    for place, ticker in enumerate(("KITE", "WREN")):
        rng = np.random.default_rng(place)
        number = np.zeros(BARS)
        for at in range(1, BARS):
            number[at] = 0.95 * number[at - 1] + rng.standard_normal()
        returns = 0.01 * rng.standard_normal(BARS)
        returns[1:] += 0.006 * number[:-1]
        bars.append(pl.DataFrame({"date": DAYS, "close": 100 * np.exp(np.cumsum(returns))}).with_columns(
            ticker=pl.lit(ticker)))  # fmt: skip
        known = [datetime.combine(on, time(20)) for on in DAYS]
        for name, values in (("tells", number), ("noise", rng.standard_normal(BARS))):
            numbers.append(pl.DataFrame({"date": DAYS, "known_at": known, "value": values}).with_columns(
                ticker=pl.lit(ticker), name=pl.lit(name), source=pl.lit("files")))  # fmt: skip
    return pl.concat(bars), pl.concat(numbers).select(list(OBSERVATIONS_SCHEMA)).cast(OBSERVATIONS_SCHEMA)


@pytest.fixture(scope="module")
def house(
    build_once: Build, run_pipeline: Run, import_files: Run, workspace_in: Callable[[Path], Workspace],
    settings_with: Callable[..., Any],
) -> Path:  # fmt: skip
    """Return a workspace whose observations were tested on the first bars, with forecasts before and after."""

    def build(folder: Path) -> None:
        bars, numbers = world()
        settings, workspace = settings_with(), workspace_in(folder)
        bars.filter(pl.col("date") <= DAYS[TESTED - 1]).write_parquet(folder / "bars.parquet")
        import_files(folder, folder / "bars.parquet")
        with open_lake(workspace, settings) as lake:
            for rows in (numbers, numbers.head(10)):
                pipeline.import_observations(
                    lake, workspace, settings, lambda _: None, observations=rows, where="numbers.csv"
                )
        run_pipeline(folder, upto="forecast")
        with open_lake(workspace, settings) as lake:
            for name in ("tells", "noise"):
                pipeline.judge_observation(lake, workspace, settings, lambda _: None, request=Request(), name=name)
            with pytest.raises(NoResultsError, match="Did you mean 'tells'"):
                pipeline.judge_observation(lake, workspace, settings, lambda _: None, request=Request(), name="tell")
            changed = numbers.head(1).with_columns(value=pl.col("value") + 1)
            with pytest.raises(InputError, match="another value of tells for KITE"):
                pipeline.import_observations(
                    lake, workspace, settings, lambda _: None, observations=changed, where="numbers.csv"
                )
        bars.write_parquet(folder / "bars.parquet")
        import_files(folder, folder / "bars.parquet")
        run_pipeline(folder, upto="forecast")

    return build_once("house_with_observations", build)


def test_observations_land_once(house: Path, read_table: Read) -> None:
    assert read_table(house, "observations").height == 4 * BARS
    events = read_table(house, "stage_events", "stage = 'import_observations' AND status = 'done'")
    assert sorted(events["summary"]) == [
        "0 observations of 0 tickers; 10 observations known already", "2,560 observations of 2 tickers",
    ]  # fmt: skip


def test_the_test_sees_nothing_after_its_day(house: Path, read_table: Read) -> None:
    tests = {row["name"]: row for row in read_table(house, "observation_tests").iter_rows(named=True)}
    assert tests.keys() == {"tells", "noise"}
    for row in tests.values():
        assert (row["tickers"], row["last_target"], row["cutoff"]) == (2, DAYS[TESTED - 1], DAYS[TESTED - 1])
    assert tests["tells"]["dm_p_value"] < 0.01
    assert tests["tells"]["relative_loss"] < 0.9
    assert tests["noise"]["dm_p_value"] > 0.05


def test_forecasts_use_what_passed_from_the_dates_after_its_test_on(house: Path, read_table: Read) -> None:
    forecasts = read_table(house, "forecasts", "model = 'observed'")
    assert set(forecasts["cutoff"]) == {DAYS[-1]}
    assert set(forecasts["ticker"]) == {"KITE", "WREN"}
    assert (forecasts["mean_log_return"] != 0).all()
    weights = read_table(house, "model_weights", "model = 'observed'")
    assert set(weights["cutoff"]) == {DAYS[-1]}
    assert (weights["first_origin"] > DAYS[TESTED - 1]).all()  # so that the errors are of dates after the test
    assert (weights["relative_rmse"] < 0.8).all()


def test_another_observation_does_not_make_forecasts_new(
    house: Path, tmp_path: Path, run_pipeline: Run, workspace_in: Callable[[Path], Workspace],
    settings_with: Callable[..., Any],
) -> None:  # fmt: skip
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(house, folder)
    settings, workspace = settings_with(), workspace_in(folder)
    rows = world()[1].head(3).with_columns(name=pl.lit("another"))
    with open_lake(workspace, settings) as lake:
        pipeline.import_observations(lake, workspace, settings, lambda _: None, observations=rows, where="numbers.csv")
    assert not run_pipeline(folder, upto="forecast").worked
    rows = world()[1].head(1).with_columns(known_at=pl.col("known_at") + timedelta(days=1))
    with open_lake(workspace, settings) as lake:
        pipeline.import_observations(lake, workspace, settings, lambda _: None, observations=rows, where="numbers.csv")
    assert run_pipeline(folder, upto="forecast").worked
