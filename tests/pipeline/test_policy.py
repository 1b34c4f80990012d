from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from pm.errors import InputError, SourceError, UnknownTickerError
from pm.forecast.policy import FIXED, Policy
from pm.lake import Lake
from pm.lake.maintenance import compact
from pm.pipeline import Request, import_bars, snapshots_to_keep, train_policy
from pm.pipeline.policy import accepted_policy
from pm.pipeline.stage import Stage
from pm.pipeline.writes import Result
from pm.settings import load_settings
from pm.sources import inspect_files
from pm.tables.catalogue import TABLES
from pm.tables.forecast import POLICIES
from pm.tables.quality import BARS
from pm.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.pipeline.stage import Context

    Build = Callable[[str, Callable[[Path], object]], Path]
    Accepted = Callable[..., Policy | None]

START = date(2010, 1, 1)
LENGTH = 1500
LAKE = load_settings().lake.model_copy(update={"expire_after_days": 0, "threads": 1})
FORECAST = load_settings().forecast.model_copy(update={"horizon": 10, "origin_step": 20})


def prices(ticker: str, seed: int, *, wave: bool = True) -> pl.DataFrame:
    """Return bars of a wave with two overtones, whose period changes once, or of a random walk; with a 2:1 split."""
    rng, time = np.random.default_rng(seed), np.arange(LENGTH)
    phase = 2 * np.pi * np.cumsum(np.where(time < 700, 1 / 23, 1 / 31))
    log_price = 4.0 + 0.04 * (np.sin(phase) + 0.5 * np.sin(2 * phase + 1) + 0.4 * np.sin(3 * phase + 1))
    log_price += rng.normal(0, 0.006, LENGTH)
    if not wave:
        log_price = 4.0 + np.cumsum(rng.normal(0, 0.02, LENGTH))
    factor = np.where(time < 800, 0.5, 1.0)
    columns: dict[str, Any] = {
        "ticker": ticker,
        "date": [START + timedelta(days=int(day)) for day in time],
        "close": np.exp(log_price) / factor,
        "adj_close": np.exp(log_price),
    }
    return pl.DataFrame(columns)


def insert(lake: Lake, *frames: pl.DataFrame) -> None:
    workspace = Workspace(lake.root.parent)
    file = workspace.root / "bars.parquet"
    pl.concat(frames).write_parquet(file)
    import_bars(lake, workspace, load_settings(), lambda _: None, files=inspect_files([file]))


@pytest.fixture
def lake(tmp_path: Path, workspace_in: Callable[[Path], Workspace]) -> Iterator[Lake]:
    with Lake(workspace_in(tmp_path).lake, LAKE, TABLES) as opened:
        yield opened


@pytest.fixture
def trained(tmp_path: Path, build_once: Build, workspace_in: Callable[[Path], Workspace]) -> Iterator[Lake]:
    """Return a lake with two tickers, W0 and W1, on which a policy was trained."""

    def build(folder: Path) -> None:
        with Lake(workspace_in(folder).lake, LAKE, TABLES) as lake:
            insert(lake, prices("W0", 0), prices("W1", 1))
            train(lake)

    folder = shutil.copytree(build_once("trained", build), tmp_path / "trained")
    with Lake(folder / "lake", LAKE, TABLES) as opened:
        yield opened


def train(
    lake: Lake,
    *,
    tickers: list[str] | None = None,
    cutoff: date | None = None,
    seed: int = 1,
    **forecast: Any,  # noqa: ANN401 - settings
) -> dict[str, Any]:
    settings = load_settings()
    settings = settings.model_copy(update={"forecast": FORECAST.model_copy(update=forecast)})
    request = Request(tickers=tuple(tickers) if tickers else None)
    result = train_policy(
        lake, Workspace(lake.root.parent), settings, lambda _: None, request=request, cutoff=cutoff, seed=seed
    )
    return lake.read(POLICIES, "run_id = ?", [result.outputs["policy"]]).row(0, named=True)


@pytest.fixture
def accepted(lake: Lake, make_context: Callable[..., Context]) -> Callable[..., Policy | None]:
    """Return the policy that a forecast as of a day would use: `accepted(day, horizon=…, snapshot=…)`."""

    def find(as_of: date, *, horizon: int = 10, snapshot: int | None = None) -> Policy | None:
        settings = load_settings().model_copy(update={"forecast": FORECAST.model_copy(update={"horizon": horizon})})
        stage = Stage("forecast", lambda _: Result([], ""), reads=(POLICIES,))
        if snapshot is None:
            return accepted_policy(make_context(stage, lake, settings=settings), as_of=as_of)
        with Lake(lake.root, lake.settings, TABLES, read_only=True, at=snapshot) as then:
            return accepted_policy(make_context(stage, then, settings=settings), as_of=as_of)

    return find


def test_a_policy_is_kept_with_what_it_was_learnt_from_and_found_again(lake: Lake, accepted: Accepted) -> None:
    insert(lake, *(prices(f"W{seed}", seed) for seed in range(3)))
    snapshot, bars = lake.snapshot, lake.read(BARS)
    row = train(lake)
    assert row["accepted"], row["verdict"]
    assert lake.read(BARS, at=row["snapshot_id"]).equals(bars)
    assert row["tickers"] == "W0,W1,W2"
    assert (row["cutoff"], row["seed"], row["horizon"]) == (START + timedelta(days=1049), 1, 10)
    assert row["cutoff"] < row["first_origin"] < row["last_target"] <= START + timedelta(days=LENGTH - 1)
    assert row["fixed_p_value"] <= 0.1 < row["policy_p_value"]
    assert row["policy_loss"] < row["fixed_loss"] < row["naive_loss"]

    # It is not used on any day that it was trained or judged by.
    assert accepted(row["last_target"]) == replace(Policy.from_json(row["policy"]), cutoff=row["last_target"])
    assert accepted(row["last_target"], horizon=9) is None
    # The days it was judged by are ahead of an earlier day, and the policy is not in an earlier lake.
    assert accepted(row["last_target"] - timedelta(days=1)) is None
    assert accepted(row["last_target"], snapshot=snapshot) is None

    newer = train(lake, seed=2, tickers=["W0", "W1"])
    assert newer["accepted"], newer["verdict"]
    assert accepted(date(2030, 1, 1)) == replace(Policy.from_json(newer["policy"]), cutoff=newer["last_target"])

    # The same bars give the same policy: the training is not even run again.
    assert train(lake)["run_id"] == row["run_id"]


def test_a_refused_policy_is_written_down_and_not_used(lake: Lake, accepted: Accepted) -> None:
    insert(lake, *(prices(f"R{seed}", seed, wave=False) for seed in range(3)))
    row = train(lake)
    assert not row["accepted"]
    assert row["verdict"].startswith("the policy is not")
    assert accepted(date(2030, 1, 1)) is None


def test_prices_are_adjusted(trained: Lake) -> None:
    before = Policy.from_json(train(trained)["policy"])
    split = pl.concat([prices("W0", 0), prices("W1", 1)])
    insert(trained, split.with_columns(close=pl.col("adj_close")))
    assert set(trained.read(BARS)["adj_factor"]) == {1.0}
    after = Policy.from_json(train(trained)["policy"])
    assert before.arms.keys() == after.arms.keys()
    for state, arms in before.arms.items():
        assert after.arms[state][FIXED].reward == pytest.approx(arms[FIXED].reward, abs=1e-6)


def test_a_ticker_that_cannot_be_read_is_left_out(lake: Lake) -> None:
    flat = prices("FLAT", 5).with_columns(close=pl.lit(5.0), adj_close=pl.lit(5.0))
    insert(lake, prices("W0", 0), prices("W1", 1), flat, prices("TINY", 3).head(40))
    assert train(lake)["tickers"] == "W0,W1"


def test_tickers_that_move_together_are_stacked(trained: Lake) -> None:
    stacked, apart = (Policy.from_json(train(trained, group_size=size)["policy"]) for size in (FORECAST.group_size, 1))
    assert stacked.tickers == apart.tickers == ("W0", "W1")
    assert stacked.arms != apart.arms


def test_compaction_keeps_the_bars_a_policy_was_trained_on(trained: Lake) -> None:
    row = train(trained)
    then = trained.read(BARS)
    trained.commit("gone", lambda transaction: transaction.delete(BARS, "ticker = 'W0'"))
    trained.commit("gone", lambda transaction: transaction.delete(BARS, "true"))
    compact(trained, keep=snapshots_to_keep(trained))
    assert trained.read(BARS, at=row["snapshot_id"]).equals(then)


def test_what_cannot_be_trained_on_is_refused_and_nothing_written(lake: Lake) -> None:
    with pytest.raises(SourceError, match="no usable bars"):
        train(lake)
    insert(lake, prices("W0", 0), prices("TINY", 3).head(1))
    versions = lake.versions(["policies"])
    asked: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"tickers": ["W0", "WO"]}, UnknownTickerError, "WO"),
        ({"tickers": ["TINY"]}, InputError, "No ticker's bars"),
        ({"cutoff": START - timedelta(days=1)}, InputError, "is not between"),
        ({"cutoff": START + timedelta(days=LENGTH - 1)}, InputError, "is not between"),
        ({"cutoff": START + timedelta(days=300)}, InputError, "origins to train on"),
        ({"cutoff": START + timedelta(days=1450)}, InputError, "dates to assess"),
    ]
    for options, error, said in asked:
        with pytest.raises(error, match=said):
            train(lake, **options)
    assert lake.versions(["policies"]) == versions
