"""The check that decides whether a model may write, and the record of its results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pm.llm.prose import REQUIRED, ProseReport, check_prose, fact_sheets, may_write, save_prose_report
from pm.llm.quantities import Quantity
from tests.llm.rows_of_tables import StandIn

if TYPE_CHECKING:
    from pathlib import Path


def repeat(prompt: str, seed: int) -> str:
    assert seed == 0
    return prompt.partition("Notes: ")[2].partition("\n")[0]


def test_fifty_sheets_of_all_actions_are_shipped() -> None:
    sheets = fact_sheets()
    assert len(sheets) == 50
    actions = [sheet.word(Quantity.ACTION) for sheet in sheets]
    assert all(actions.count(action) >= 10 for action in ("BUY", "SELL", "HOLD"))
    assert len({sheet.to_json()["facts"].__repr__() for sheet in sheets}) == 50


def test_a_model_that_repeats_its_notes_passes_and_one_that_lies_once_in_ten_fails() -> None:
    honest = check_prose(StandIn(writes=repeat), 60)
    assert (honest.sheets, honest.asked, honest.true, honest.passed) == (50, 50, 50, True)
    told = iter(range(1000))

    def lie(prompt: str, seed: int) -> str:
        return repeat(prompt, seed) + (" It is cheap." if next(told) % 10 == 0 else "")

    liar = check_prose(StandIn(writes=lie), 60)
    assert (liar.true, liar.passed) == (45, False)
    assert [failure.sheet for failure in liar.failures] == [1, 11, 21, 31, 41]
    assert {failure.problem for failure in liar.failures} == {"no cell says 'cheap'"}


def test_what_there_is_no_time_for_counts_as_failed() -> None:
    report = check_prose(StandIn(writes=repeat), 0.0)
    assert (report.asked, report.true, report.passed) == (0, 0, False)


def report_of(sha256: str, true: int) -> ProseReport:
    return ProseReport("m", sha256, 50, 50, true, (), 1.0)


def test_only_a_model_that_passed_may_write_and_a_damaged_record_says_no(tmp_path: Path) -> None:
    assert not may_write(tmp_path, "a")
    save_prose_report(tmp_path, report_of("a", 48))
    save_prose_report(tmp_path, report_of("b", 47))
    assert REQUIRED * 50 == 47.5
    assert (may_write(tmp_path, "a"), may_write(tmp_path, "b"), may_write(tmp_path, "c")) == (True, False, False)
    save_prose_report(tmp_path, report_of("a", 0))
    assert not may_write(tmp_path, "a")
    save_prose_report(tmp_path, report_of("d", 50))
    kept = json.loads((tmp_path / "models.json").read_text(encoding="utf-8"))
    kept["checks.prose"]["d"]["sheets_sha256"] = "of other sheets"
    assert may_write(tmp_path, "d")
    (tmp_path / "models.json").write_text(json.dumps(kept), encoding="utf-8")
    assert not may_write(tmp_path, "d")
    for damaged in ("", "[]", '{"checks.prose": {"a": true}}', "{"):
        (tmp_path / "models.json").write_text(damaged, encoding="utf-8")
        assert not may_write(tmp_path, "a")
