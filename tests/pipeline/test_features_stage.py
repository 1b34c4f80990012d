from __future__ import annotations

import shutil
from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.features import compute_features
from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.sources import RAW_BARS, RAW_BATCHES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.lake import Transaction
    from pm.pipeline.runner import RunResult

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]
    Build = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture
def house(build_once: Build, tmp_path: Path, stocks: pl.DataFrame, run_pipeline: Run, import_files: Run) -> Path:
    """Return a workspace with features of two tickers up to 2012-06-29."""

    def build(folder: Path) -> None:
        two = pl.col("ticker").is_in(["IBM", "MSFT"]) & pl.col("date").is_between(BEGIN, date(2012, 6, 29))
        stocks.filter(two).write_parquet(folder / "first.parquet")
        import_files(folder, folder / "first.parquet")
        run_pipeline(folder, upto="features")

    return shutil.copytree(build_once("house_with_features", build), tmp_path / "house")


BEGIN = date(2010, 1, 4)
NEWER = (pl.col("ticker") == "IBM") & (pl.col("date") > date(2012, 6, 29))
RESTATED = (pl.col("ticker") == "IBM") & (pl.col("date") == date(2011, 3, 15))
FIRST = (pl.col("ticker") == "IBM") & (pl.col("date") == BEGIN)
EARLIER = (pl.col("ticker") == "MSFT") & pl.col("date").is_between(date(2009, 12, 1), BEGIN, closed="left")
ANOTHER = (pl.col("ticker") == "FB") & (pl.col("date") < date(2012, 9, 1))


@pytest.mark.parametrize(
    ("came", "written"),
    [
        (NEWER, (160, 170)),
        (RESTATED, (320, 330)),
        (FIRST | ANOTHER, (690, 720)),
        (NEWER | RESTATED | EARLIER, (1400, 1460)),  # the one common date shows another basis: earlier bars change too
    ],
    ids=["newer", "restated", "first and another", "all"],
)
def test_what_is_added_comes_to_what_computing_everything_gives(
    house: Path,
    stocks: pl.DataFrame,
    run_pipeline: Run,
    import_files: Run,
    read_table: Read,
    *,
    came: pl.Expr,
    written: tuple[int, int],
) -> None:
    moved = stocks.filter(came).with_columns(pl.col("open", "high", "low", "close", "adj_close") * 1.01)
    moved.write_parquet(house / "more.parquet")
    import_files(house, house / "more.parquet")
    run_pipeline(house, upto="features")
    expect_from_scratch(house, read_table)
    rows = read_table(house, "stage_events", "stage = 'features' AND status = 'done'").sort("finished_at")["rows"]
    assert written[0] <= rows.to_list()[-1] <= written[1]


def test_features_of_a_ticker_that_vanished_vanish(house: Path, run_pipeline: Run, read_table: Read) -> None:
    with Lake(house / "lake", load_settings().lake, TABLES) as lake:
        gone = lake.read(RAW_BARS, "ticker = 'MSFT'").height
        ibm = lake.read(RAW_BATCHES).with_columns(bars=pl.col("bars") - gone)

        def forget(transaction: Transaction) -> None:
            transaction.delete(RAW_BARS, "ticker = 'MSFT'")
            transaction.merge(RAW_BATCHES, ibm)

        lake.commit("forget", forget)
    run_pipeline(house, upto="features", quality={"stale_sessions": 6})  # checks everything again
    assert read_table(house, "features")["ticker"].unique().to_list() == ["IBM"]
    expect_from_scratch(house, read_table)


def expect_from_scratch(house: Path, read_table: Read) -> None:
    stamps = ["run_id", "snapshot_id", "cutoff"]
    features = read_table(house, "features").drop(stamps)
    expected = compute_features(read_table(house, "bars")).select(features.columns).sort("ticker", "date")
    assert_frame_equal(features, expected, rel_tol=1e-12, abs_tol=1e-14)
