from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.errors import ModelError
from pm.llm.record import KNOWN, Recorder
from pm.tables.llm import LLM_CALLS

if TYPE_CHECKING:
    from pm.llm.engine import Engine

SUFFIXES = ["A. Outlook:", "B. Outlook:"]
LABELS = [" up", " down"]


def stamped(rows: pl.DataFrame, run_id: str = "r1") -> pl.DataFrame:
    return rows.with_columns(run_id=pl.lit(run_id), snapshot_id=pl.lit(1, pl.Int64), cutoff=pl.lit(date(2026, 1, 2)))


def test_a_row_has_the_tables_columns_and_what_the_call_took(engine: Engine) -> None:
    recorder = Recorder(engine)
    scores = recorder.score("analyst", "Shares. ", SUFFIXES, LABELS, deadline_seconds=60)
    recorder.score("analyst", "Bonds. ", SUFFIXES, LABELS, deadline_seconds=60)
    written = recorder.generate("reader", ["Once"], max_tokens=4, seed=7, deadline_seconds=60)
    rows = recorder.rows()
    assert rows.schema == LLM_CALLS.unstamped_schema
    assert rows["call"].to_list() == [1, 2, 1]
    assert rows["seed"].to_list() == [None, None, 7]
    assert rows["valid"].to_list() == [True] * 3
    assert json.loads(rows["output"][0]) == [list(row or ()) for row in scores.values]
    assert json.loads(rows["output"][2]) == [written.text]
    assert set(rows["model_sha256"]) == {engine.info.sha256}
    LLM_CALLS.conform(stamped(rows))


def test_the_same_call_again_is_read_from_the_record(engine: Engine) -> None:
    first = Recorder(engine)
    scores = first.score("analyst", "Shares. ", SUFFIXES, LABELS, deadline_seconds=60)
    written = first.generate("reader", ["Once"], max_tokens=4, seed=7, deadline_seconds=60)
    again = first.score("analyst", "Shares. ", SUFFIXES, LABELS, deadline_seconds=60)
    assert (first.reused, first.rows().height) == (1, 2)

    later = Recorder(engine, stamped(first.rows()).select(KNOWN))
    known = later.score("analyst", "Shares. ", SUFFIXES, LABELS, deadline_seconds=9)
    assert [list(row or ()) for row in known.values] == [list(row or ()) for row in scores.values]
    assert known.call == scores.call == again.call
    assert later.generate("reader", ["Once"], max_tokens=4, seed=7, deadline_seconds=60) == written
    assert (later.reused, later.rows().height) == (2, 0)

    later.generate("reader", ["Once"], max_tokens=4, seed=8, deadline_seconds=60)
    later.generate("other", ["Once"], max_tokens=4, seed=7, deadline_seconds=60)
    assert (later.reused, later.rows().height) == (2, 2)


def test_what_was_cut_off_or_not_valid_is_asked_again(engine: Engine) -> None:
    recorder = Recorder(engine)
    assert recorder.score("a", "Shares. ", SUFFIXES, LABELS, deadline_seconds=0).values == [None, None]
    recorder.generate("a", ["Once"], max_tokens=4, seed=7, deadline_seconds=60, is_valid=lambda _: False)
    rows = recorder.rows()
    assert rows["valid"].to_list() == [False, False]
    assert rows["deadline_met"].to_list() == [False, True]
    assert rows["output"][0] == "[null, null]"
    later = Recorder(engine, rows.select(KNOWN))
    assert None not in later.score("a", "Shares. ", SUFFIXES, LABELS, deadline_seconds=60).values
    later.generate("a", ["Once"], max_tokens=4, seed=7, deadline_seconds=60)
    assert later.reused == 0


def test_another_models_calls_are_not_used(engine: Engine) -> None:
    recorder = Recorder(engine)
    recorder.score("a", "Shares. ", SUFFIXES, LABELS, deadline_seconds=60)
    others = recorder.rows().with_columns(model_sha256=pl.lit("0" * 64))
    later = Recorder(engine, others)
    later.score("a", "Shares. ", SUFFIXES, LABELS, deadline_seconds=60)
    assert later.reused == 0


def test_a_refused_call_leaves_no_row(engine: Engine) -> None:
    recorder = Recorder(engine)
    with pytest.raises(ModelError):
        recorder.score("a", "", ["word " * 2000], LABELS, deadline_seconds=60)
    assert recorder.rows().is_empty()
