from __future__ import annotations

import shutil
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm import pipeline
from pm.lake import Lake
from pm.parallel import Workers
from pm.pipeline import ImportResult, Request, import_bars, import_texts, open_lake
from pm.pipeline.run_stages import RUN_STAGES
from pm.pipeline.runner import Runner
from pm.pipeline.stage import Context, Stage
from pm.pipeline.writes import Result
from pm.settings import load_settings
from pm.sources import OPENERS, inspect_files
from pm.tables.catalogue import TABLES
from pm.workspace import Workspace, init_workspace
from tests.pipeline.house import House, market
from tests.pipeline.with_model import SETTINGS, TICKERS, Loads, ended, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.pipeline.events import Event
    from pm.pipeline.runner import RunResult
    from pm.settings import Settings

    Build = Callable[[str, Callable[[Path], object]], Path]

# Enough to go through every stage; what the models are worth is proven in their own rooms.
_QUICK: dict[str, dict[str, Any]] = {
    "forecast": {"models": ["naive", "drift"], "origins": 2, "horizon": 5},
    "volatility": {"simulations": 500},
    "risk": {"paths": 1000},
    "run": {"jobs": 1},
    "lake": {"threads": 1},
    "llm": {"enabled": False},
}
_STAMP = {"run_id", "snapshot_id", "cutoff", "batch_id", "fetched_at", "landed_at"} | {
    *("forecast_run_id", "volatility_run_id", "forecast_snapshot_id", "volatility_snapshot_id", "last_bar_batch_id"),
    *("key", "query"),  # of commentary_cells
}
"""Columns that differ between two runs with the same result."""
_OF_ONE_LAKE = {"runs", "stage_events", "dictionary", "raw.batches", "file_checksums"}
"""Tables that differ between two lakes with the same results."""


@pytest.fixture(scope="session", name="settings_with")
def give_settings_with() -> Callable[..., Settings]:
    """Return quick settings, some sections changed: `settings_with(signals={…})`."""
    return settings_with


def settings_with(**sections: dict[str, Any]) -> Settings:
    settings = load_settings()
    for changes in (_QUICK, sections):
        settings = settings.model_copy(
            update={name: settings.section(name).model_copy(update=values) for name, values in changes.items()}
        )
    return settings


@pytest.fixture(scope="session")
def workspace_in(empty_workspace: Path) -> Callable[[Path], Workspace]:
    """Return a folder's workspace; where it has none, one with an empty lake."""

    def prepare(folder: Path) -> Workspace:
        if not (folder / "lake").exists():
            shutil.copytree(empty_workspace, folder, dirs_exist_ok=True)
        return init_workspace(folder)

    return prepare


@pytest.fixture(scope="session")
def run_pipeline(workspace_in: Callable[[Path], Workspace]) -> Callable[..., RunResult]:
    """Run the pipeline in a folder: `run_pipeline(folder, tickers=…, as_of=…, source=…, resume=…, signals={…})`.

    With `upto="check"` only the stages up to this one are run.
    """

    def run(folder: Path, **options: Any) -> RunResult:  # noqa: ANN401 - a request's parts, and sections of settings
        asked = {name: options.pop(name) for name in ("tickers", "as_of", "source", "jobs") if name in options}
        resume, upto = options.pop("resume", None), options.pop("upto", None)
        heard: list[Event] = options.pop("heard", [])
        settings = settings_with(**options)
        workspace = workspace_in(folder)
        with open_lake(workspace, settings) as lake:
            request = Request(**asked)
            if upto is not None:
                stages = RUN_STAGES[: [stage.name for stage in RUN_STAGES].index(upto) + 1]
                return Runner(lake, settings, workspace, heard.append).run(stages, request)
            return pipeline.run_pipeline(lake, workspace, settings, heard.append, request=request, resume=resume)

    return run


@pytest.fixture(scope="session")
def import_files(workspace_in: Callable[[Path], Workspace]) -> Callable[..., ImportResult]:
    """Import files into a folder's workspace: `import_files(folder, path, …, quality={…})`."""

    def run(folder: Path, *paths: Path, **sections: dict[str, Any]) -> ImportResult:
        settings = settings_with(**sections)
        workspace = workspace_in(folder)
        with open_lake(workspace, settings) as lake:
            return import_bars(lake, workspace, settings, lambda _: None, files=inspect_files(paths))

    return run


@pytest.fixture(scope="session")
def read_table() -> Callable[..., pl.DataFrame]:
    """Read a table of a folder's lake: `read_table(folder, "bars")`."""

    def read(folder: Path, name: str, where: str = "true", *, at: int | None = None) -> pl.DataFrame:
        with Lake(Workspace(folder).lake, settings_with().lake, TABLES, read_only=True) as lake:
            return lake.read(TABLES[name], where, at=at)

    return read


@pytest.fixture(scope="session")
def ask() -> Callable[..., pl.DataFrame]:
    """Ask a folder's lake in SQL."""

    def query(folder: Path, sql: str) -> pl.DataFrame:
        with Lake(Workspace(folder).lake, settings_with().lake, TABLES, read_only=True) as lake:
            return lake.query(sql)

    return query


@pytest.fixture(scope="session")
def contents() -> Callable[..., dict[str, pl.DataFrame]]:
    """Return the rows of tables without what says when and by which run they were made, sorted by all columns."""

    def read(folder: Path, *names: str) -> dict[str, pl.DataFrame]:
        with Lake(Workspace(folder).lake, settings_with().lake, TABLES, read_only=True) as lake, lake.reading():
            frames = {}
            for name in names or tuple(set(TABLES) - _OF_ONE_LAKE):
                frame = lake.read(TABLES[name])
                frame = frame.drop(_STAMP & set(frame.columns))
                frames[name] = frame.sort(frame.columns, nulls_last=True)
            return frames

    return read


@pytest.fixture(scope="session")
def stocks() -> pl.DataFrame:
    """Return the five real stocks, in the columns of a file for import."""
    source = files("bokeh_sampledata") / "_data" / "stocks.csv.gz"
    return (
        pl.read_csv(source.read_bytes(), infer_schema_length=None)
        .rename(lambda name: name.lower().replace(" ", "_"))
        .with_columns(pl.col("date").str.to_date())
        .select("ticker", "date", "open", "high", "low", "close", "adj_close", "volume")
    )


@pytest.fixture(scope="session")
def first_run(build_once: Build, run_pipeline: Callable[..., RunResult]) -> Path:
    """Return a workspace after one run on the sample. Copy it before changing it."""
    return build_once("first_run", run_pipeline)


@pytest.fixture
def run_copy(first_run: Path, tmp_path: Path) -> Path:
    """Return a copy of `first_run` that a test may change."""
    return shutil.copytree(first_run, tmp_path / "copy")


@pytest.fixture
def checked_copy(build_once: Build, run_pipeline: Callable[..., RunResult], tmp_path: Path) -> Path:
    """Return a workspace with the checked bars of the sample, and nothing computed from them."""
    return shutil.copytree(
        build_once("checked", lambda folder: run_pipeline(folder, upto="check")), tmp_path / "checked"
    )


@pytest.fixture(scope="session")
def run_with_model(
    build_once: Build, run_pipeline: Callable[..., RunResult], with_model: Callable[[Path], Path]
) -> Path:
    """Return a workspace after a run with texts, a model and three tickers; file `loads` counts how often it loaded."""

    def make(folder: Path) -> None:
        run_pipeline(folder, tickers=TICKERS, upto="check")
        settings, workspace = settings_with(), init_workspace(with_model(folder))
        with open_lake(workspace, settings) as lake:
            import_texts(lake, workspace, settings, lambda _: None, texts=texts())
        heard: list[Event] = []
        with pytest.MonkeyPatch.context() as patch:
            loads = Loads(patch)
            run_pipeline(folder, tickers=TICKERS, llm=SETTINGS, heard=heard)
        (folder / "loads").write_text(str(loads.times))
        assert [stage for stage, status in ended(heard).items() if status == "done"] == [
            "features", "volatility", "forecast", "signals", "ledger", "risk", "portfolio", "orders", "sentiment",
        "opinions", "llm", "report",
        ]  # fmt: skip

    return build_once("run_with_model", make)


@pytest.fixture(scope="session")
def make_context() -> Callable[..., Context]:
    """Return a function that makes the context of a stage: `make_context(stage, lake, notify=…)`."""
    forecast = Stage("forecast", lambda _: Result([], ""))

    def make(stage: Stage = forecast, lake: Lake | None = None, *, jobs: int = 1, **values: Any) -> Context:  # noqa: ANN401
        options: dict[str, Any] = {
            "settings": None,
            "workspace": None,
            "request": Request(),
            "run_id": "run",
            "snapshot": lake.snapshot if lake is not None else 1,
            "outputs": {},
            "producers": {},
            "workers": Workers(jobs=jobs),
            "model": None,
            "code_hash": "",
            "previous_code_hash": None,
            "progress": lambda *_: None,
            "notify": lambda _: None,
        }
        return Context(stage=stage, lake=lake, **(options | values))  # type: ignore[arg-type]

    return make


@pytest.fixture
def house(
    tmp_path: Path,
    workspace_in: Callable[[Path], Workspace],
    settings_with: Callable[..., Any],
    build_once: Build,
) -> Iterator[House]:
    """Return a workspace with vendors of a made-up market, in the place of the real ones, and a stopped clock."""
    openers, clock = dict(OPENERS), market.running_clock()
    yield House(tmp_path, workspace_in(tmp_path), settings_with, build_once)
    OPENERS.clear()
    OPENERS.update(openers)
    market.start_clock(clock)
