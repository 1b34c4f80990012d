"""A model orders only what it prefers beyond its noise, and its failures change nothing but the order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.llm.analyst import LABELS, RISK_LABELS, assess_risks, comment
from pm.llm.assessor import assess
from pm.llm.choosing import answers_to, order_by_score
from pm.llm.clauses import ClauseKind, clauses_of, opening_of
from pm.llm.prose import fact_sheets
from pm.llm.quantities import Quantity
from pm.tables.vocabulary import Concern, Writer
from tests.llm.rows_of_tables import StandIn

SHEETS = fact_sheets()
ALONE = comment(SHEETS, None, may_write=False, call_seconds=1, absent="not installed")
SCORES = st.dictionaries(st.integers(0, 9), st.floats(-20, 0), min_size=1)


@given(SCORES, st.floats(0, 10))
def test_an_order_differs_from_the_one_given_only_by_more_than_the_margin(
    scores: dict[int, float], margin: float
) -> None:
    items = list(scores)
    ordered, differs = order_by_score(items, scores, margin)
    assert sorted(ordered) == sorted(items)
    assert differs == (ordered != items)
    for place, item in enumerate(ordered):
        for later in ordered[place + 1 :]:
            if items.index(later) < items.index(item):  # it was overtaken
                first = min(ordered[place:], key=items.index)
                assert scores[item] - scores[first] > margin


@given(SCORES)
def test_without_noise_the_order_is_that_of_the_scores(scores: dict[int, float]) -> None:
    ordered, _ = order_by_score(list(scores), scores, 0.0)
    assert all(scores[one] >= scores[other] for one, other in pairwise(ordered))


def test_questions_are_asked_once_in_batches_and_judged_against_a_neutral_one() -> None:
    model = StandIn({"edge": -1.0, "cost": -4.0}, noise=0.25)
    questions = [f"question {number % 70}" for number in range(200)]
    answers = answers_to(model, "Which?\n", questions, "Share.", [" edge", " cost"], call_seconds=1)
    assert model.questions == ["Share.", *(f"question {number}" for number in range(70))]
    assert model.calls == -(-71 // 8)
    assert answers.scores == [{" edge": 8.0, " cost": 5.0}] * 200
    assert answers.margin == 4 * 0.25
    assert answers.problem is None


def test_without_a_model_code_orders_and_says_why() -> None:
    assert {said.writer for said in ALONE} == {Writer.CODE}
    assert {said.reason for said in ALONE} == {"not installed"}
    for said, sheet in zip(ALONE, SHEETS, strict=True):
        assert said.clauses[0] == opening_of(sheet)
        assert 1 <= len(said.clauses) <= 4


@pytest.mark.parametrize("kind", LABELS)
def test_a_preferred_clause_comes_first_after_the_opening_and_the_warnings(kind: ClauseKind) -> None:
    model = StandIn({LABELS[kind].strip(): -1.0})
    for said, sheet in zip(comment(SHEETS, model, may_write=False, call_seconds=1, absent=""), SHEETS, strict=True):
        true = clauses_of(sheet)
        warnings = [clause for clause in true if clause.is_warning]
        assert set(said.clauses[1:]) <= set(true)
        assert list(said.clauses[1 : 1 + len(warnings)]) == warnings
        if kind in {clause.kind for clause in true}:
            assert said.clauses[1 + len(warnings)].kind == kind


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (StandIn({"cost": -8.7, "decline": -8.7}, noise=0.1), "preferred no other order beyond its noise"),
        (StandIn({"decline": -1.0}, fails_at=1), "the language model failed: The process that holds the model died."),
        (StandIn({"decline": -1.0}, fails_at=2), "the language model failed: The process that holds the model died."),
        (StandIn({"decline": -1.0}, answers=0), "did not answer in time"),
    ],
    ids=["noise", "dead", "dies", "late"],
)
def test_where_a_model_says_nothing_the_texts_are_those_of_code(model: StandIn, reason: str) -> None:
    said = comment(SHEETS, model, may_write=False, call_seconds=1, absent="")
    assert [one.text for one in said] == [one.text for one in ALONE]
    assert {one.writer for one in said} == {Writer.CODE}
    assert all(reason in str(one.reason) for one in said)


def test_a_model_orders_concerns_of_equal_points_and_cannot_change_the_level() -> None:
    model = StandIn({RISK_LABELS[Concern.FAR_BELOW_HIGH].strip(): -1.0})
    ordered = assess_risks(SHEETS, model, call_seconds=1, absent="")
    changed = 0
    for one, sheet in zip(ordered, SHEETS, strict=True):
        own = assess(sheet)
        assert (one.assessment.level, one.assessment.points) == (own.level, own.points)
        assert set(one.assessment.concerns) == set(own.concerns)
        points = [held.points for held in one.assessment.concerns]
        assert points == sorted(points, reverse=True)
        changed += one.writer is Writer.ORDERED
        assert (one.writer is Writer.ORDERED) == (one.assessment.concerns != own.concerns)
    assert changed


def test_a_model_that_may_write_is_kept_where_it_is_true_and_replaced_where_it_is_not() -> None:
    true = {opening_of(sheet).text for sheet in SHEETS}

    def notes(prompt: str, seed: int) -> str:
        said = prompt.partition("Notes: ")[2].partition("\n")[0]
        opening = next(text for text in true if said.startswith(text))
        return opening if seed else f"{opening} It makes telephones."  # true at the second try

    said = comment(SHEETS, StandIn(writes=notes), may_write=True, call_seconds=1, absent="")
    for one, sheet in zip(said, SHEETS, strict=True):
        if sheet.all(Quantity.SIMPLIFIED) or sheet.get(Quantity.FLAG_RULE):
            assert one.writer is Writer.CODE  # a warning is never left to a model
            continue
        assert (one.writer, one.text) == (Writer.MODEL, opening_of(sheet).text)
        assert one.prose is not None
        assert [one.text[each.start : each.start + len(each.text)] for each in one.prose.numbers] == [
            each.text for each in one.prose.numbers
        ]
    liar = StandIn(writes=lambda *_: "It makes telephones.")
    refused = comment(SHEETS, liar, may_write=True, call_seconds=1, absent="")
    assert [one.text for one in refused] == [one.text for one in ALONE]
    assert any("no cell says 'telephones'" in str(one.reason) for one in refused)
