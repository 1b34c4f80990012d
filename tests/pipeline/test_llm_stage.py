"""Stage `llm` on the sample: every number is what its query shows, and a run does not depend on a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.errors import ModelError
from pm.lake import Lake
from pm.llm.available import ChosenModel
from pm.llm.prose import ProseReport, save_prose_report
from pm.number_format import day
from pm.pipeline import Request, open_lake
from pm.pipeline.events import StageEnded
from pm.pipeline.run_stages import RUN_STAGES
from pm.pipeline.runner import Runner
from pm.pipeline.stages import llm
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.commentary import COMMENTARY, COMMENTARY_CELLS, RISK_ASSESSMENTS, RISK_CONCERNS
from pm.tables.llm import LLM_CALLS
from pm.workspace import Workspace, init_workspace
from tests.llm.rows_of_tables import StandIn

if TYPE_CHECKING:
    from pathlib import Path

    from pm.llm.base import LanguageModel
    from pm.pipeline.events import Event
    from pm.pipeline.stage import Context
    from pm.settings import Settings

Read = Callable[..., pl.DataFrame]


def test_every_number_is_what_its_query_shows(first_run: Path) -> None:
    with Lake(Workspace(first_run).lake, load_settings().lake, TABLES, read_only=True) as lake:
        cells = lake.read(COMMENTARY_CELLS).to_dicts()
        texts = {(row["ticker"], "commentary"): row["text"] for row in lake.read(COMMENTARY).to_dicts()}
        texts |= {(row["ticker"], row["concern"]): row["text"] for row in lake.read(RISK_CONCERNS).to_dicts()}
        for cell in cells:
            shown = lake.query(cell["query"])
            assert shown.shape == (1, 1), cell
            value = shown.item()
            if cell["unit"] == "date":
                assert cell["text"] == day(value)
            elif cell["unit"] == "word":
                assert cell["text"] == value
            else:
                assert cell["number"] == pytest.approx(value, rel=1e-12)
            if cell["text_start"] is not None:
                text = texts[cell["ticker"], cell["part"]]
                assert text[cell["text_start"] :].startswith(cell["text"])
    tickers = {cell["ticker"] for cell in cells}
    assert tickers == {"AAPL", "FB", "GOOG", "IBM", "MSFT"}
    assert all(any(cell["ticker"] == ticker and cell["part"] == "commentary" for cell in cells) for ticker in tickers)


def test_without_a_model_the_stage_says_why(first_run: Path, read_table: Read) -> None:
    event = read_table(first_run, "stage_events", "stage = 'llm'").row(0, named=True)
    assert event["status"] == "done"
    assert event["summary"] == "words about 5 tickers: 5 by code; no language model (llm.enabled is false)"
    assert set(read_table(first_run, "commentary")["writer"]) == {"code"}
    assert read_table(first_run, "risk_assessments").height == 5


def test_only_the_report_reads_what_the_stage_writes() -> None:
    written = {COMMENTARY, COMMENTARY_CELLS, RISK_ASSESSMENTS, RISK_CONCERNS}
    assert set(llm.STAGE.writes) == written | {LLM_CALLS}
    assert {stage.name for stage in RUN_STAGES if written & {*stage.reads, *stage.past}} == {"report"}


class Opened:
    """What opens a model for a stage: it counts how often it is asked."""

    def __init__(self, model: StandIn | None = None) -> None:
        self.model = model
        self.times = 0

    def __call__(self, context: Context) -> LanguageModel:
        del context
        self.times += 1
        if self.model is None:
            raise ModelError("The model's file is damaged.")
        return self.model


Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run_with(run_copy: Path, settings_with: Callable[..., Settings]) -> Run:
    """Run the pipeline with a model, and return the status and the summary of stage `llm`."""
    settings, workspace = settings_with(), init_workspace(run_copy)

    def run(opened: Opened, sha256: str) -> tuple[str, str]:
        heard: list[Event] = []
        own = llm.commenting(opened, lambda _: ChosenModel(None, sha256, sha256))
        stages = [own if stage.name == "llm" else stage for stage in RUN_STAGES]
        with open_lake(workspace, settings) as lake:
            Runner(lake, settings, workspace, heard.append).run(stages, Request())
        ended = {event.stage: event for event in heard if isinstance(event, StageEnded)}
        assert ended["signals"].status == "skipped"
        return ended["llm"].status, ended["llm"].summary

    return run


def test_a_model_is_asked_once_and_again_when_another_is_chosen_or_it_may_write(
    run_with: Run, run_copy: Path, read_table: Read
) -> None:
    model = StandIn({"decline": -1.0}, writes=lambda prompt, _: prompt.partition("Notes: ")[2].partition("\n")[0])
    opened = Opened(model)
    assert run_with(opened, model.info.sha256) == (
        "done",
        "words about 5 tickers: 4 ordered by model stand-in, 1 by code",
    )
    assert run_with(opened, model.info.sha256)[0] == "skipped"
    assert opened.times == 1
    assert run_with(opened, "another")[0] == "done"
    save_prose_report(run_copy / "models", ProseReport("stand-in", model.info.sha256, 50, 50, 50, (), 1.0))
    assert run_with(opened, model.info.sha256) == (
        "done",
        "words about 5 tickers: 4 written by model stand-in, 1 by code",
    )
    assert opened.times == 3
    written = read_table(run_copy, "commentary", "writer = 'model'")
    assert written.select("model", "model_sha256").unique().rows() == [("stand-in", model.info.sha256)]
    report = (run_copy / "reports" / "latest.html").read_text("utf-8")
    assert "Words by language model stand-in, every number and claim checked by code" in report
    assert "Words by code<" in report


@pytest.mark.parametrize(
    ("model", "asked", "told"),
    [
        (None, "", "language model failed: The model's file is damaged"),
        (
            StandIn(fails_at=1),
            "; model stand-in was asked",
            "language model failed: The process that holds the model died",
        ),
        (
            StandIn(fails_at=2),
            "; model stand-in was asked",
            "language model failed: The process that holds the model died",
        ),
        (StandIn(answers=0), "; model stand-in was asked", "the language model did not answer in time"),
    ],
    ids=["cannot be opened", "dies at once", "dies later", "is too slow"],
)
def test_a_model_that_fails_costs_a_run_nothing_and_is_asked_again_in_the_next(
    run_with: Run, run_copy: Path, read_table: Read, first_run: Path, model: StandIn | None, asked: str, told: str
) -> None:
    assert run_with(Opened(model), "some") == (
        "done",
        f"words about 5 tickers: 5 by code{asked}; {told}; the next run tries again",
    )
    before = read_table(first_run, "commentary")
    after = read_table(run_copy, "commentary").filter(~pl.col("run_id").is_in(before["run_id"].implode()))
    assert after["text"].to_list() == before["text"].to_list()
    if told.startswith("language model failed"):
        ranked = read_table(run_copy, "risk_assessments").filter(pl.col("run_id").is_in(after["run_id"].implode()))
        # The call that failed was of one of both roles; tickers without two concerns have nothing to rank.
        assert any("failed" in reason for reason in [*after["reason"], *ranked["reason"]])
    events = read_table(run_copy, "stage_events", "degraded IS NOT NULL")
    assert events.select("stage", "degraded").rows() == [("llm", told)]
    assert not read_table(first_run, "stage_events")["degraded"].is_not_null().any()
    works = Opened(StandIn({"decline": -1.0}))
    assert run_with(works, "some") == ("done", "words about 5 tickers: 4 ordered by model stand-in, 1 by code")
    assert run_with(works, "some")[0] == "skipped"
    assert works.times == 1
