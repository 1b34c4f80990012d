"""Every number of a clause is the value of its cell, and no clause contradicts another or the tables."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given

from pm.llm import quantities
from pm.llm.assessor import assess
from pm.llm.clauses import Number, clauses_of, opening_of
from pm.llm.gathering import FactTables, gather_facts
from pm.llm.quantities import Direction, Quantity, Unit
from pm.llm.reading import read_text
from pm.llm.reasons import FLAGGED, LEFT_OUT, SIMPLIFIED
from pm.llm.rows import placed_numbers
from pm.pipeline.run_stages import RUN_STAGES
from pm.tables.vocabulary import Reason
from tests.llm.rows_of_tables import fact_tables

if TYPE_CHECKING:
    from pm.llm.clauses import Clause
    from pm.llm.facts import Fact, FactSheet


def sheet_of(tables: FactTables) -> FactSheet:
    (sheet,) = gather_facts(tables)
    return sheet


def cell_of(tables: FactTables, number: Number) -> Any:  # noqa: ANN401 - whatever the table holds
    """Look up the value of a number's cell in the frames, by table, key and column alone."""
    cell = number.fact.cell
    frames = {
        "signals": tables.signals,
        "model_weights": tables.weights,
        "exclusions": tables.exclusions,
        "bar_flags": tables.flags,
    }
    if cell.table == "features":
        column = {"drawdown_250": "drawdown_250", "volatility_20": "rank"}[cell.column]
        return tables.standing["sessions" if (cell.expression or "").startswith("count") else column][0]
    rows = frames[cell.table].filter(*(pl.col(name) == value for name, value in cell.key))
    assert rows.height == 1
    return rows[cell.column][0]


def parsed(text: str) -> float | date:
    if re.fullmatch(r"\d+ [A-Z][a-z]+ \d{4}", text):
        return datetime.strptime(text, "%d %B %Y").date()  # noqa: DTZ007 - a day
    return float(text.rstrip("%").replace("−", "-").replace(",", "")) / (100 if text.endswith("%") else 1)


@given(fact_tables())
def test_every_number_is_its_cell_rounded_and_with_its_sign(tables: FactTables) -> None:
    sheet = sheet_of(tables)
    for clause in (opening_of(sheet), *clauses_of(sheet), *(held.clause for held in assess(sheet).concerns)):
        for part in clause.parts:
            if isinstance(part, str):
                assert not re.search(r"\d", part.replace(sheet.ticker, "").replace("drift_250", "")), clause.text
                continue
            value, shown, quantity = cell_of(tables, part), parsed(part.text), part.fact.quantity
            if isinstance(value, date):
                assert shown == value
                continue
            assert isinstance(shown, float)
            assert part.text.endswith("%") == (quantity.unit is Unit.SHARE)
            if quantity.direction is Direction.SIGN:
                assert shown == 0 or (shown > 0) == (value > 0)
                assert shown <= 0 or part.text.startswith("+")
            else:
                value = abs(value)  # the words tell the direction
            assert shown == pytest.approx(value, rel=0.011 if quantity.unit is Unit.RATIO else 6e-5, abs=5.01e-3)


@given(fact_tables())
def test_what_all_clauses_say_together_is_read_as_true_with_the_same_cells(tables: FactTables) -> None:
    """The reader of texts is written apart from the clauses; it finds a contradiction if one is true and one is not."""
    sheet = sheet_of(tables)
    clauses = [opening_of(sheet), *clauses_of(sheet)]
    text = " ".join(clause.text for clause in clauses)
    reading = read_text(text, sheet)
    assert reading.problems == (), text
    expected = placed_numbers(clauses)
    assert [(number.start, number.text) for number in reading.numbers] == [(one.start, one.text) for one in expected]
    for found, one in zip(reading.numbers, expected, strict=True):
        # The ends of an interval can be equal as they are written.
        assert found.fact.quantity is one.fact.quantity or written(found.fact) == written(one.fact)


def written(fact: Fact) -> str:
    return quantities.written(fact.value, fact.quantity)


@given(fact_tables())
def test_every_concern_is_read_as_true(tables: FactTables) -> None:
    sheet = sheet_of(tables)
    for held in assess(sheet).concerns:
        problems = set(read_text(held.clause.text, sheet).problems)
        assert problems <= {"it does not say the action"}, held.clause.text


@given(fact_tables())
def test_clauses_are_sentences_one_of_a_kind_that_agree_with_the_comparisons_they_make(tables: FactTables) -> None:
    sheet = sheet_of(tables)
    clauses = [opening_of(sheet), *clauses_of(sheet)]
    assert len({clause.kind for clause in clauses}) == len(clauses)
    for clause in clauses:
        assert clause.text.endswith(".")
        assert clause.text[0].isupper() or clause.text.startswith(sheet.ticker)
        assert "  " not in clause.text
        _compare(clause)


def _compare(clause: Clause) -> None:
    """Hold what a clause says of two numbers to the numbers as they are written."""
    shown = {part.fact.quantity: parsed(part.text) for part in clause.parts if isinstance(part, Number)}
    gain, loss = shown.get(Quantity.GAIN_PROBABILITY), shown.get(Quantity.LOSS_PROBABILITY)
    if isinstance(gain, float) and isinstance(loss, float):
        needed = round(float(shown[Quantity.THRESHOLD]), 10)  # type: ignore[arg-type]  # a share
        reached = [round(gain, 10) >= needed, round(loss, 10) >= needed]
        if "neither reaches" in clause.text:
            assert reached == [False, False]
        elif "both reach" in clause.text:
            assert reached == [True, True]
        else:
            assert reached == [" is a BUY:" in clause.text, " is a SELL:" in clause.text]
    if "than the costs" in clause.text:
        median, cost = float(shown[Quantity.MEDIAN_RETURN]), float(shown[Quantity.COST])  # type: ignore[arg-type]
        says = "loss" if "is a loss" in clause.text else "smaller" if "smaller" in clause.text else "more"
        limit = round(cost, 10)
        found = "smaller" if round(abs(median), 10) <= limit else "more" if median > 0 else "loss"
        assert says == found, clause.text


def test_every_reason_and_every_rule_of_a_flag_has_words() -> None:
    left_out = {reason.value for reason in Reason if reason.meaning.startswith("Left out")}
    assert set(LEFT_OUT) == left_out
    assert set(SIMPLIFIED) == {reason.value for reason in Reason} - left_out - {Reason.LATE.value}
    rules = set(re.findall(r"'(\w+)'", _comment_of_rule()))
    assert set(FLAGGED) == rules


def _comment_of_rule() -> str:
    (table,) = {table for stage in RUN_STAGES for table in stage.writes if table.name == "bar_flags"}
    return next(column.comment for column in table.columns if column.name == "rule")
