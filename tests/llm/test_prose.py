"""The check that decides whether a model may write, and the record of its results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pm.llm.analyst import comment
from pm.llm.base import Message, RefusedQuestionError
from pm.llm.clauses import clauses_of, opening_of
from pm.llm.engine import generate_hash
from pm.llm.prose import REQUIRED, ProseReport, check_prose, fact_sheets, may_write, save_prose_report
from pm.llm.prose_writing import MAX_TOKENS, Prose, prompt_for, write_prose
from pm.llm.quantities import Quantity
from pm.llm.record import Recorder
from tests.llm.rows_of_tables import StandIn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pm.llm.base import Generation, Prompt


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


class Refusing(StandIn):
    """A model without a template of a chat."""

    def generate(self, prompts: Sequence[Prompt], **named: Any) -> Generation:  # noqa: ANN401 - as the model has them
        if not isinstance(prompts[0], str):
            raise RefusedQuestionError("The model has no template of a chat.")
        return super().generate(prompts, **named)


def test_a_model_is_asked_in_a_chat_and_one_without_a_template_is_no_failure_of_the_run() -> None:
    recorder = Recorder(Refusing(writes=repeat))
    sheet = fact_sheets()[0]
    assert write_prose(recorder.as_role("analyst"), sheet, call_seconds=1) == "The model has no template of a chat"
    assert recorder.failed is None
    died = Recorder(StandIn(fails_at=1))
    assert write_prose(died.as_role("analyst"), sheet, call_seconds=1) == "The process that holds the model died"
    assert died.failed is not None


def test_clauses_that_exceed_the_context_are_left_out_from_the_last_on() -> None:
    sheet = next(one for one in fact_sheets() if not any(clause.is_warning for clause in clauses_of(one)))
    (whole,) = prompt_for(sheet)
    needed = len(whole.content.split()) + MAX_TOKENS + 64
    prose = write_prose(StandIn(writes=repeat, context_tokens=needed), sheet, call_seconds=1)
    assert isinstance(prose, Prose)
    assert prose.left_out == 0
    short = StandIn(writes=repeat, context_tokens=needed - 1)
    prose = write_prose(short, sheet, call_seconds=1)
    assert isinstance(prose, Prose)
    assert prose.left_out == 1
    assert prose.text == " ".join(clause.text for clause in (opening_of(sheet), *clauses_of(sheet)[:-1]))
    (said,) = comment([sheet], short, may_write=True, call_seconds=1, absent="")
    assert said.reason == "1 clause left out: the context of the model is too small"
    recorder = Recorder(StandIn(writes=repeat, context_tokens=MAX_TOKENS))
    problem = write_prose(recorder.as_role("analyst"), sheet, call_seconds=1)
    assert problem == "the notes exceed its context of 140 tokens (llm.context_tokens)"
    assert (recorder.failed, recorder.rows().height) == (None, 0)


def test_a_chat_in_another_template_is_another_question() -> None:
    chat, options = (Message("user", "Hello"),), {"max_tokens": 9, "seed": 1, "grammar": None, "temperature": 0.7}
    hashes = {generate_hash([chat], template_hash=template, **options) for template in ("", "a", "b")}  # type: ignore[arg-type]
    assert len(hashes) == 3
    texts = {generate_hash(["Hello"], template_hash=template, **options) for template in ("", "a", "b")}  # type: ignore[arg-type]
    assert len(texts) == 1


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
