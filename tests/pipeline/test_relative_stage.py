"""The model of relative returns in a run: from table `features`, stored, and only in a run of enough tickers."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.features import compute_features
from pm.forecast.relative.cross_section import REGRESSORS, cross_section_dates
from pm.forecast.relative.model import relative_model
from pm.forecast.relative.rows import relative_fits_frame, relative_tests_frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.pipeline.runner import RunResult

    Read = Callable[..., pl.DataFrame]
    Build = Callable[[str, Callable[[Path], object]], Path]

BARS, TICKERS, HORIZON = 420, 9, 5
DAYS = [date(2020, 1, 1) + timedelta(days=place) for place in range(BARS)]


@pytest.fixture(scope="module")
def house(build_once: Build, run_pipeline: Callable[..., RunResult], import_files: Callable[..., object]) -> Path:
    """Return a workspace of nine tickers, with a run of all and then one that names a ticker."""

    def build(folder: Path) -> None:
        rng = np.random.default_rng(3)
        bars = pl.concat(
            pl.DataFrame({"date": DAYS, "close": 100 * np.exp(np.cumsum(rng.normal(0, 0.01, BARS)))}).with_columns(
                ticker=pl.lit(f"T{place}"), volume=pl.lit(1000 + place)
            )
            for place in range(TICKERS)
        )
        bars.write_parquet(folder / "bars.parquet")
        import_files(folder, folder / "bars.parquet")
        run_pipeline(folder, upto="forecast")
        run_pipeline(folder, upto="forecast", tickers=("T3",))

    return build_once("house_of_relative_returns", build)


def test_a_run_stores_what_the_model_is_and_was_worth(house: Path, read_table: Read) -> None:
    tests = read_table(house, "relative_tests").sort("run_id")
    assert tests["status"].to_list() == ["no edge", "few_tickers"]
    bars = read_table(house, "bars").with_columns(pl.col("volume").cast(pl.Float64)).sort("ticker", "date")
    prices = bars.select("ticker", "date", "close", "adj_factor")
    dates = cross_section_dates(prices, DAYS[-1])
    model = relative_model(compute_features(bars), prices, dates, as_of=DAYS[-1], horizon=HORIZON)
    assert_frame_equal(tests.head(1).select(relative_tests_frame(model).columns), relative_tests_frame(model))
    fits = read_table(house, "relative_fits")
    assert fits["run_id"].unique().to_list() == [tests["run_id"][0]]
    assert_frame_equal(
        fits.select(relative_fits_frame(model).columns), relative_fits_frame(model), check_row_order=False
    )
    assert set(fits["feature"]) == set(REGRESSORS)


def test_its_forecasts_are_stored_and_have_no_weight(house: Path, read_table: Read) -> None:
    run = read_table(house, "relative_tests").sort("run_id")["run_id"][0]
    forecasts = read_table(house, "forecasts", f"run_id = '{run}'")
    assert forecasts.filter(model="relative").height == TICKERS * HORIZON
    weights = read_table(house, "model_weights", "model = 'relative'")
    assert weights["weight"].to_list() == [0.0] * TICKERS
    assert weights["reason"].str.ends_with("no weight").all()
    assert set(weights["run_id"]) == {run}
