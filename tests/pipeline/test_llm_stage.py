"""Stage `llm` on the sample: every number is what its query shows, whatever a model does, and no signal depends on it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pm.errors import PmError
from pm.lake import Lake
from pm.llm.opening import INSTALL, Unavailable
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
from pm.workspace import Workspace, init_workspace
from tests.llm.rows_of_tables import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    import polars as pl

    from pm.llm.base import LanguageModel
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


def test_without_a_model_the_stage_says_how_to_install_one(first_run: Path, read_table: Read) -> None:
    event = read_table(first_run, "stage_events", "stage = 'llm'").row(0, named=True)
    assert event["status"] == "done"
    assert event["summary"] == f"5 tickers: 5 by code; language model not installed: {INSTALL}"
    assert set(read_table(first_run, "commentary")["writer"]) == {"code"}
    assert read_table(first_run, "risk_assessments").height == 5


def test_only_the_report_reads_what_the_stage_writes() -> None:
    written = {COMMENTARY, COMMENTARY_CELLS, RISK_ASSESSMENTS, RISK_CONCERNS}
    assert set(llm.STAGE.writes) == written
    assert {stage.name for stage in RUN_STAGES if written & {*stage.reads, *stage.past}} == {"report"}


class Opened:
    """What opens a model for a stage: it counts how often it is asked."""

    def __init__(self, model: StandIn | None, *, fails: bool = False) -> None:
        self.model = model
        self.fails = fails
        self.times = 0

    @contextmanager
    def __call__(self, workspace: Workspace, settings: Settings) -> Iterator[LanguageModel | Unavailable]:
        del workspace, settings
        self.times += 1
        if self.fails:
            raise PmError("The model's file is damaged.")
        yield self.model or Unavailable("no model")


def run_stage(folder: Path, opened: Opened, sha256: str | None) -> tuple[str, str]:
    """Run the stages of a run with a model, and return the status and the summary of stage `llm`."""
    settings = load_settings()
    heard: list[Any] = []
    stages = [
        llm.commenting(opened, lambda *_: sha256) if stage.name == "llm" else stage
        for stage in RUN_STAGES
        if stage.name in {"llm", "land", "check", "features"}
    ]
    with open_lake(init_workspace(folder), settings) as lake:
        Runner(lake, settings, init_workspace(folder), heard.append).run(stages, Request())
    (ended,) = [event for event in heard if isinstance(event, StageEnded) and event.stage == "llm"]
    return ended.status, ended.summary


@pytest.fixture
def copy(first_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(first_run, tmp_path / "copy")
