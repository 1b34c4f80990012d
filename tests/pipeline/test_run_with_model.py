"""Runs with the real language model, from the texts to the report: three tickers, one process that is shared."""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.llm import opening
from pm.llm.models import DEFAULT_FILE
from pm.pipeline import import_texts, open_lake
from pm.pipeline.events import StageEnded
from pm.pipeline.run_stages import RUN_STAGES
from pm.sources.texts import TEXTS_SCHEMA
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.llm.engine import Engine
    from pm.pipeline.events import Event
    from pm.pipeline.runner import RunResult
    from pm.settings import Settings

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]

TICKERS = ("AAPL", "GOOG", "IBM")
SETTINGS = {
    "enabled": True, "chain": ["default"], "ollama": False, "bound_seconds": 120.0, "context_tokens": 1024,
    "batch_size": 16,
}  # fmt: skip
PAST_DAY = date(2013, 2, 20)
OF_MODEL = ["sentiment", "opinions", "llm"]


class Loads:
    """Counts how often the model is really loaded, and ends the process of a load at once if it is told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.times = 0
        self.killed: set[int] = set()
        load = opening.load

        def counted(*arguments: Any) -> Engine:  # noqa: ANN401 - what load is given
            engine = load(*arguments)
            self.times += 1
            if self.times in self.killed:
                for process in multiprocessing.active_children():
                    if process.name == "pm-llm":
                        process.kill()
                        process.join()
            return engine

        patch.setattr(opening, "load", counted)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    return Loads(monkeypatch)


def texts() -> pl.DataFrame:
    rows = [
        ("AAPL", "Apple raises its dividend, and beats all forecasts", 27),
        ("AAPL", "Apple files for bankruptcy after fraud", 26),
        ("IBM", "IBM wins a large order", 25),
    ]
    frame = pl.DataFrame(
        {
            "ticker": [ticker for ticker, *_ in rows],
            "source": "files",
            "source_id": [hashlib.sha256(headline.encode()).hexdigest() for _, headline, _ in rows],
            "published_at": [datetime(2013, 2, day, 14, tzinfo=UTC) for *_, day in rows],
            "headline": [headline for _, headline, _ in rows],
        }
    )
    missing = {name: pl.lit(None, kind) for name, kind in TEXTS_SCHEMA.items() if name not in frame.columns}
    return frame.with_columns(**missing).select(pl.col(name).cast(kind) for name, kind in TEXTS_SCHEMA.items())


def ended(heard: list[Event]) -> dict[str, str]:
    return {event.stage: event.status for event in heard if isinstance(event, StageEnded)}


@pytest.fixture(scope="module")
def one_run(
    build_once: Callable[[str, Callable[[Path], object]], Path],
    run_pipeline: Run,
    settings_with: Callable[..., Settings],
    with_model: Callable[[Path], Path],
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


@pytest.fixture
def copy(one_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(one_run, tmp_path / "copy")


def test_the_stages_share_one_model_and_record_its_calls(one_run: Path, read_table: Read, ask: Read) -> None:
    assert (one_run / "loads").read_text() == "1"
    calls = read_table(one_run, "llm_calls")
    assert {"calibration", "sentiment", "opinion", "analyst"} <= {*calls["role"]}
    sha256 = hashlib.sha256((one_run / "models" / DEFAULT_FILE).read_bytes()).hexdigest()
    assert {*calls["model_sha256"]} == {sha256}
    assert calls["valid"].all()
    assert ask(one_run, "SELECT status, degraded FROM llm_health").rows() == [("good", None)]


def test_each_stage_says_what_the_model_gave_it(one_run: Path, read_table: Read) -> None:
    good, bad, _ = read_table(one_run, "text_sentiment").sort("published_at", descending=True).to_dicts()
    assert good["probability_positive"] > bad["probability_positive"]
    opinions = read_table(one_run, "llm_opinions")
    assert opinions["ticker"].to_list() == list(TICKERS)
    assert opinions["probability_up"].is_between(0, 1, closed="none").all()
    commentary = read_table(one_run, "commentary")
    assert commentary["ticker"].to_list() == list(TICKERS)
    assert {*commentary["writer"]} <= {"code", "ordered"}
    (report,) = (one_run / "reports").glob("2*.html")
    assert "Words by" in report.read_text("utf-8")


def test_no_number_of_the_signals_depends_on_the_model(
    one_run: Path, run_pipeline: Run, contents: Callable[..., dict[str, pl.DataFrame]], tmp_path: Path
) -> None:
    run_pipeline(tmp_path, tickers=TICKERS)
    without, with_it = contents(tmp_path, "signals", "forecasts"), contents(one_run, "signals", "forecasts")
    for name, frame in without.items():
        assert_frame_equal(with_it[name], frame)


def test_a_second_run_loads_nothing_whatever_fits_in_memory(
    copy: Path, run_pipeline: Run, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    for is_full in (False, True):
        if is_full:
            monkeypatch.setattr("pm.llm.models.free_bytes", lambda: 0)
        heard: list[Event] = []
        assert not run_pipeline(copy, tickers=TICKERS, llm=SETTINGS, heard=heard).worked
        assert ended(heard) == dict.fromkeys((stage.name for stage in RUN_STAGES), "skipped")
    assert loads.times == 0


def test_a_model_that_does_not_fit_is_what_a_stage_lacks(
    copy: Path, run_pipeline: Run, read_table: Read, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("pm.llm.models.free_bytes", lambda: 0)
        run_pipeline(copy, tickers=TICKERS, as_of=PAST_DAY, llm=SETTINGS)
    lacking = read_table(copy, "stage_events", "degraded IS NOT NULL")
    assert {*lacking["stage"]} == {"opinions", "llm"}
    assert all("of memory, and 0 MiB are free" in degraded for degraded in lacking["degraded"])
    assert run_pipeline(copy, tickers=TICKERS, as_of=PAST_DAY, llm=SETTINGS).worked
    assert loads.times == 1


def test_settings_that_no_word_depends_on_run_no_stage_of_the_model(
    copy: Path, run_pipeline: Run, loads: Loads
) -> None:
    heard: list[Event] = []
    changed = SETTINGS | {"texts_per_run": 7, "bound_seconds": 100.0, "threads": 1, "batch_size": 8}
    assert not run_pipeline(copy, tickers=TICKERS, llm=changed, heard=heard).worked
    assert loads.times == 0


def test_a_stage_whose_model_is_killed_is_done_by_the_next_run_and_no_other(
    copy: Path, run_pipeline: Run, read_table: Read, loads: Loads
) -> None:
    asked = {"tickers": TICKERS, "as_of": PAST_DAY, "llm": SETTINGS}
    loads.killed = {1}
    heard: list[Event] = []
    run_pipeline(copy, heard=heard, **asked)
    assert [ended(heard)[stage] for stage in OF_MODEL] == ["skipped", "done", "done"]
    assert loads.times == 2  # the stage after it has a model that lives
    (event,) = read_table(copy, "stage_events", "degraded IS NOT NULL").to_dicts()
    assert (event["stage"], event["status"]) == ("opinions", "done")
    assert "died" in event["degraded"]
    assert "the next run tries again" in event["summary"]
    assert read_table(copy, "llm_opinions", f"cutoff = DATE '{PAST_DAY}'").is_empty()
    heard.clear()
    run_pipeline(copy, heard=heard, **asked)
    assert [stage for stage, status in ended(heard).items() if status == "done"] == ["opinions"]
    assert read_table(copy, "llm_opinions", f"cutoff = DATE '{PAST_DAY}'").height == len(TICKERS)
    heard.clear()
    assert not run_pipeline(copy, heard=heard, **asked).worked
