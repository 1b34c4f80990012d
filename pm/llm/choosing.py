"""Let a language model choose among what code has found to be true: one question a ticker, answered by one token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pm.errors import PmError
from pm.llm.in_parts import TERMS, score_above_neutral

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.llm.base import LanguageModel

__all__ = ["LATE", "Answers", "answers_to", "order_by_score"]

LATE = "the language model did not answer in time"
"""Why there is no score."""

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Answers:
    """What a model answered.

    Attributes
    ----------
    scores
        For each question, the log-probability of each label above that after a neutral question; None where there is no
        answer.
    margin
        Difference of scores up to which it can be noise.
    problem
        Why answers are missing; None if none is.
    """

    scores: Sequence[Mapping[str, float] | None]
    margin: float
    problem: str | None


def answers_to(
    model: LanguageModel,
    prefix: str,
    questions: Sequence[str],
    neutral: str,
    labels: Sequence[str],
    *,
    call_seconds: float,
) -> Answers:
    """Score labels as answers to short questions that share a prefix.

    A label is judged by how much likelier the question makes it than a neutral question does; see
    `score_above_neutral`.

    Parameters
    ----------
    model
        The model; used by this thread alone.
    prefix
        What all questions begin with.
    questions
        What each ends with; equal ones are asked once.
    neutral
        A question without content.
    labels
        The words that can answer, each with the space before it.
    call_seconds
        Longest time of one call.
    """
    unique = list(dict.fromkeys(questions))
    problem = None
    answers: list[Sequence[float] | None] = [None] * len(unique)
    try:
        answers = score_above_neutral(model, prefix, unique, neutral, labels, deadline_seconds=call_seconds)
    except PmError as error:
        problem = f"the language model failed: {error.what}"
    if problem is None and None in answers:
        problem = LATE
    answered = {
        question: dict(zip(labels, values, strict=True))
        for question, values in zip(unique, answers, strict=True)
        if values is not None
    }
    return Answers([answered.get(question) for question in questions], TERMS * model.info.noise, problem)


def order_by_score(items: Sequence[_Item], scores: Mapping[_Item, float], margin: float) -> tuple[list[_Item], bool]:
    """Return items by decreasing score where scores differ by more than the margin, otherwise in the order given.

    At each place the item with the highest score is taken if it beats the first of those left by more than the margin;
    else that first one is. Also returns whether the order differs from the one given.
    """
    left, ordered = list(items), []
    while left:
        first = left[0]
        best = max(left, key=lambda item: scores[item])
        ordered.append(best if scores[best] - scores[first] > margin else first)
        left.remove(ordered[-1])
    return ordered, ordered != list(items)
