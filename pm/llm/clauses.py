"""Make the clauses that are true of a ticker: sentences of code, in which every number comes from a cell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pm.llm.quantities import Quantity, written
from pm.llm.reasons import FLAGGED, LEFT_OUT, SIMPLIFIED
from pm.tables.vocabulary import Action, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pm.llm.facts import Fact, FactSheet

__all__ = ["Clause", "ClauseKind", "Number", "clauses_of", "number_where", "opening_of", "share_of"]


class ClauseKind(StrEnum):
    """What a clause is about, in the order in which code tells it."""

    ACTION = "action"
    OLD_BARS = "old_bars"
    FLAG = "flag"
    SIMPLER_MODEL = "simpler_model"
    EDGE = "edge"
    POSITION = "position"
    RANGE = "range"
    VOLATILITY = "volatility"
    COST = "cost"
    DRAWDOWN = "drawdown"
    WEIGHT = "weight"


_MOST_DIGITS = 8
"""Most decimals of a percentage that two numbers are told apart by."""

_WARNINGS = {ClauseKind.OLD_BARS, ClauseKind.FLAG, ClauseKind.SIMPLER_MODEL}


@dataclass(frozen=True)
class Number:
    """A number of a clause: how it is written, and the fact that it is."""

    text: str
    fact: Fact


@dataclass(frozen=True)
class Clause:
    """A sentence that is true of a ticker.

    Attributes
    ----------
    kind
        What it is about.
    parts
        Its text, in pieces: words, and numbers with their facts.
    rests_on
        Facts without a number in the text that it rests on, such as the verdict on the models.
    """

    kind: ClauseKind
    parts: tuple[str | Number, ...]
    rests_on: tuple[Fact, ...] = ()

    @property
    def text(self) -> str:
        """The sentence."""
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    @property
    def is_warning(self) -> bool:
        """Whether it is about data or models that are not as they should be: such a clause is never left out."""
        return self.kind in _WARNINGS


def opening_of(sheet: FactSheet) -> Clause:
    """Return the clause that every text begins with: the action and why, or why there is none."""
    action = sheet.get(Quantity.ACTION)
    if action is None:
        return _left_out(sheet)
    gain, loss, threshold, cost = (
        sheet.get(quantity)
        for quantity in (Quantity.GAIN_PROBABILITY, Quantity.LOSS_PROBABILITY, Quantity.THRESHOLD, Quantity.COST)
    )
    begin = f"{sheet.ticker} is a {action.value}"
    if gain is None or loss is None or threshold is None or cost is None:
        return Clause(ClauseKind.ACTION, (f"{begin}.",), (action,))
    limit = float(threshold.value)  # type: ignore[arg-type]  # a probability
    gained, lost = _probability(gain, limit), _probability(loss, limit)
    needed = _number(threshold)
    beyond = (f"{begin}: beyond the costs of ", _number(cost), ", the probability of a ")
    if action.value == Action.BUY:
        told = (*beyond, "gain is ", gained, ", which reaches the threshold of ", needed, "; that of a loss is ", lost)
    elif action.value == Action.SELL:
        told = (*beyond, "loss is ", lost, ", which reaches the threshold of ", needed, "; that of a gain is ", gained)
    else:
        # Both can reach it only if each is one half, and so is the threshold.
        reach = "; both reach the threshold of " if _value(gain) >= limit else "; neither reaches the threshold of "
        told = (*beyond, "gain is ", gained, " and that of a loss ", lost, reach, needed)
    return Clause(ClauseKind.ACTION, (*told, "."), (action,))


def clauses_of(sheet: FactSheet) -> list[Clause]:
    """Return all clauses but the opening that are true of a ticker, in the order in which code tells them."""
    return [clause for make in _MAKERS for clause in make(sheet)]


def _value(fact: Fact) -> float:
    assert isinstance(fact.value, (int, float))  # noqa: S101 - the quantity says that it is a number
    return float(fact.value)


def _number(fact: Fact, *, digits: int = 1, signed: bool | None = None) -> Number:
    return Number(written(fact.value, fact.quantity, digits=digits, signed=signed), fact)


def number_where(fact: Fact, holds: Callable[[str], bool], *, digits: int = 1, signed: bool | None = None) -> Number:
    """Return a number with as many digits as it takes that what the sentence says of it holds of what is written."""
    for more in range(digits, _MOST_DIGITS + 1):
        number = _number(fact, digits=more, signed=signed)
        if holds(number.text):
            break
    return number


def share_of(text: str) -> float:
    """Return the fraction that a written percentage means."""
    return round(float(text.removesuffix("%").replace("−", "-").replace(",", "")) / 100, 12)


def _probability(fact: Fact, threshold: float) -> Number:
    """Return a probability that lies as written on the side of the threshold on which it is."""
    reaches = _value(fact) >= threshold
    return number_where(fact, lambda text: (share_of(text) >= round(threshold, 12)) == reaches)


def _left_out(sheet: FactSheet) -> Clause:
    reason = sheet.get(Quantity.LEFT_OUT)
    if reason is None:
        return Clause(ClauseKind.ACTION, (f"{sheet.ticker} has no signal in this run.",))
    why = LEFT_OUT.get(str(reason.value), "a stage left it out")
    return Clause(ClauseKind.ACTION, (f"{sheet.ticker} has no signal: {why}.",), (reason,))


def _old_bars(sheet: FactSheet) -> Iterator[Clause]:
    """Return that there have been sessions since the last bar; on a weekend there are none."""
    last, run = sheet.get(Quantity.ORIGIN_DATE), sheet.get(Quantity.RUN_DATE)
    late = [fact for fact in sheet.all(Quantity.SIMPLIFIED) if fact.value == Reason.LATE]
    if last is not None and run is not None and late:
        parts = ("Its last bar is of ", _number(last), ", some sessions before the day of the run, ", _number(run), ".")
        yield Clause(ClauseKind.OLD_BARS, parts, tuple(late))


def _flag(sheet: FactSheet) -> Iterator[Clause]:
    rule, day, change = (
        sheet.get(quantity) for quantity in (Quantity.FLAG_RULE, Quantity.FLAG_DATE, Quantity.FLAG_RETURN)
    )
    if rule is None or day is None:
        return
    flagged = FLAGGED.get(str(rule.value), "unusual")
    parts = ("Its bar of ", _number(day), f" is flagged as {flagged}")
    with_return = () if change is None else (", with a return of ", _number(change))
    yield Clause(ClauseKind.FLAG, (*parts, *with_return, "."), (rule,))


def _simpler_model(sheet: FactSheet) -> Iterator[Clause]:
    reasons = [fact for fact in sheet.all(Quantity.SIMPLIFIED) if fact.value != Reason.LATE]
    if not reasons or sheet.get(Quantity.ACTION) is None:
        return
    told = [SIMPLIFIED.get(str(fact.value), "a stage used a simpler model") for fact in reasons]
    text = "; ".join(told)
    yield Clause(ClauseKind.SIMPLER_MODEL, (f"{text[0].upper()}{text[1:]}.",), tuple(reasons))


def _edge(sheet: FactSheet) -> Iterator[Clause]:
    verdict = sheet.get(Quantity.VERDICT)
    if verdict is None:
        return
    if verdict.value != Verdict.EDGE:
        text = "Its models have no edge: out of sample, they did not do clearly better than assuming no change."
        yield Clause(ClauseKind.EDGE, (text,), (verdict,))
        return
    error = sheet.get(Quantity.RELATIVE_RMSE)
    if error is None or round(_value(error), 2) >= 1:
        # Where the errors of all tickers decide, its own need not be smaller.
        text = "Its models have an edge: out of sample, they did clearly better than assuming no change."
        yield Clause(ClauseKind.EDGE, (text,), (verdict,))
        return
    begin, end = "Its models have an edge: out of sample, their error was ", " times that of assuming no change."
    yield Clause(ClauseKind.EDGE, (begin, _number(error), end), (verdict,))


def _position(sheet: FactSheet) -> Iterator[Clause]:
    size, action = sheet.get(Quantity.SIZE), sheet.get(Quantity.ACTION)
    if size is None or action is None or action.value == Action.HOLD:
        return
    if _value(size) == 0:
        if action.value == Action.SELL:
            text = "Short positions are off, so that the signal to sell means to hold none of it."
            yield Clause(ClauseKind.POSITION, (text,), (action, size))
        return
    side = "position" if _value(size) > 0 else "short position"
    written_size = number_where(size, lambda text: share_of(text) != 0, signed=False)
    parts: list[str | Number] = [f"Its suggested {side} is ", written_size, " of equity"]
    stop, target = sheet.get(Quantity.STOP), sheet.get(Quantity.TARGET)
    if stop is not None:
        parts += [", with a stop at ", _number(stop)]
    if target is not None:
        parts += [", with a target at " if stop is None else " and a target at ", _number(target)]
    yield Clause(ClauseKind.POSITION, (*parts, "."))


def _range(sheet: FactSheet) -> Iterator[Clause]:
    wanted = (
        Quantity.HORIZON,
        Quantity.TARGET_DATE,
        Quantity.INTERVAL_LEVEL,
        Quantity.LOWER,
        Quantity.UPPER,
        Quantity.MEDIAN_RETURN,
    )
    facts = [fact for fact in map(sheet.get, wanted) if fact is not None]
    if len(facts) < len(wanted):
        return
    horizon, until, level, lower, upper, median = map(_number, facts)
    over = f" session{'' if facts[0].value == 1 else 's'}, to "
    parts = ("Over ", horizon, over, until, ", the ", level, " interval of its return is ", lower, " to ", upper)
    yield Clause(ClauseKind.RANGE, (*parts, ", with a median of ", median, "."))


def _volatility(sheet: FactSheet) -> Iterator[Clause]:
    annual = sheet.get(Quantity.ANNUAL_VOLATILITY)
    if annual is None:
        return
    parts: list[str | Number] = ["Its forecast volatility is ", _number(annual), " per year"]
    rank, sessions = sheet.get(Quantity.VOLATILITY_RANK), sheet.get(Quantity.VOLATILITY_SESSIONS)
    rests_on: tuple[Fact, ...] = ()
    if rank is not None and sessions is not None and _value(sessions) > 1:
        of = _number(sessions)
        share = _value(rank)
        if share in {0.0, 1.0}:
            how = "higher than on all" if share else "not higher than on any"
            parts += [f"; its recent volatility is {how} of the last ", of, " sessions"]
            rests_on = (rank,)
        else:
            shown = number_where(rank, lambda text: share_of(text) not in {0.0, 1.0}, digits=0)
            parts += ["; its recent volatility is higher than on ", shown, " of the last ", of, " sessions"]
    yield Clause(ClauseKind.VOLATILITY, (*parts, "."), rests_on)


def _cost(sheet: FactSheet) -> Iterator[Clause]:
    median, cost = sheet.get(Quantity.MEDIAN_RETURN), sheet.get(Quantity.COST)
    if median is None or cost is None or _value(median) == 0:
        return
    share, limit = _value(median), _value(cost)
    is_more = abs(share) > limit

    def holds(text: str) -> bool:
        return share_of(text) != 0 and (abs(share_of(text)) > round(limit, 12)) == is_more

    shown = number_where(median, holds)
    if not holds(shown.text):
        return  # too close to say
    if not is_more:
        told = " is smaller than the costs of "
    else:
        told = " is more than the costs of " if share > 0 else " is a loss of more than the costs of "
    yield Clause(ClauseKind.COST, ("Its median return of ", shown, told, _number(cost), "."))


def _drawdown(sheet: FactSheet) -> Iterator[Clause]:
    below = sheet.get(Quantity.DRAWDOWN)
    if below is None:
        return
    if share_of(written(below.value, below.quantity)) == 0:
        yield Clause(ClauseKind.DRAWDOWN, ("Its adjusted close is at its high of the past year.",), (below,))
        return
    yield Clause(ClauseKind.DRAWDOWN, ("Its adjusted close is ", _number(below), " below its high of the past year."))


def _weight(sheet: FactSheet) -> Iterator[Clause]:
    """Return which model has the most weight; without an edge naive has all of it, as that clause implies."""
    model, weight = sheet.get(Quantity.MODEL), sheet.get(Quantity.WEIGHT)
    if model is not None and weight is not None and sheet.word(Quantity.VERDICT) == Verdict.EDGE:
        parts = (f"Among its models, {model.value} has the largest weight, ", _number(weight, digits=0), ".")
        yield Clause(ClauseKind.WEIGHT, parts, (model,))


_MAKERS: Sequence[Callable[[FactSheet], Iterator[Clause]]] = (
    _old_bars,
    _flag,
    _simpler_model,
    _edge,
    _position,
    _range,
    _volatility,
    _cost,
    _drawdown,
    _weight,
)
