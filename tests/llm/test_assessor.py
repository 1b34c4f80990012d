"""The rubric of docs/llm.md, held to the table there and to rows that hypothesis draws."""

from __future__ import annotations

import pytest
from hypothesis import given

from pm.llm.assessor import assess
from pm.llm.facts import Cell, Fact, FactSheet
from pm.llm.gathering import FactTables, gather_facts
from pm.llm.quantities import Quantity
from pm.tables.vocabulary import Concern, RiskLevel
from tests.llm.rows_of_tables import fact_tables

CALM: dict[Quantity, float | str] = {
    Quantity.ACTION: "HOLD",
    Quantity.VERDICT: "no edge",
    Quantity.LOWER: -0.05,
    Quantity.INTERVAL_LEVEL: 0.9,
    Quantity.ANNUAL_VOLATILITY: 0.2,
    Quantity.VOLATILITY_RANK: 0.5,
    Quantity.VOLATILITY_SESSIONS: 250,
    Quantity.DRAWDOWN: -0.05,
}


@pytest.mark.parametrize(
    ("changed", "concerns", "level"),
    [
        ({}, {}, RiskLevel.LOW),
        ({Quantity.ANNUAL_VOLATILITY: 0.2999}, {}, RiskLevel.LOW),
        ({Quantity.ANNUAL_VOLATILITY: 0.3}, {Concern.VOLATILE: 1}, RiskLevel.LOW),
        ({Quantity.ANNUAL_VOLATILITY: 0.5}, {Concern.VOLATILE: 2}, RiskLevel.MODERATE),
        ({Quantity.LOWER: -0.1}, {Concern.LARGE_LOSS_POSSIBLE: 1}, RiskLevel.LOW),
        ({Quantity.LOWER: -0.2}, {Concern.LARGE_LOSS_POSSIBLE: 2}, RiskLevel.MODERATE),
        ({Quantity.DRAWDOWN: -0.2}, {Concern.FAR_BELOW_HIGH: 1}, RiskLevel.LOW),
        ({Quantity.VOLATILITY_RANK: 0.8}, {Concern.TURBULENT: 1}, RiskLevel.LOW),
        ({Quantity.ACTION: "BUY"}, {Concern.UNPROVEN: 2}, RiskLevel.MODERATE),
        ({Quantity.ACTION: "BUY", Quantity.VERDICT: "edge"}, {}, RiskLevel.LOW),
        ({Quantity.SIMPLIFIED: "short_history"}, {Concern.SIMPLER_MODEL: 1}, RiskLevel.LOW),
        (
            {Quantity.LOWER: -0.3, Quantity.ANNUAL_VOLATILITY: 0.6},
            {Concern.VOLATILE: 2, Concern.LARGE_LOSS_POSSIBLE: 2},
            RiskLevel.HIGH,
        ),
        (
            {Quantity.LOWER: -0.1, Quantity.ANNUAL_VOLATILITY: 0.3, Quantity.DRAWDOWN: -0.9},
            {Concern.VOLATILE: 1, Concern.LARGE_LOSS_POSSIBLE: 1, Concern.FAR_BELOW_HIGH: 1},
            RiskLevel.MODERATE,
        ),
    ],
)
def test_a_level_follows_from_the_rubric(
    changed: dict[Quantity, float | str], concerns: dict[Concern, int], level: RiskLevel
) -> None:
    facts = tuple(Fact(quantity, value, Cell("t", "c", ())) for quantity, value in (CALM | changed).items())
    assessment = assess(FactSheet("AAPL", facts))
    assert {held.concern: held.points for held in assessment.concerns} == concerns
    assert assessment.level is level


def test_a_ticker_of_which_nothing_is_known_is_left_out() -> None:
    assessment = assess(FactSheet("AAPL", ()))
    assert [held.concern for held in assessment.concerns] == [Concern.LEFT_OUT]
    assert assessment.level is RiskLevel.MODERATE


@given(fact_tables())
def test_points_add_up_to_the_level_and_severe_concerns_come_first(tables: FactTables) -> None:
    (sheet,) = gather_facts(tables)
    assessment = assess(sheet)
    points = [held.points for held in assessment.concerns]
    assert points == sorted(points, reverse=True)
    bounds = {RiskLevel.LOW: (0, 1), RiskLevel.MODERATE: (2, 3), RiskLevel.HIGH: (4, 99)}[assessment.level]
    assert bounds[0] <= sum(points) <= bounds[1]
    assert len({held.concern for held in assessment.concerns}) == len(points)
