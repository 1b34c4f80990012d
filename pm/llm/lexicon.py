"""List what a checked text may say: the words that claim nothing, and the claims that code can verify.

Any other word claims something that no table holds, and a text with one is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.llm.assessor import VOLATILE
from pm.llm.quantities import Quantity
from pm.llm.reasons import FLAGGED, LEFT_OUT, SIMPLIFIED
from pm.tables.vocabulary import Action, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.llm.facts import FactSheet

__all__ = ["DOWN", "NEUTRAL_PHRASES", "NEUTRAL_WORDS", "UP", "Claim", "claims"]

_UP = """
    above gain gaining gains higher increase more rise rises rising up
"""
UP = frozenset(_UP.split())
"""Words that say that a number beside them points up."""

_DOWN = """
    below decline down drop fall falling falls less losing loss losses lower under
"""
DOWN = frozenset(_DOWN.split())
"""Words that say that a number beside them points down."""

_NEUTRAL_WORDS = """
    a about also among an and are as at be because between but by each for from if in is it its of on or so than that
    the their them these they this to until was were which while with within
"""
NEUTRAL_WORDS = frozenset(_NEUTRAL_WORDS.split())
"""Words that claim nothing, whatever stands beside them: no verb of an event is among them, and no noun.

Each other word must be part of a claim that holds or of a neutral phrase, name a number that a cell holds, or tell its
direction.
"""

_NUMBER = r"(?= (?:about )?[+−-]?\d)"
"""What is before a number, which is checked by itself."""
_NEUTRAL_PHRASES = (
    rf"(beyond )?(the |its )?costs? (of|are|is){_NUMBER}",
    r"probability of(?= (?:a (?:gain|loss)|\d))",
    rf"(suggested )?position (is|of){_NUMBER}",
    r"suggested(?= short position)",
    r"(?<=% )of equity",
    rf"(stop|target) (at|of|is){_NUMBER}",
    r"over(?= \d+ sessions?\b)",
    r"(?<=\d )sessions?",
    r"(?<=% )interval( of (its|the) returns?)?( is| of)?",
    rf"interval (of|is){_NUMBER}",
    rf"median( return)?( over \d+ sessions?)? (of|is){_NUMBER}",
    r"(forecast |recent )?volatility is(?= (?:about )?(?:\d|(?:not )?higher than on))",
    r"(?<=% )per year",
    r"of the last(?= \d+ sessions?\b)",
    r"adjusted close is(?= (?:\d|at its high))",
    rf"(close|price) (of|is|was){_NUMBER}",
    rf"closed at{_NUMBER}",
    rf"stands{_NUMBER}",
    r"among (its|the) models",
    r"models have(?= (?:an|no) edge)",
    r"out of sample",
    rf"error (was|is|of){_NUMBER}",
    rf"last bar is (of|from){_NUMBER}",
    rf"bar of{_NUMBER}",
    rf"with a return of{_NUMBER}",
    r"signal is(?= an? (?:buy|sell|hold)\b)",
    r"(the|this) (stock|share|ticker)(?= is an? (?:buy|sell|hold)\b)",
)
NEUTRAL_PHRASES = tuple(re.compile(rf"(?<!\w)({phrase})(?!\w)") for phrase in _NEUTRAL_PHRASES)
"""Phrases of lower-case words that claim nothing but that the number or the claim beside them is what they name."""


_BESIDE = "at|in|on|by|to|from|of|above|below|over|under|within|between|among|beyond|out of"
_PLACED = (
    rf"(is|are|be|was|were|stands) ({_BESIDE}) (its|the|this|that|an?) (\w+ )?"
    "(stop|target|interval|threshold|range|position|median|costs?)"
)
"""What says where a price stands against a stop, a target or an interval."""


@dataclass(frozen=True)
class Claim:
    """A way to say something without a number, and whether it is true of a ticker.

    Attributes
    ----------
    pattern
        What says it, in lower case.
    holds
        Whether it is true.
    rests_on
        Quantities that decide.
    """

    pattern: re.Pattern[str]
    holds: Callable[[FactSheet], bool]
    rests_on: tuple[Quantity, ...]


def _is(quantity: Quantity, word: str) -> Callable[[FactSheet], bool]:
    return lambda sheet: sheet.word(quantity) == word


def _is_not(quantity: Quantity, word: str) -> Callable[[FactSheet], bool]:
    return lambda sheet: sheet.word(quantity) not in {None, word}


def _has(quantity: Quantity) -> Callable[[FactSheet], bool]:
    return lambda sheet: sheet.get(quantity) is not None


def _compares(*quantities: Quantity, by: Callable[..., bool]) -> Callable[[FactSheet], bool]:
    """Return whether a comparison of numbers holds; it does not if one is not known."""

    def holds(sheet: FactSheet) -> bool:
        values = [sheet.number(quantity) for quantity in quantities]
        return all(value is not None for value in values) and by(*values)

    return holds


def _is_old(sheet: FactSheet) -> bool:
    return any(fact.value == Reason.LATE for fact in sheet.all(Quantity.SIMPLIFIED))


def _names(quantity: Quantity, word: str) -> Callable[[FactSheet], bool]:
    return lambda sheet: any(fact.value == word for fact in sheet.all(quantity))


def claims(sheet: FactSheet) -> list[Claim]:
    """Return what can be claimed of a ticker without a number, true or not."""
    chances = (Quantity.GAIN_PROBABILITY, Quantity.LOSS_PROBABILITY, Quantity.THRESHOLD)
    below = _compares(*chances, by=lambda gain, loss, needed: gain < needed and loss < needed)
    reached = _compares(*chances, by=lambda gain, loss, needed: (gain >= needed) != (loss >= needed))
    tied = _compares(*chances, by=lambda gain, loss, needed: gain >= needed and loss >= needed)
    costs = (Quantity.MEDIAN_RETURN, Quantity.COST)
    gained = _compares(*costs, by=lambda median, cost: median > cost)
    lost = _compares(*costs, by=lambda median, cost: median < -cost)
    small = _compares(*costs, by=lambda median, cost: abs(median) <= cost)
    no_edge = _is_not(Quantity.VERDICT, Verdict.EDGE.value)
    edge = _is(Quantity.VERDICT, Verdict.EDGE.value)
    rank, size = (Quantity.VOLATILITY_RANK,), (Quantity.SIZE,)
    verdict, volatility = (Quantity.VERDICT,), (Quantity.ANNUAL_VOLATILITY,)
    model = re.escape(sheet.word(Quantity.MODEL) or "no model")
    off = _compares(Quantity.SIZE, by=lambda share: share == 0)
    found: list[tuple[str, Callable[[FactSheet], bool], tuple[Quantity, ...]]] = [
        (r"short positions are off, so that the signal to sell means to hold none of it", off, size),
        (r"short position\b", _compares(Quantity.SIZE, by=lambda share: share < 0), size),
        (r"has no signal in this run", lambda sheet: sheet.get(Quantity.ACTION) is None, (Quantity.ACTION,)),
        (r"(has|have) no edge|no edge|without an edge|lacks? an edge", no_edge, verdict),
        (r"did not do significantly better than assuming no change", no_edge, verdict),
        (r"did significantly better than assuming no change", edge, verdict),
        (r"times that of assuming no change", _has(Quantity.RELATIVE_RMSE), verdict),
        (r"\bedge\b", edge, verdict),
        (r"neither reaches the threshold|(does|do) not reach the threshold", below, chances),
        (r"both reach the threshold", tied, chances),
        (r"although its models have no edge", no_edge, verdict),
        (r"which reaches the threshold|reaches the threshold", reached, chances),
        (r"is more than the costs?", gained, costs),
        (r"is a loss of more than the costs?", lost, costs),
        (r"is (smaller|less) than the costs?", small, costs),
        (r"not higher than on any of", _compares(*rank, by=lambda share: share == 0), rank),
        (r"higher than on all of", _compares(*rank, by=lambda share: share == 1), rank),
        (r"is at its high( of the past year)?", _compares(Quantity.DRAWDOWN, by=lambda share: abs(share) < 0.0005), ()),
        (r"below its high( of the past year)?", _compares(Quantity.DRAWDOWN, by=lambda share: share < 0), ()),
        (r"(some sessions )?before the day of the run", _is_old, (Quantity.SIMPLIFIED,)),
        (r"high volatility|is volatile", _compares(*volatility, by=VOLATILE.__le__), volatility),
        # Where a price stands against a stop, a target or an interval, no cell says.
        (_PLACED, lambda _: False, ()),
        (r"the lower end|the upper end", lambda _: True, ()),
        (rf"{model} has the largest weight", _has(Quantity.MODEL), (Quantity.MODEL,)),
        *((rf"flagged as {words}", _names(Quantity.FLAG_RULE, rule), ()) for rule, words in FLAGGED.items()),
        *((rf"has no signal: {words}", _names(Quantity.LEFT_OUT, one), ()) for one, words in LEFT_OUT.items()),
        *((words.lower(), _names(Quantity.SIMPLIFIED, one), ()) for one, words in SIMPLIFIED.items()),
    ]
    for action in Action:
        word = action.value.lower()
        found.append((rf"\bnot an? {word}\b", _is_not(Quantity.ACTION, action.value), (Quantity.ACTION,)))
        found.append((rf"\b{word}\b", _is(Quantity.ACTION, action.value), (Quantity.ACTION,)))
    return [Claim(re.compile(rf"(?<!\w)({pattern})(?!\w)"), holds, rests_on) for pattern, holds, rests_on in found]
