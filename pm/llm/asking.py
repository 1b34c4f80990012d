"""Find the query that answers a question in plain words: by a language model's scores, or by the words alone."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.errors import InputError
from pm.llm.questions import QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pm.llm.base import LanguageModel
    from pm.llm.questions import Question

__all__ = ["Asked", "Match", "by_score", "by_words", "understand"]

_LONGEST = 300
"""Largest number of characters of a question."""
_WORD = re.compile(r"[A-Za-z][A-Za-z'’]*|[0-9]+")
_EMPTY_WORDS = {
    "a", "about", "an", "and", "any", "are", "at", "be", "do", "does", "did", "for", "from", "has", "have", "i", "in",
    "is", "it", "its", "me", "of", "on", "or", "please", "should", "show", "so", "tell", "that", "the", "there", "this",
    "to", "was", "were", "what", "which", "will", "with", "x", "you", "my", "how", "all",
}  # fmt: skip
"""Words that are in questions about anything."""
_SAME = {
    "stock": "ticker", "share": "ticker", "shares": "ticker", "stocks": "ticker", "tickers": "ticker", "risky": "risk",
    "headlines": "news", "headline": "news", "sold": "sell", "bought": "buy", "predict": "forecast",
    "prediction": "forecast", "predictions": "forecast", "rejected": "refused", "excluded": "left", "closes": "price",
    "close": "price", "prices": "price", "volatile": "volatility", "llm": "language", "ai": "language",
}  # fmt: skip
"""Words that stand for another."""
_NEAR = 0.75
"""Share of the best match by words that another must reach to be as near."""
_LEAST = 0.15
"""Least match by words of a query that is run."""


@dataclass(frozen=True)
class Asked:
    """A question as it is understood.

    Attributes
    ----------
    masked
        The question with X in the place of tickers.
    ticker
        The ticker that it names; None for none.
    """

    masked: str
    ticker: str | None


@dataclass(frozen=True)
class Match:
    """The queries that fit a question.

    Attributes
    ----------
    nearest
        The three nearest, the best first.
    is_sure
        Whether the first one is meant.
    how
        How that was found, in a sentence.
    """

    nearest: tuple[Question, ...]
    is_sure: bool
    how: str


def understand(question: str, tickers: Collection[str]) -> Asked:
    """Return a question with its ticker set apart.

    A word is a ticker if it is one as it is written, or in capitals where it is no word of the language: `a` in "why is
    AAPL a HOLD?" is not ticker A.

    Parameters
    ----------
    question
        The question.
    tickers
        Tickers that are known.

    Raises
    ------
    InputError
        It is empty, too long, or about several tickers.
    """
    shown = "".join(
        " " if unicodedata.category(c)[0] in "CZ" else c for c in unicodedata.normalize("NFKC", question[:2000])
    )
    text = " ".join(shown.split())
    if not any(letter.isalpha() for letter in text):
        raise InputError("The question has no words.", hint='ask such as: pm ask "why is AAPL a HOLD?"')
    if len(text) > _LONGEST or len(question) > 2000:
        raise InputError(
            f"The question has {len(question):,} characters, of at most {_LONGEST}.", hint="ask one thing in a sentence"
        )
    known = {ticker.upper(): ticker for ticker in tickers}
    found: dict[str, None] = {}
    words = []
    for word in text.split(" "):
        core = word.strip("?!.,;:'\"()").removesuffix("'s").removesuffix("’s")
        is_name = core in tickers or (core.upper() in known and len(core) > 1 and core.lower() not in _EMPTY_WORDS)
        if core and is_name:
            found[known.get(core.upper(), core) if core not in tickers else core] = None
            words.append(word.replace(core, "X"))
        else:
            words.append(word)
    if len(found) > 1:
        raise InputError(
            f"The question is about {len(found)} tickers: {', '.join(list(found)[:8])}.", hint="ask about one at a time"
        )
    return Asked(" ".join(words), next(iter(found), None))


def by_score(model: LanguageModel, asked: Asked, *, deadline_seconds: float) -> Match | None:
    """Return the queries whose examples make the question likeliest; None if the model was too slow.

    The score is the log-probability of the whole question after the examples of a query, so that queries with long and
    short descriptions compare (Min et al., 2022, Noisy channel language model prompting). The model is sure if the best
    score exceeds the second by more than the noise of the question's tokens. A question that has no word in common with
    any example is about something else, whatever the scores.

    Raises
    ------
    ModelError
        The process that holds the model died.
    """
    usable = _usable(asked)
    scores = model.score(
        "Questions that people ask.\n",
        [f"They want to know {question.about}: {' '.join(question.examples)}" for question in usable],
        [f" {asked.masked}"],
        deadline_seconds=deadline_seconds,
    )
    values = [None if one is None else one[0] for one in scores.values]
    if None in values:
        return None
    ranked = sorted(zip(values, range(len(usable)), strict=True), key=lambda pair: (-(pair[0] or 0.0), pair[1]))
    nearest = tuple(usable[place] for _, place in ranked[:3])
    margin = (ranked[0][0] or 0.0) - (ranked[1][0] or 0.0)
    (tokens,) = model.count_tokens([f" {asked.masked}"])
    noise = model.info.noise * math.sqrt(max(tokens, 1))
    known = set().union(*(_words(example) for question in usable for example in question.examples))
    return Match(
        nearest,
        margin > noise and not known.isdisjoint(_words(asked.masked)),
        f"by model {model.info.name}: its score is {margin:.1f} above the next, of which {noise:.1f} can be noise",
    )


def by_words(asked: Asked) -> Match:
    """Return the queries whose examples have the most words of the question in common; rare words count more."""
    usable = _usable(asked)
    known = [[_words(example) for example in question.examples] for question in usable]
    spread = Counter(word for examples in known for word in set().union(*examples))
    own = _words(asked.masked)

    def weight(word: str) -> float:
        return math.log(1 + len(usable) / spread[word]) if word in spread else math.log(1 + len(usable))

    def fit(examples: Sequence[set[str]]) -> float:
        return max(
            sum(weight(word) for word in own & example) / (sum(weight(word) for word in own | example) or 1.0)
            for example in examples
        )

    ranked = sorted(((fit(examples), -place) for place, examples in enumerate(known)), reverse=True)
    nearest = tuple(usable[-place] for _, place in ranked[:3])
    best, second = ranked[0][0], ranked[1][0]
    is_sure = best >= _LEAST and second < _NEAR * best
    return Match(nearest, is_sure, "by the words of the question alone")


def _usable(asked: Asked) -> list[Question]:
    """Return the queries that the question can mean: those about one ticker need its name."""
    return [question for question in QUESTIONS if asked.ticker is not None or not question.needs_ticker]


def _words(text: str) -> set[str]:
    words = (word.lower().replace("’", "'") for word in _WORD.findall(text))
    return {_SAME.get(word, word) for word in words} - _EMPTY_WORDS
