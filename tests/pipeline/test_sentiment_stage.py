"""Stage `sentiment` on texts of any time and order, with a stand-in for the model."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.llm.available import ChosenModel
from pm.pipeline import Request, import_texts, open_lake
from pm.pipeline.events import StageEnded
from pm.pipeline.run_stages import RUN_STAGES
from pm.pipeline.runner import Runner
from pm.pipeline.stages import sentiment
from pm.sources.texts import TEXTS_SCHEMA
from pm.tables.texts import TEXT_SENTIMENT
from pm.workspace import init_workspace
from tests.llm.rows_of_tables import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.pipeline.events import Event
    from pm.settings import Settings

    Read = Callable[..., list[dict[str, Any]]]

AT_FIRST = datetime(1, 1, 1)  # noqa: DTZ001
WORDS = "Apple raises its dividend, and beats all forecasts"


class AnyPrefix(StandIn):
    """A stand-in that is asked with any prefix, and finds every text as likely good as bad."""

    def score(self, prefix: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the model
        return super().score(f"{prefix}\n", *arguments, **options)


@pytest.fixture
def read_texts(checked_copy: Path, settings_with: Callable[..., Settings]) -> Read:
    """Import texts, each a name, a moment and words; run the stage, and return the rows of text_sentiment."""
    workspace, settings = init_workspace(checked_copy), settings_with(llm={"enabled": True, "texts_per_run": 2})
    model = AnyPrefix()
    chosen = ChosenModel(None, model.info.sha256, model.info.sha256)
    stage = sentiment.reading(lambda _: model, lambda _: chosen, lambda _: chosen)
    stages = [*RUN_STAGES[: [one.name for one in RUN_STAGES].index("check") + 1], stage]

    def read(*texts: tuple[str, datetime, str]) -> list[dict[str, Any]]:
        columns = {"source_id": 0, "published_at": 1, "headline": 2}
        rows = [
            dict.fromkeys(TEXTS_SCHEMA)
            | {"ticker": "AAPL", "source": "files"}
            | {k: text[n] for k, n in columns.items()}
            for text in texts
        ]
        heard: list[Event] = []
        with open_lake(workspace, settings) as lake:
            if rows:
                import_texts(lake, workspace, settings, lambda _: None, texts=pl.DataFrame(rows, schema=TEXTS_SCHEMA))
            Runner(lake, settings, workspace, heard.append).run(stages, Request())
            assert {e.stage: e.status for e in heard if isinstance(e, StageEnded)}["sentiment"] == "done"
            return lake.read(TEXT_SENTIMENT).sort("published_at", "source_id").to_dicts()

    return read


def at(day: int, hour: int = 15) -> datetime:
    return datetime(2013, 2, day, hour)  # noqa: DTZ001 - in UTC, as the lake has it


def test_a_text_of_the_first_year_is_read_and_breaks_no_run(read_texts: Read) -> None:
    """No importer lets it in any more, but one may be in the lake."""
    first, second = read_texts(("old", AT_FIRST, "Rome falls"), ("older", datetime(1500, 1, 1), "Press prints"))  # noqa: DTZ001
    assert first["session"].year == second["session"].year == 1900
    assert first["cutoff"] == date(1, 1, 1)


def test_of_two_texts_alike_one_counts_in_whatever_run_and_order_they_are_read(read_texts: Read) -> None:
    """Two texts a run are read, the newest first: the repetition before what it repeats."""
    texts = [
        ("a", at(20), WORDS), ("b", at(20, 17), f"{WORDS} - Wire"), ("other", at(21), "Apple opens a shop"),
        ("c", at(26), WORDS), ("far", at(6), WORDS),
    ]  # fmt: skip
    assert [row["source_id"] for row in read_texts(*texts)] == ["other", "c"]
    assert [row["source_id"] for row in read_texts()] == ["a", "b", "other", "c"]
    rows = {row["source_id"]: row["duplicate_of"] for row in read_texts()}
    assert rows == {"far": None, "a": "files:c", "b": "files:c", "other": None, "c": None}


def test_a_text_that_came_late_repeats_the_one_that_was_read(read_texts: Read) -> None:
    read_texts(("b", at(20), WORDS))
    first, second = read_texts(("a", at(19), WORDS))
    assert (first["duplicate_of"], second["duplicate_of"]) == ("files:b", None)
