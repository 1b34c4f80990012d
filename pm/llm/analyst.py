"""Say what the tables say about each ticker: code makes the clauses, and a model chooses and orders up to three."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.llm.assessor import FAR_BELOW_HIGH, VOLATILE, Assessment, assess
from pm.llm.choosing import answers_to, order_by_score
from pm.llm.clauses import Clause, ClauseKind, clauses_of, opening_of
from pm.llm.prose_writing import WRITING_REFUSED, Prose, write_prose
from pm.llm.quantities import Quantity
from pm.plural import plural
from pm.tables.vocabulary import Concern, Verdict, Writer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.llm.base import LanguageModel
    from pm.llm.facts import FactSheet

__all__ = ["Commentary", "OrderedAssessment", "assess_risks", "comment"]

MAX_CLAUSES = 3
"""Number of clauses after the opening one: a card of the report has room for as many."""

PREFIX = "What should an investor look at first: edge, size, range, volatility, cost, decline or model?\n"
"""What the questions about clauses begin with."""
LABELS = {
    ClauseKind.EDGE: " edge",
    ClauseKind.POSITION: " size",
    ClauseKind.RANGE: " range",
    ClauseKind.VOLATILITY: " volatility",
    ClauseKind.COST: " cost",
    ClauseKind.DRAWDOWN: " decline",
    ClauseKind.WEIGHT: " model",
}
"""The word that stands for each kind of clause which a model may choose."""

RISK_PREFIX = "What is the greatest risk of a share: age, data, model, volatility, turmoil, loss, decline or edge?\n"
"""What the questions about concerns begin with."""
RISK_LABELS = {
    Concern.LEFT_OUT: " history",
    Concern.OLD_BARS: " age",
    Concern.UNUSUAL_BARS: " data",
    Concern.SIMPLER_MODEL: " model",
    Concern.VOLATILE: " volatility",
    Concern.TURBULENT: " turmoil",
    Concern.LARGE_LOSS_POSSIBLE: " loss",
    Concern.FAR_BELOW_HIGH: " decline",
    Concern.UNPROVEN: " edge",
}
"""The word that stands for each concern."""

ANSWER = "First:"
NEUTRAL = f"Share.\n{ANSWER}"
"""A question without content."""

_AGREES = "the language model preferred no other order beyond its noise"
_ONE_ORDER = "there is only one order"


@dataclass(frozen=True)
class Commentary:
    """What is said about a ticker.

    Attributes
    ----------
    ticker
        The ticker.
    writer
        Who chose, ordered or wrote.
    clauses
        The clauses, the opening one first; empty for a text that a model wrote.
    prose
        That text with its cells; None for clauses.
    reason
        Why code chose, why the text of a model was refused, or what a model was not told; None if nothing of these.
    """

    ticker: str
    writer: Writer
    clauses: tuple[Clause, ...]
    prose: Prose | None
    reason: str | None

    @property
    def text(self) -> str:
        """The whole text."""
        return self.prose.text if self.prose is not None else " ".join(clause.text for clause in self.clauses)


@dataclass(frozen=True)
class OrderedAssessment:
    """The risk of a ticker, who ordered its concerns, and why not a model."""

    assessment: Assessment
    writer: Writer
    reason: str | None


def comment(
    sheets: Sequence[FactSheet], model: LanguageModel | None, *, may_write: bool, call_seconds: float, absent: str
) -> list[Commentary]:
    """Return what is said about each ticker.

    Every text begins with the action and why. Warnings about data and models come next and are never left out; a model
    decides about the rest, where its scores differ by more than noise.

    Parameters
    ----------
    sheets
        What is known of each ticker.
    model
        The model; None if there is none.
    may_write
        Whether the model has proved that it can be let write; see `pm.llm.prose`.
    call_seconds
        Longest time of one call of the model.
    absent
        Why there is no model, if there is none.
    """
    orders = _orders(sheets, model, call_seconds, absent)
    if model is None or not may_write:
        return orders
    return [_written(sheet, model, ordered, call_seconds) for sheet, ordered in zip(sheets, orders, strict=True)]


def assess_risks(
    sheets: Sequence[FactSheet], model: LanguageModel | None, *, call_seconds: float, absent: str
) -> list[OrderedAssessment]:
    """Return the risk of each ticker; a model orders concerns of equal points, and can change nothing else."""
    found = [assess(sheet) for sheet in sheets]
    asked = [assessment for assessment in found if len(_ties(assessment)) < len(assessment.concerns)]
    if model is None or not asked:
        return [OrderedAssessment(one, Writer.CODE, absent if model is None else _ONE_ORDER) for one in found]
    questions = [f"{', '.join(_plain(held.concern) for held in one.concerns)}.\n{ANSWER}" for one in asked]
    answers = answers_to(model, RISK_PREFIX, questions, NEUTRAL, list(RISK_LABELS.values()), call_seconds=call_seconds)
    by_ticker = {one.ticker: scores for one, scores in zip(asked, answers.scores, strict=True)}
    ordered = []
    for one in found:
        scores = by_ticker.get(one.ticker)
        if scores is None:
            reason = answers.problem if one.ticker in by_ticker else _ONE_ORDER
            ordered.append(OrderedAssessment(one, Writer.CODE, reason))
            continue
        concerns = []
        for points in sorted({held.points for held in one.concerns}, reverse=True):
            held = {each.concern: each for each in one.concerns if each.points == points}
            order, _ = order_by_score(list(held), {each: scores[RISK_LABELS[each]] for each in held}, answers.margin)
            concerns += [held[each] for each in order]
        differs = tuple(concerns) != one.concerns
        ordered.append(
            OrderedAssessment(
                Assessment(one.ticker, tuple(concerns)),
                Writer.ORDERED if differs else Writer.CODE,
                None if differs else _AGREES,
            )
        )
    return ordered


def _ties(assessment: Assessment) -> set[int]:
    """Return the different points of the concerns: as many as concerns if there is nothing to order."""
    return {held.points for held in assessment.concerns}


def _orders(
    sheets: Sequence[FactSheet], model: LanguageModel | None, call_seconds: float, absent: str
) -> list[Commentary]:
    if model is None:
        return [_chosen(sheet, None, 0.0, absent) for sheet in sheets]
    questions = [f"{describe(sheet)}.\n{ANSWER}" for sheet in sheets]
    answers = answers_to(model, PREFIX, questions, NEUTRAL, list(LABELS.values()), call_seconds=call_seconds)
    return [
        _chosen(sheet, scores, answers.margin, answers.problem)
        for sheet, scores in zip(sheets, answers.scores, strict=True)
    ]


def _chosen(sheet: FactSheet, scores: Mapping[str, float] | None, margin: float, reason: str | None) -> Commentary:
    clauses = clauses_of(sheet)
    warnings = [clause for clause in clauses if clause.is_warning][:MAX_CLAUSES]
    others = [clause for clause in clauses if not clause.is_warning]
    room = MAX_CLAUSES - len(warnings)
    chosen = others[:room]
    writer = Writer.CODE
    if scores is not None:
        by_kind = {clause.kind: clause for clause in others}
        order, _ = order_by_score(list(by_kind), {kind: scores[LABELS[kind]] for kind in by_kind}, margin)
        preferred = [by_kind[kind] for kind in order[:room]]
        if preferred == chosen:
            reason = _AGREES if room and len(others) > 1 else _ONE_ORDER
        else:
            chosen, writer, reason = preferred, Writer.ORDERED, None
    return Commentary(sheet.ticker, writer, (opening_of(sheet), *warnings, *chosen), None, reason)


def _written(sheet: FactSheet, model: LanguageModel, ordered: Commentary, call_seconds: float) -> Commentary:
    """Return what the model wrote if every claim of it holds, at the second try at most; otherwise the clauses."""
    has_warning = any(clause.is_warning for clause in ordered.clauses)
    if has_warning or sheet.get(Quantity.ACTION) is None:
        return ordered  # what must not be left out is said by code
    written = write_prose(model, sheet, call_seconds=call_seconds)
    if isinstance(written, Prose):
        told = f"{plural(written.left_out, 'clause')} left out: the context of the model is too small"
        return Commentary(sheet.ticker, Writer.MODEL, (), written, told if written.left_out else None)
    return Commentary(sheet.ticker, ordered.writer, ordered.clauses, None, f"{WRITING_REFUSED}: {written}")


def describe(sheet: FactSheet) -> str:
    """Return a ticker in few words, without numbers: of tickers that are alike the question is the same."""
    words = [sheet.word(Quantity.ACTION) or "no signal"]
    words.append("edge" if sheet.word(Quantity.VERDICT) == Verdict.EDGE else "no edge")
    volatility, drawdown = sheet.number(Quantity.ANNUAL_VOLATILITY), sheet.number(Quantity.DRAWDOWN)
    if volatility is not None:
        words.append("volatile" if volatility >= VOLATILE else "calm")
    if drawdown is not None:
        words.append("far below its high" if drawdown <= FAR_BELOW_HIGH else "near its high")
    return ", ".join(words)


def _plain(concern: Concern) -> str:
    return concern.value.replace("_", " ")
