"""Runs with the real language model, from the texts to the report: three tickers, one process that is shared."""

from __future__ import annotations

import hashlib
import shutil
from datetime import date
from typing import TYPE_CHECKING

import pytest
from polars.testing import assert_frame_equal

from pm.llm.models import DEFAULT_FILE
from pm.pipeline.run_stages import RUN_STAGES
from tests.pipeline.with_model import SETTINGS, TICKERS, Loads, ended

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from pm.pipeline.events import Event
    from pm.pipeline.runner import RunResult

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]

PAST_DAY = date(2013, 2, 20)
OF_MODEL = ["sentiment", "opinions", "llm"]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    return Loads(monkeypatch)


@pytest.fixture
def copy(run_with_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run_with_model, tmp_path / "copy")


def test_the_stages_share_one_model_and_record_its_calls(run_with_model: Path, read_table: Read, ask: Read) -> None:
    assert (run_with_model / "loads").read_text() == "1"
    calls = read_table(run_with_model, "llm_calls")
    assert {"calibration", "sentiment", "opinion", "analyst"} <= {*calls["role"]}
    sha256 = hashlib.sha256((run_with_model / "models" / DEFAULT_FILE).read_bytes()).hexdigest()
    assert {*calls["model_sha256"]} == {sha256}
    assert calls["valid"].all()
    assert ask(run_with_model, "SELECT status, degraded FROM llm_health").rows() == [("good", None)]


def test_each_stage_says_what_the_model_gave_it(run_with_model: Path, read_table: Read) -> None:
    good, bad, _ = read_table(run_with_model, "text_sentiment").sort("published_at", descending=True).to_dicts()
    assert good["probability_positive"] > bad["probability_positive"]
    opinions = read_table(run_with_model, "llm_opinions")
    assert opinions["ticker"].to_list() == list(TICKERS)
    assert opinions["probability_up"].is_between(0, 1, closed="none").all()
    commentary = read_table(run_with_model, "commentary")
    assert commentary["ticker"].to_list() == list(TICKERS)
    assert {*commentary["writer"]} <= {"code", "ordered"}
    (report,) = (run_with_model / "reports").glob("2*.html")
    assert "Words by" in report.read_text("utf-8")


def test_no_number_of_the_signals_depends_on_the_model(
    run_with_model: Path, run_pipeline: Run, contents: Callable[..., dict[str, pl.DataFrame]], tmp_path: Path
) -> None:
    run_pipeline(tmp_path, tickers=TICKERS)
    without, with_it = contents(tmp_path, "signals", "forecasts"), contents(run_with_model, "signals", "forecasts")
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
