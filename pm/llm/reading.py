"""Read a text about a ticker, and find the cell that each of its numbers and claims comes from, or what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from pm.llm.lexicon import DOWN, NEUTRAL_WORDS, UP, claims
from pm.llm.phrases import mark, phrases_in
from pm.llm.quantities import Direction, Quantity, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pm.llm.facts import Fact, FactSheet
    from pm.llm.lexicon import Claim

__all__ = ["FoundNumber", "Reading", "read_text"]

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_TOKEN = re.compile(
    rf"(?P<date>\d{{1,2}} (?:{_MONTHS}) \d{{4}}|\d{{4}}-\d{{2}}-\d{{2}})"
    r"|(?P<number>[+−-]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?:\s?%|\spercent\b)?)"
    r"|(?P<word>[^\W\d_][\w'’-]*)"
    r"|(?P<other>[^\s.,;:!?()])"
)
_END = re.compile(r"[.;!?](?=\s|$)|\n")

_NEAR = 5
"""Number of tokens within which a word tells the direction of a number."""
_AFTER = 4
"""Number of tokens that a name after a number counts as farther away than one before it: 'costs of 0.2%' is usual."""
_NEAR_AFTER = 3
"""Number of tokens within which a name belongs to the number before it: '48.9% for a gain', '14.2% of equity'."""

_FAR = 10
"""Distance from which a word does not name a number any more."""
_VISIBLE = 0.05
"""Percentage from which one decimal shows that it is not 0."""

_NAMES = frozenset(name for quantity in Quantity for name in quantity.names)
"""Words that name a quantity."""
_NUMBER_NAMES = frozenset(name for quantity in Quantity if quantity.unit is not Unit.DATE for name in quantity.names)
"""Those that name one of numbers."""

_ONLY = (
    (r"\blower end\b", {Quantity.LOWER, Quantity.UPPER}, Quantity.LOWER),
    (r"\bupper end\b", {Quantity.LOWER, Quantity.UPPER}, Quantity.UPPER),
    (r"\blast bar\b", {Quantity.ORIGIN_DATE, Quantity.FLAG_DATE}, Quantity.ORIGIN_DATE),
    (r"\bflagged\b", {Quantity.ORIGIN_DATE, Quantity.FLAG_DATE}, Quantity.FLAG_DATE),
)
"""Phrases of a sentence after which one quantity of a set is meant."""


@dataclass(frozen=True)
class FoundNumber:
    """A number of a text: where it starts, how it is written, and its fact."""

    start: int
    text: str
    fact: Fact


@dataclass(frozen=True)
class Reading:
    """What a text says.

    Attributes
    ----------
    numbers
        Its numbers, in their order.
    rests_on
        Facts behind what it says without a number.
    problems
        What no cell says, each in a sentence; empty if every claim holds.
    """

    numbers: tuple[FoundNumber, ...]
    rests_on: tuple[Fact, ...]
    problems: tuple[str, ...]


@dataclass
class _Token:
    kind: str
    text: str
    start: int
    is_claimed: bool = False
    """Whether it is part of a claim, so that it tells no direction of a number beside it."""
    is_settled: bool = False
    """Whether something that code has verified says it."""
    mark: str | None = None
    """For a number, the quantity whose value it is."""

    @property
    def word(self) -> str:
        return self.text.lower()


def read_text(text: str, sheet: FactSheet) -> Reading:
    """Find the fact behind every number and every claim of a text.

    A number belongs to a fact if it is the fact's value, rounded as it is written, with its unit; if the nearest word
    that names a quantity of this unit names this one; and if its sign and the words beside it point in the fact's
    direction. All other words must claim nothing, or be part of a claim that holds, or of a phrase that says a number
    of its quantity. A text that does not say the action is incomplete.
    """
    numbers: list[FoundNumber] = []
    rests_on: dict[Quantity, Fact] = {}
    problems: list[str] = []
    known = claims(sheet)
    for start, sentence in _sentences(text):
        tokens = _tokens(sentence, sheet.ticker)
        _settle_claims(sentence, tokens, sheet, known, rests_on, problems)
        for place, token in enumerate(tokens):
            if token.kind in {"number", "date"} and not token.is_settled:
                fact = _fact_of(tokens, place, sentence, sheet, numbers)
                if fact is None:
                    problems.append(f"{token.text!r} is not the value of what the words beside it name")
                else:
                    token.mark = mark(fact, sheet)
                    numbers.append(FoundNumber(start + token.start, token.text, fact))
        _settle_phrases(sentence, tokens, sheet.ticker)
        unfounded = [token.text for token in tokens if _is_unfounded(token)]
        problems += [f"no cell says {word!r}" for word in sorted(unfounded, key=len, reverse=True)]  # 'is' says little
    if Quantity.ACTION not in rests_on and sheet.get(Quantity.ACTION) is not None:
        problems.append("it does not say the action")
    return Reading(tuple(numbers), tuple(rests_on.values()), tuple(dict.fromkeys(problems)))


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for end in _END.finditer(text):
        yield start, text[start : end.start()]
        start = end.end()
    yield start, text[start:]


def _tokens(sentence: str, ticker: str) -> list[_Token]:
    """Return the words, numbers and dates of a sentence; the ticker's own name is settled."""
    spans = _own_names(sentence, ticker)
    tokens = [_Token("word", ticker, begin, is_settled=True) for begin, _ in spans]
    tokens += [
        _Token(str(match.lastgroup), match.group(), match.start())
        for match in _TOKEN.finditer(sentence)
        if not any(begin < match.end() and match.start() < end for begin, end in spans)
    ]
    return sorted(tokens, key=lambda token: token.start)


def _own_names(sentence: str, ticker: str) -> list[tuple[int, int]]:
    """Return where a sentence names the ticker. A ticker can be a word: "HOLD is a HOLD" names it once."""
    own = re.compile(rf"(?<!\w)(?<!\ba )(?<!\ban ){re.escape(ticker)}(?!\w)")
    return [match.span() for match in own.finditer(sentence)]


def _is_unfounded(token: _Token) -> bool:
    """Return whether a token claims something, and no claim that holds has settled it."""
    if token.kind == "other":
        return True
    return token.kind == "word" and not token.is_settled and token.word not in NEUTRAL_WORDS


def _settle_claims(
    sentence: str,
    tokens: Sequence[_Token],
    sheet: FactSheet,
    known: Sequence[Claim],
    rests_on: dict[Quantity, Fact],
    problems: list[str],
) -> None:
    """Settle the words of each claim that holds, and name those that do not."""
    words = _without_own_names(sentence, sheet.ticker)
    said = [(match, claim) for claim in known for match in claim.pattern.finditer(words.lower())]
    said.sort(key=lambda pair: pair[0].start() - pair[0].end())  # the longest first: "no edge" is not "edge"
    taken: list[tuple[int, int]] = []
    for match, claim in said:
        if any(begin < match.end() and match.start() < end for begin, end in taken):
            continue
        taken.append(match.span())
        if not claim.holds(sheet):
            problems.append(f"it says {sentence[match.start() : match.end()]!r}, which is not so")
        for token in tokens:
            if match.start() <= token.start < match.end():
                token.is_claimed = True
                token.is_settled |= claim.is_whole
        facts = [sheet.get(quantity) for quantity in claim.rests_on]
        rests_on.update({fact.quantity: fact for fact in facts if fact is not None and fact.quantity.unit is Unit.WORD})


def _settle_phrases(sentence: str, tokens: Sequence[_Token], ticker: str) -> None:
    """Settle the words of the phrases that say a number of its quantity."""
    words, marked, end = _without_own_names(sentence, ticker).lower(), "", 0
    starts = []
    for token in tokens:
        marked += words[end : token.start]
        starts.append(len(marked))
        end = token.start + len(token.text)
        marked += token.mark or words[token.start : end]
    marked += words[end:]
    for begin, stop in phrases_in(marked):
        for token, start in zip(tokens, starts, strict=True):
            token.is_settled |= begin <= start < stop


def _without_own_names(sentence: str, ticker: str) -> str:
    """Return a sentence with dots for the ticker."""
    for begin, end in _own_names(sentence, ticker):
        sentence = sentence[:begin] + "." * (end - begin) + sentence[end:]
    return sentence


def _fact_of(
    tokens: Sequence[_Token], place: int, sentence: str, sheet: FactSheet, before_it: Sequence[FoundNumber]
) -> Fact | None:
    token = tokens[place]
    candidates = [fact for fact in sheet.facts if _is_value(token, fact)]
    if _range_start(tokens, place) is not None and before_it:
        candidates = [fact for fact in candidates if fact is not before_it[-1].fact]  # a range has two ends
    for phrase, among, only in _ONLY:
        if re.search(phrase, sentence.lower()):
            candidates = [fact for fact in candidates if fact.quantity is only or fact.quantity not in among]
    if _is_level(tokens, place):
        candidates = [fact for fact in candidates if fact.quantity is Quantity.INTERVAL_LEVEL]
    before = sentence[: token.start].lower()
    name = _nearest_name(tokens, place, _units(token))
    for fact in candidates:
        if _is_named(fact.quantity, before, name) and _points_alike(tokens, place, fact, name):
            return fact
    return None


def _is_level(tokens: Sequence[_Token], place: int) -> bool:
    """Return whether a share is how probable an interval is, as in "the 50% interval": no end of one stands there."""
    after = [token.word for token in tokens[place + 1 : place + 2]]
    return _is_share(tokens[place].text) and after == ["interval"] and _range_start(tokens, place) is None


def _units(token: _Token) -> set[Unit]:
    if token.kind == "date":
        return {Unit.DATE}
    return {Unit.SHARE} if _is_share(token.text) else {Unit.PRICE, Unit.RATIO, Unit.COUNT}


def _is_share(text: str) -> bool:
    return text.endswith(("%", "percent"))


def _is_value(token: _Token, fact: Fact) -> bool:
    """Return whether a token is a fact's value in the fact's unit, rounded as it is written."""
    if fact.quantity.unit not in _units(token):
        return False
    if isinstance(fact.value, date):
        return _day(token.text) == fact.value
    assert isinstance(fact.value, (int, float))  # noqa: S101 - the units of words are none of those of a token
    digits = re.sub(r"[,%\s]|percent", "", token.text).replace("−", "-")
    decimals = len(digits.partition(".")[2].partition("e")[0])
    value = fact.value * 100 if fact.quantity.unit is Unit.SHARE else float(fact.value)
    shown = float(digits)
    if not digits.startswith(("+", "-")):
        value = abs(value)
    if fact.quantity.unit is Unit.COUNT:
        return shown == value
    if fact.quantity.unit is Unit.RATIO and decimals < 2:
        return False  # 1 is no rounded 0.97: it would say that nothing differs
    if shown == 0 and decimals == 0 and value >= _VISIBLE:
        return False
    unit = 0.5 * 10.0**-decimals if "e" not in digits else abs(value) * 5e-5
    return abs(shown - value) <= unit * (1 + 1e-9) + 1e-12 * max(1.0, abs(value))


def _day(text: str) -> date:
    form = "%Y-%m-%d" if text[4:5] == "-" else "%d %B %Y"
    try:
        return datetime.strptime(text, form).date()  # noqa: DTZ007 - a day, without a time
    except ValueError:
        return date.min  # no such day


def _nearest_name(tokens: Sequence[_Token], place: int, units: set[Unit]) -> _Token | None:
    """Return the nearest word that names a quantity of some units; of two numbers of a range, that of the first."""
    start = _range_start(tokens, place)
    if start is not None:
        return _nearest_name(tokens, start, units)
    names = {name for quantity in Quantity if quantity.unit in units for name in quantity.names}
    if tokens[place].kind == "number" and place + 1 < len(tokens) and tokens[place + 1].word in _NUMBER_NAMES - names:
        return None  # "20% sessions"
    found = [(_distance(tokens, place, at), at) for at, token in enumerate(tokens) if token.word in names]
    distance, at = min(found, default=(_FAR, -1))
    return tokens[at] if distance < _FAR else None


def _range_start(tokens: Sequence[_Token], place: int) -> int | None:
    """Return the place of the first number of a range whose second one is at a place; None if there is no range."""
    if place < 2 or tokens[place - 1].word not in {"to", "and"}:
        return None
    first, second = tokens[place - 2], tokens[place]
    return place - 2 if first.kind == second.kind and _units(first) == _units(second) else None


def _distance(tokens: Sequence[_Token], place: int, at: int) -> int:
    """Return how far a word is from a number, in tokens; a word after it is farther unless it belongs to it."""
    if at < place:
        return place - at
    belongs = at == place + 1 or (at <= place + _NEAR_AFTER and tokens[place + 1].word in {"of", "for"})
    return 0 if belongs else at - place + _AFTER


def _is_named(quantity: Quantity, before: str, name: _Token | None) -> bool:
    """Return whether the words beside a number name a quantity."""
    ranks = re.search(r"higher than on (about )?$", before) is not None
    if ranks or quantity is Quantity.VOLATILITY_RANK:
        return ranks and quantity is Quantity.VOLATILITY_RANK
    past = re.search(r"\b(last|past) $", before) is not None
    if quantity in {Quantity.HORIZON, Quantity.VOLATILITY_SESSIONS} and past != (
        quantity is Quantity.VOLATILITY_SESSIONS
    ):
        return False
    return name is not None and name.word in quantity.names


def _points_alike(tokens: Sequence[_Token], place: int, fact: Fact, name: _Token | None) -> bool:
    """Return whether the sign of a number and the words beside it point in the direction of a fact.

    Words that name quantities do not count: the nearest has named this one already.
    """
    direction = fact.quantity.direction
    if direction is Direction.NONE or (name is not None and name.word in UP | DOWN):
        return True  # a word of direction beside it has to be part of a claim, or names the quantity
    assert isinstance(fact.value, (int, float))  # noqa: S101 - only numbers have a direction
    is_up = fact.value > 0 if direction is Direction.SIGN else direction is Direction.UP
    beside = [token for token in _beside(tokens, place) if token.word not in _NAMES]
    along = [token for token in beside if token.word in (UP if is_up else DOWN)]
    against = [token for token in beside if token.word in (DOWN if is_up else UP) and not token.is_claimed]
    shows_sign = tokens[place].text.startswith(("+", "−", "-"))
    if against or (direction is Direction.DOWN and shows_sign):
        return False
    if not along:
        is_zero = not re.search(r"[1-9]", tokens[place].text)  # written so, it has no sign
        return direction is Direction.SIGN and (fact.value >= 0 or shows_sign or is_zero)
    return True


def _beside(tokens: Sequence[_Token], place: int) -> list[_Token]:
    """Return the words near a token, the nearest first, up to the next number on either side."""
    found = []
    for step in (-1, 1):
        for distance in range(1, _NEAR + 1):
            at = place + step * distance
            if not 0 <= at < len(tokens) or tokens[at].kind != "word":
                break
            found.append((distance, tokens[at]))
    return [token for _, token in sorted(found, key=lambda pair: pair[0])]
