"""Assess the risk of a ticker by a rubric of code: a model only orders the concerns that hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.llm.clauses import Clause, ClauseKind, Number, clauses_of, number_where, opening_of, share_of
from pm.llm.quantities import Quantity, written
from pm.tables.vocabulary import Action, Concern, RiskLevel, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pm.llm.facts import Fact, FactSheet

__all__ = ["FAR_BELOW_HIGH", "VOLATILE", "Assessment", "HeldConcern", "assess"]

VOLATILE, VERY_VOLATILE = 0.30, 0.50
"""Volatilities per year from which a ticker is volatile, and very much so: most large US shares have 15% to 30%, and a
position in one of 50% loses a quarter of its value in one of six quarters (one standard deviation)."""
LARGE_LOSS, VERY_LARGE_LOSS = -0.10, -0.20
"""Lower ends of the interval of a return from which a loss is large, and very large: the customary bounds of a
correction and of a bear market of an index."""
FAR_BELOW_HIGH = -0.20
"""Drawdown from which a ticker is far below its high: the customary bound of a bear market."""
TURBULENT = 0.80
"""Share of past sessions with a lower volatility from which the present one is unusual: one session of five."""
MODERATE_POINTS, HIGH_POINTS = 2, 4
"""Points from which the level is moderate, and high: one severe concern or two others, and twice as many."""


@dataclass(frozen=True)
class HeldConcern:
    """A concern that holds.

    Attributes
    ----------
    concern
        The concern.
    points
        2 if it is severe, otherwise 1.
    clause
        The concern in a sentence, with its cells.
    """

    concern: Concern
    points: int
    clause: Clause


@dataclass(frozen=True)
class Assessment:
    """The risk of a ticker.

    Attributes
    ----------
    ticker
        The ticker.
    concerns
        The concerns that hold, the severe ones first.
    """

    ticker: str
    concerns: tuple[HeldConcern, ...]

    @property
    def points(self) -> int:
        """Sum of the points of the concerns."""
        return sum(held.points for held in self.concerns)

    @property
    def level(self) -> RiskLevel:
        """The level that the points stand for."""
        if self.points >= HIGH_POINTS:
            return RiskLevel.HIGH
        return RiskLevel.MODERATE if self.points >= MODERATE_POINTS else RiskLevel.LOW


def assess(sheet: FactSheet) -> Assessment:
    """Return the concerns about a ticker that hold by the thresholds of this module, severe ones first."""
    held = sorted(_held(sheet), key=lambda one: -one.points)  # stable: equal points stay in the order of the rubric
    return Assessment(sheet.ticker, tuple(held))


def _held(sheet: FactSheet) -> Iterator[HeldConcern]:
    clauses = {clause.kind: clause for clause in clauses_of(sheet)}
    action, verdict = sheet.get(Quantity.ACTION), sheet.get(Quantity.VERDICT)
    if action is None:
        yield HeldConcern(Concern.LEFT_OUT, 2, opening_of(sheet))
    elif verdict is not None and action.value != Action.HOLD and verdict.value != Verdict.EDGE:
        text = f"The signal is a {action.value} although its models have no edge."
        yield HeldConcern(Concern.UNPROVEN, 2, Clause(ClauseKind.EDGE, (text,), (action, verdict)))
    for concern, kind in (
        (Concern.OLD_BARS, ClauseKind.OLD_BARS),
        (Concern.UNUSUAL_BARS, ClauseKind.FLAG),
        (Concern.SIMPLER_MODEL, ClauseKind.SIMPLER_MODEL),
    ):
        if kind in clauses:
            yield HeldConcern(concern, 1, clauses[kind])
    yield from _of_movement(sheet)


def _of_movement(sheet: FactSheet) -> Iterator[HeldConcern]:
    volatility = sheet.get(Quantity.ANNUAL_VOLATILITY)
    if volatility is not None and (value := _value(volatility)) >= VOLATILE:
        parts: tuple[str | Number, ...] = (
            "Its forecast volatility is ",
            _past(volatility, [VOLATILE, VERY_VOLATILE]),
            " per year.",
        )
        points = 2 if value >= VERY_VOLATILE else 1
        yield HeldConcern(Concern.VOLATILE, points, Clause(ClauseKind.VOLATILITY, parts))
    lower, level = sheet.get(Quantity.LOWER), sheet.get(Quantity.INTERVAL_LEVEL)
    if lower is not None and level is not None and (value := _value(lower)) <= LARGE_LOSS:
        end = _past(lower, [LARGE_LOSS, VERY_LARGE_LOSS])
        shown = Number(written(level.value, level.quantity), level)
        parts = ("The lower end of the ", shown, " interval of its return is ", end, ".")
        points = 2 if value <= VERY_LARGE_LOSS else 1
        yield HeldConcern(Concern.LARGE_LOSS_POSSIBLE, points, Clause(ClauseKind.RANGE, parts))
    rank, sessions = sheet.get(Quantity.VOLATILITY_RANK), sheet.get(Quantity.VOLATILITY_SESSIONS)
    if rank is not None and sessions is not None and _value(rank) >= TURBULENT:
        of = Number(written(sessions.value, sessions.quantity), sessions)
        parts = ("Its recent volatility is higher than on ", _past(rank, [TURBULENT], 0), " of the last ", of)
        yield HeldConcern(Concern.TURBULENT, 1, Clause(ClauseKind.VOLATILITY, (*parts, " sessions.")))
    below = sheet.get(Quantity.DRAWDOWN)
    if below is not None and _value(below) <= FAR_BELOW_HIGH:
        parts = ("Its adjusted close is ", _past(below, [FAR_BELOW_HIGH]), " below its high of the past year.")
        yield HeldConcern(Concern.FAR_BELOW_HIGH, 1, Clause(ClauseKind.DRAWDOWN, parts))


def _value(fact: Fact) -> float:
    assert isinstance(fact.value, (int, float))  # noqa: S101 - the quantity says that it is a number
    return float(fact.value)


def _past(fact: Fact, limits: Sequence[float], digits: int = 1) -> Number:
    """Return a number that lies as written on the side of each limit on which it is."""
    size = abs(_value(fact))

    def holds(text: str) -> bool:
        shown = abs(share_of(text))
        return all((shown >= abs(limit)) == (size >= abs(limit)) for limit in limits)

    return number_where(fact, holds, digits=digits)
