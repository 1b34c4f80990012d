"""Read from the scores of a language model whether a text is good or bad news."""

from __future__ import annotations

import csv
import math
import unicodedata
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from pm.llm.in_parts import score_in_parts
from pm.tables.vocabulary import Sentiment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.llm.record import Recorder
    from pm.typing import FloatArray

__all__ = [
    "PROMPTS",
    "Calibration",
    "Headline",
    "SentimentPrompt",
    "calibrated",
    "fit_line",
    "headlines",
    "readable",
    "scores_of",
]

_LONGEST_WORDS = 300
"""Largest number of bytes of a text that the model reads: those of a long headline. A token has a byte at least, so
that a text of any letters fits in the smallest context."""


@dataclass(frozen=True)
class SentimentPrompt:
    """A question about a text.

    Attributes
    ----------
    prefix
        What is before all texts.
    question
        What a text is put into, at `{}`.
    positive, negative
        The two answers, of one token each.
    """

    prefix: str
    question: str
    positive: str
    negative: str


PROMPTS = (
    SentimentPrompt(
        "Headline: Sales rise, but outlook is cut\nSentiment: negative\n"
        "Headline: Inquiry finds nothing wrong\nSentiment: positive\n"
        "Headline: Costs are up to 3 billion from 2 billion\nSentiment: negative\n"
        "Headline: Debt is down to 2 billion from 3 billion\nSentiment: positive\n"
        "Headline: Growth slows to a halt\nSentiment: negative\n"
        "Headline: Losses narrow sharply\nSentiment: positive\n"
        "Headline: Company warns of lower sales\nSentiment: negative\n"
        "Headline: Profit beats forecasts\nSentiment: positive\n",
        "Headline: {}\nSentiment:",
        " positive",
        " negative",
    ),
    SentimentPrompt(
        "News: Debt falls. Impact: good\nNews: Costs rise. Impact: bad\n"
        "News: Not guilty, court finds. Impact: good\nNews: Forecast not met. Impact: bad\n",
        "News: {}. Impact:",
        " good",
        " bad",
    ),
    SentimentPrompt("", "Headline: {}\nThe outlook for the stock is", " positive", " negative"),
)
"""Prompts whose scores are averaged. They were chosen by the headlines of half 'fit' alone."""


@dataclass(frozen=True)
class Headline:
    """A headline with its label.

    Attributes
    ----------
    text
        The headline.
    is_positive
        Whether it is good news for those who hold the share.
    kind
        'plain'; 'twin' of another that differs in a few words; 'negation'; 'mixed' for good and bad news in one.
    half
        'fit' for those that prompts were chosen by and the line is fitted to, 'unseen' for the others.
    pair
        Number that it has in common with its counterpart of the other label.
    """

    text: str
    is_positive: bool
    kind: str
    half: str
    pair: int


def headlines(half: str) -> list[Headline]:
    """Return the labelled headlines of a half, 'fit' or 'unseen'."""
    text = files("pm.llm").joinpath("headlines.csv").read_text(encoding="utf-8")
    return [
        Headline(row["headline"], row["label"] == "positive", row["kind"], row["half"], int(row["pair"]))
        for row in csv.DictReader(text.splitlines())
        if row["half"] == half
    ]


@dataclass(frozen=True)
class Calibration:
    """The line that turns a score into log-odds, and the noise of a score.

    Attributes
    ----------
    intercept, slope
        The line: log-odds of a positive text = intercept + slope × score.
    noise
        Largest difference of the scores of equal questions.
    """

    intercept: float
    slope: float
    noise: float

    def probability(self, score: float) -> float:
        """Return the probability that a text with a score is positive."""
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, self.intercept + self.slope * score))))

    def sentiment(self, score: float) -> Sentiment:
        """Return the sentiment of a text with a score: unclear if the noise could turn it into its contrary."""
        odds = self.intercept + self.slope * score
        if abs(odds) <= self.slope * self.noise:
            return Sentiment.UNCLEAR
        return Sentiment.POSITIVE if odds > 0 else Sentiment.NEGATIVE


def readable(text: str | None) -> str:
    """Return what the model reads of a text: one line, without characters that no reader sees, and not too long.

    Compatibility forms of letters become plain ones. The marks that turn the direction of writing and those of no width
    are removed.
    """
    if text is None:
        return ""
    start = unicodedata.normalize("NFKC", text[: 20 * _LONGEST_WORDS])
    seen = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter
        for letter in start
        if unicodedata.category(letter) not in {"Cf", "Cs", "Co", "Cn"}
    )
    line = " ".join(seen.split())
    data = line.encode()
    return line if len(data) <= _LONGEST_WORDS else data[:_LONGEST_WORDS].decode(errors="ignore").rstrip()


def scores_of(
    recorder: Recorder,
    role: str,
    texts: Sequence[str],
    *,
    deadline_seconds: float,
    prompts: Sequence[SentimentPrompt] = PROMPTS,
) -> list[float | None]:
    """Return the score of each text: the mean over the prompts of the positive answer's advantage.

    Parameters
    ----------
    role
        What the calls are recorded as.
    texts
        Texts as `readable` returns them.
    deadline_seconds
        Longest time of each call; see `score_in_parts`.

    Returns
    -------
    Differences of log-probabilities; None for a text that was not reached in time, and for one without words.

    Raises
    ------
    ModelError
        The process that holds the model died.
    """
    asked = [place for place, text in enumerate(texts) if text]
    sums: dict[int, float | None] = dict.fromkeys(asked, 0.0)
    for prompt in prompts:
        answers = score_in_parts(
            recorder.as_role(role),
            prompt.prefix,
            [prompt.question.replace("{}", texts[place]) for place in asked],
            (prompt.positive, prompt.negative),
            deadline_seconds=deadline_seconds,
        )
        for place, values in zip(asked, answers, strict=True):
            before = sums[place]
            sums[place] = None if values is None or before is None else before + values[0] - values[1]
    return [None if (total := sums.get(place)) is None else total / len(prompts) for place in range(len(texts))]


def calibrated(recorder: Recorder, *, deadline_seconds: float) -> Calibration | None:
    """Fit the line of a model to the headlines of half 'fit'; the record knows the answers of a model that was fitted.

    Returns
    -------
    The line; None if some headlines were not read in time. Its slope is 0 for a model that tells good news from bad
    news not at all, or the wrong way round: to it, all texts are unclear.

    Raises
    ------
    ModelError
        The process that holds the model died.
    """
    labelled = headlines("fit")
    texts = [readable(headline.text) for headline in labelled]
    scores = scores_of(recorder, "calibration", texts, deadline_seconds=deadline_seconds)
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        return None
    intercept, slope = fit_line(np.array(known), np.array([headline.is_positive for headline in labelled]))
    # A score is the mean of differences of two log-probabilities, each with the noise that was measured.
    return Calibration(intercept if slope > 0 else 0.0, max(slope, 0.0), 2 * recorder.model.info.noise)


def fit_line(scores: FloatArray, is_positive: FloatArray) -> tuple[float, float]:
    """Return intercept and slope of the log-odds of a positive text.

    The targets are Platt's, (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2), so that the line is finite for scores that separate the
    two kinds.

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines; Lin, Lin and Weng (2007), A note on Platt's
    probabilistic outputs for support vector machines.
    """
    from scipy.optimize import minimize

    positive = np.asarray(is_positive, dtype=bool)
    count = int(positive.sum())
    target = np.where(positive, (count + 1) / (count + 2), 1 / (len(positive) - count + 2))
    centre, scale = float(np.mean(scores)), float(np.std(scores)) or 1.0
    plain = (np.asarray(scores) - centre) / scale

    def loss(line: FloatArray) -> tuple[float, FloatArray]:
        odds = line[0] + line[1] * plain
        error = 1 / (1 + np.exp(-odds)) - target
        return float(np.sum(np.logaddexp(0, odds) - target * odds)), np.array([error.sum(), error @ plain])

    best = minimize(loss, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    slope = float(best[1]) / scale
    return float(best[0]) - slope * centre, slope
