"""A second opinion: put a share's numbers into words, and read BUY, SELL or HOLD from the scores of what follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.llm.in_parts import TERMS, score_above_neutral
from pm.tables.vocabulary import Action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.llm.record import Recorder

__all__ = ["FEATURES_READ", "Opinion", "facts_in_words", "opinions"]

FEATURES_READ = ("momentum_20", "momentum_250", "volatility_20", "volatility_60", "drawdown_250")
"""Columns of `features` that the words are made of."""
_UNKNOWN = "Nothing is known about this share."
"""What stands for a share of which nothing is known: what the model says of it is taken off every score."""


@dataclass(frozen=True)
class _Question:
    """A question: what is before and after the facts, and the answers for a price that rises and for one that falls."""

    before: str
    after: str
    up: str
    down: str


_QUESTIONS = (
    _Question("Summary of a share. ", " Over the next month its price will go", " up", " down"),
    _Question("An analyst looks at a share. ", " The outlook is", " positive", " negative"),
)


@dataclass(frozen=True)
class Opinion:
    """What a model says of a share.

    Attributes
    ----------
    action
        The action; HOLD if the noise could turn the score into its contrary.
    probability_up
        Probability that the price rises.
    score
        Log-odds of that, above those of a share of which nothing is known.
    noise
        Largest difference of the scores of equal questions.
    reason
        Why this is the action, in a sentence.
    """

    action: Action
    probability_up: float
    score: float
    noise: float
    reason: str


def facts_in_words(features: Mapping[str, float | None]) -> str:
    """Return a share's features in words: no name, no date, no number, so that few questions are asked of many shares.

    Parameters
    ----------
    features
        Values of the columns `FEATURES_READ` at one date, None where they are not known.
    """
    month, year, now, before, drawdown = (_finite(features.get(name)) for name in FEATURES_READ)
    said = []
    if month is not None and now:
        # Of a walk with this volatility, a month's return is beyond one deviation in a third of the months.
        moved = month / (now * math.sqrt(20))
        verb = "hardly changed" if abs(moved) < 0.25 else "rose" if moved > 0 else "fell"
        said.append(f"The price {verb}{' sharply' if abs(moved) > 1 else ''} in the last month.")
    if year is not None:
        verb = "about where it was" if abs(year) < 0.05 else "higher than" if year > 0 else "lower than"
        said.append(f"It is {verb} a year ago.")
    if drawdown is not None and drawdown <= -0.2:
        said.append("It is far below its high of the year.")
    elif drawdown is not None and drawdown >= -0.02:
        said.append("It is at its high of the year.")
    if now and before:
        ratio = now / before
        said.append(
            f"It moves {'more than' if ratio > 1.2 else 'less than' if ratio < 1 / 1.2 else 'as much as'} usual."
        )
    return " ".join(said) or _UNKNOWN


def opinions(
    recorder: Recorder, facts: Sequence[str], *, threshold: float, deadline_seconds: float
) -> dict[str, Opinion]:
    """Return the model's opinion on each different text of facts.

    The score is the mean over two questions of the advantage of the answer that the price rises, less the advantage
    that it has for a share of which nothing is known (Zhao et al., 2021, Calibrate before use).

    Parameters
    ----------
    facts
        Texts as `facts_in_words` returns them.
    threshold
        Probability that BUY or SELL needs.
    deadline_seconds
        Longest time of each call; see `score_in_parts`.

    Returns
    -------
    The opinions by text; a text that was not reached in time is missing.

    Raises
    ------
    ModelError
        The process that holds the model died.
    """
    asked = sorted({*facts})
    sums: dict[str, float | None] = dict.fromkeys(asked, 0.0)
    for question in _QUESTIONS:
        answers = score_above_neutral(
            recorder.as_role("opinion"),
            question.before,
            [f"{text}{question.after}" for text in asked],
            f"{_UNKNOWN}{question.after}",
            (question.up, question.down),
            deadline_seconds=deadline_seconds,
        )
        for text, values in zip(asked, answers, strict=True):
            so_far = sums[text]
            sums[text] = None if values is None or so_far is None else so_far + values[0] - values[1]
    noise = TERMS * recorder.model.info.noise
    return {
        text: _opinion(total / len(_QUESTIONS), noise, threshold) for text, total in sums.items() if total is not None
    }


def _opinion(score: float, noise: float, threshold: float) -> Opinion:
    probability = 1 / (1 + math.exp(-score))
    likelier = max(probability, 1 - probability)
    if abs(score) <= noise:
        return Opinion(
            Action.HOLD,
            probability,
            score,
            noise,
            f"The score of {score:+.2f} is within the model's noise of {noise:.2f}.",
        )
    side = "higher" if score > 0 else "lower"
    if likelier < threshold:
        why = f"A {side} price has a probability of {likelier:.0%}, below the threshold of {threshold:.0%}."
        return Opinion(Action.HOLD, probability, score, noise, why)
    why = f"A {side} price has a probability of {likelier:.0%}, and the threshold is {threshold:.0%}."
    return Opinion(Action.BUY if score > 0 else Action.SELL, probability, score, noise, why)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
