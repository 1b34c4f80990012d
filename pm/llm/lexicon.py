"""List what a checked text may say without a number: the words that claim nothing, and the claims that code verifies.

What it may say with numbers is in `pm.llm.phrases`. Any other word claims something that no table holds, and a text
with one is refused.
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

__all__ = ["DOWN", "NEUTRAL_WORDS", "SUBJECT", "UP", "Claim", "claims"]

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

NEUTRAL_WORDS = frozenset(("a", "also", "an", "and", "but", "it", "its", "the", "their", "while", "with"))
"""Words that claim nothing wherever they stand: neither verbs nor nouns, nor words of place, time or cause."""

SUBJECT = r"(it|\.+|((its|the) )?(adjusted )?(close|price))"
"""What stands for the share; dots stand for the ticker."""
_VISIBLE = 0.0005
"""Fall below the high that is written as 0.1%: less is no fall."""
_MODELS = r"(it|they|\.+|(its |the )?models?)"
_TEST = r"(out of sample, )?"


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
    is_whole
        Whether it says all by itself. If not, its words have to be part of a phrase of `pm.llm.phrases` too, which
        says of what they are said.
    """

    pattern: re.Pattern[str]
    holds: Callable[[FactSheet], bool]
    rests_on: tuple[Quantity, ...]
    is_whole: bool = True


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
    is_volatile = _compares(*volatility, by=VOLATILE.__le__)
    off = _compares(Quantity.SIZE, by=lambda share: share == 0)
    partly: list[tuple[str, Callable[[FactSheet], bool], tuple[Quantity, ...]]] = [
        (r"times that of assuming no change", _has(Quantity.RELATIVE_RMSE), verdict),
        (r"reaches the threshold", reached, chances),
        (r"is more than the costs?", gained, costs),
        (r"is a loss of more than the costs?", lost, costs),
        (r"is (smaller|less) than the costs?", small, costs),
        (r"not higher than on any of", _compares(*rank, by=lambda share: share == 0), rank),
        (r"higher than on all of", _compares(*rank, by=lambda share: share == 1), rank),
        (r"short position", _compares(Quantity.SIZE, by=lambda share: share < 0), size),
        *((rf"flagged as {words}", _names(Quantity.FLAG_RULE, rule), ()) for rule, words in FLAGGED.items()),
    ]
    whole: list[tuple[str, Callable[[FactSheet], bool], tuple[Quantity, ...]]] = [
        (r"short positions are off, so that the signal to sell means to hold none of it", off, size),
        (rf"{SUBJECT} has no signal in this run", lambda sheet: sheet.get(Quantity.ACTION) is None, (Quantity.ACTION,)),
        (rf"({_MODELS} (has|have|lacks?) )?no edge|without an edge|{_MODELS} lacks? an edge", no_edge, verdict),
        (rf"{_TEST}{_MODELS} did not do clearly better than assuming no change", no_edge, verdict),
        (rf"{_TEST}{_MODELS} did clearly better than assuming no change", edge, verdict),
        (rf"({_MODELS} (has|have) )?an edge|with edge", edge, verdict),
        (r"neither reaches the threshold", below, chances),
        (r"both reach the threshold", tied, chances),
        (rf"although {_MODELS} have no edge", no_edge, verdict),
        (
            rf"{SUBJECT} (is|stands) at its high( of the past year)?",
            _compares(Quantity.DRAWDOWN, by=lambda share: abs(share) < _VISIBLE),
            (),
        ),
        (
            rf"{SUBJECT} (is|stands) below its high( of the past year)?",
            _compares(Quantity.DRAWDOWN, by=lambda share: share < 0),
            (),
        ),
        (rf"with (a )?high volatility|{SUBJECT} is volatile", is_volatile, volatility),
        (rf"(among (its|the) models, )?{model} has the largest weight", _has(Quantity.MODEL), (Quantity.MODEL,)),
        *(
            (rf"{SUBJECT} has no signal: {words}", _names(Quantity.LEFT_OUT, one), ())
            for one, words in LEFT_OUT.items()
        ),
        *((words.lower(), _names(Quantity.SIMPLIFIED, one), ()) for one, words in SIMPLIFIED.items()),
    ]
    for action in Action:
        word = action.value.lower()
        said = rf"(({SUBJECT}|(its|the) signal) is )?"
        whole.append((rf"{said}not an? {word}", _is_not(Quantity.ACTION, action.value), (Quantity.ACTION,)))
        whole.append((rf"{said}(an? )?{word}", _is(Quantity.ACTION, action.value), (Quantity.ACTION,)))
    partly.append((r"some sessions before the day of the run", _is_old, (Quantity.SIMPLIFIED,)))
    partly.append((r"high volatility", is_volatile, volatility))
    return [
        Claim(re.compile(rf"(?<!\w)({pattern})(?!\w)"), holds, rests_on, is_whole)
        for found, is_whole in ((whole, True), (partly, False))
        for pattern, holds, rests_on in found
    ]
