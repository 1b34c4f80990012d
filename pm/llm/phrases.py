"""List the phrases in which a checked text may say a number, so that each says of which quantity the number is.

A text is compared after its numbers were replaced by marks of the quantities whose values they are. A word that no
phrase holds is refused: "at its stop of 401.20" has a number that is right, and says something else of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pm.llm.lexicon import SUBJECT
from pm.llm.quantities import Quantity
from pm.llm.reasons import FLAGGED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.llm.facts import Fact, FactSheet

__all__ = ["mark", "phrases_in"]

_OVER = r"over (the )?<horizon> sessions?"
_INTERVAL = r"(<interval_level> )?interval( of (its|the) returns?)?"
_BY_COST = r"is (more|less|smaller|a loss of more) than the costs?( of <cost>)?"
_RANK = r"(higher than on (<volatility_rank>|all)|not higher than on any)"
_FLAGS = "|".join(FLAGGED.values())

_PHRASES = (
    # Signal
    r"(beyond|after) (the |its )?costs? of <cost>",
    r"costs? (is|are|of) <cost>",
    r"threshold (is|of) <threshold>",
    r"(<gain_that_reaches>|<loss_that_reaches>) which reaches the threshold( of <threshold>)?",
    r"neither reaches the threshold of <threshold>",
    r"both reach the threshold of <threshold>",
    *(
        phrase.format(one=one)
        for one in ("gain", "loss")
        for phrase in (
            r"(probability|chance|that) of (an? )?{one} (is |of )?(<{one}>|<{one}_that_reaches>)",
            r"(probability|chance) of (<{one}>|<{one}_that_reaches>) (for|of) (an? )?{one}",
            r"of (<{one}>|<{one}_that_reaches>) (for|of) (an? )?{one}",
            r"(<{one}>|<{one}_that_reaches>) (probability|chance) of (an? )?{one}",
        )
    ),
    # Position
    r"(suggested )?position (is|of) <size>( of (the )?equity)?",
    r"(suggested )?short position (is|of) <short_size>( of (the )?equity)?",
    r"stop (is at|at|is|of) <stop>",
    r"target (is at|at|is|of) <target>",
    # Forecast
    _OVER,
    r"(to|until|by) <target_date>",
    rf"{_INTERVAL} (is|of|is from|from) <lower> to <upper>",
    rf"{_INTERVAL} (is )?between <lower> and <upper>",
    rf"lower end of (its|the) {_INTERVAL} (is|of|at) <lower>",
    rf"upper end of (its|the) {_INTERVAL} (is|of|at) <upper>",
    r"<interval_level> interval",
    rf"median( return)?( {_OVER})? (is|of|at) (an? (gain|rise|increase|fall|drop|decline|loss) of )?<median_return>",
    rf"<median_return> within (an|its|the) {_INTERVAL} of <lower> to <upper>",
    rf"median return( of <median_return>)? {_BY_COST}",
    r"((forecast|high) )?volatility (is|of|at) <annual_volatility>( per year)?",
    # Standing
    rf"recent volatility is {_RANK} of the (last|past) <volatility_sessions> sessions",
    rf"{SUBJECT} (is|stands) <drawdown> below its high( of the past year)?",
    rf"{SUBJECT} closed at <close>",
    r"(last )?(close|price) (is|was|of|at) <close>",
    # Models and data
    r"(out of sample )?(its|the|their) (models' )?error (is|was) <relative_rmse> times that of assuming no change",
    r"largest weight (is|of|at) <weight>",
    r"last bar is (of|from) <origin_date>( some sessions before the day of the run( <run_date>)?)?",
    rf"bar of <flag_date> is flagged as ({_FLAGS})( with a return of <flag_return>)?",
)


def _compiled(phrase: str) -> re.Pattern[str]:
    """Return a phrase that may have a comma between its words, and 'about' before its numbers."""
    loose = phrase.replace(" ", ",? ").replace("<", "(?:about )?<")
    return re.compile(rf"(?<![\w<])(?:{loose})(?![\w>])")


_COMPILED = tuple(_compiled(phrase) for phrase in _PHRASES)


def mark(fact: Fact, sheet: FactSheet) -> str:
    """Return what stands for a number in a phrase: its quantity, and what of its value decides what can be said."""
    if fact.quantity is Quantity.SIZE and float(fact.value) < 0:  # type: ignore[arg-type]  # a share
        return "<short_size>"
    name = fact.quantity.name.lower()
    if fact.quantity in {Quantity.GAIN_PROBABILITY, Quantity.LOSS_PROBABILITY}:
        name = name.partition("_")[0]
        threshold = sheet.number(Quantity.THRESHOLD)
        if threshold is not None and float(fact.value) >= threshold:  # type: ignore[arg-type]  # a probability
            name += "_that_reaches"
    return f"<{name}>"


def phrases_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield where phrases start and end in a text in lower case, whose numbers are replaced by their marks."""
    for phrase in _COMPILED:
        for match in phrase.finditer(text):
            yield match.span()
