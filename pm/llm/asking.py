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
    from collections.abc import Callable, Collection, Sequence

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
_COVERED = 0.8
"""Share of the words of a question, by their weights, that must be among those of a query for it to be run, and among
those of the candidates for a model to be asked.

A question with other words asks something else: "did X beat earnings last week?" wants no prices.
"""
_CANDIDATES = 4
"""Number of queries, the nearest by words, among which a model decides."""


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
    is_open
        Whether it is not sure, but several together have nearly all words of the question: a model can decide.
    """

    nearest: tuple[Question, ...]
    is_sure: bool
    how: str
    is_open: bool = False


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
    """Return the nearest queries by words in the order of a model's scores; None if the model was too slow.

    The score is the log-probability of the whole question after the examples of a query, so that queries with long and
    short descriptions compare (Min et al., 2022, Noisy channel language model prompting). The first one is sure if it
    is the nearest by words too, and its score exceeds the second by more than the noise of the question's tokens: what
    the model finds likely is not what is meant often enough to be believed alone.

    Raises
    ------
    ModelError
        The process that holds the model died.
    """
    plain, ranked = by_words(asked), _ranked(asked)
    candidates = [question for _, question in ranked[:_CANDIDATES]]
    scores = model.score(
        "Questions that people ask.\n",
        [f"They want to know {question.about}: {' '.join(question.examples)}" for question in candidates],
        [f" {asked.masked}"],
        deadline_seconds=deadline_seconds,
    )
    values = [one[0] for one in scores.values if one is not None]
    if len(values) < len(candidates):
        return None
    places = sorted(range(len(candidates)), key=lambda place: (-values[place], place))
    margin = values[places[0]] - values[places[1]]
    (tokens,) = model.count_tokens([f" {asked.masked}"])
    noise = model.info.noise * math.sqrt(max(tokens, 1))
    return Match(
        tuple(candidates[place] for place in places[:3]),
        places[0] == 0 and (plain.is_sure or (plain.is_open and margin > noise)),
        f"by the words of the question and model {model.info.name}: its score is {margin:.1f} above the next, of which "
        f"{noise:.1f} can be noise",
    )


def by_words(asked: Asked) -> Match:
    """Return the queries whose examples have the most words of the question in common; rare words count more.

    The first one is sure if it has nearly all words of the question, and is clearly nearer than the second.
    """
    ranked = _ranked(asked)
    (best, question), (second, _) = ranked[:2]
    own, weight = _words(asked.masked), _weights(_usable(asked))

    def covered(*queries: Question) -> float:
        known = set().union(*(_words(" ".join((each.about, *each.examples))) for each in queries))
        return sum(weight(word) for word in own & known) / (sum(weight(word) for word in own) or 1.0)

    candidates = [near for _, near in ranked[:_CANDIDATES]]
    is_sure = best >= _LEAST and second < _NEAR * best and covered(question) >= _COVERED
    is_open = not is_sure and best >= _LEAST and covered(*candidates) >= _COVERED
    return Match(tuple(candidates[:3]), is_sure, "by the words of the question alone", is_open)


def _ranked(asked: Asked) -> list[tuple[float, Question]]:
    """Return the usable queries with their match by words, the best first."""
    usable = _usable(asked)
    weight, own = _weights(usable), _words(asked.masked)

    def fit(question: Question) -> float:
        return max(
            sum(weight(word) for word in own & example) / (sum(weight(word) for word in own | example) or 1.0)
            for example in map(_words, question.examples)
        )

    return sorted(((fit(question), question) for question in usable), key=lambda pair: -pair[0])


def _weights(usable: Sequence[Question]) -> Callable[[str], float]:
    """Return the function that gives the weight of a word: the rarer among the queries, the more."""
    spread = Counter(word for question in usable for word in set().union(*map(_words, question.examples)))
    return lambda word: math.log(1 + len(usable) / spread.get(word, 1))


def _usable(asked: Asked) -> list[Question]:
    """Return the queries that the question can mean: those about one ticker need its name."""
    return [question for question in QUESTIONS if asked.ticker is not None or not question.needs_ticker]


def _words(text: str) -> set[str]:
    words = (word.lower().replace("’", "'") for word in _WORD.findall(text))
    return {_SAME.get(word, word) for word in words} - _EMPTY_WORDS
