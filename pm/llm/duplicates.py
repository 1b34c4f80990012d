"""Find texts that have nearly the same words as an earlier text, so that what many publish counts once."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["Text", "first_of_each"]

_SIMILAR = 0.8
"""Share of the shingles of two texts together that both must have."""
_DAYS = timedelta(days=7)
"""Time within which a text is a duplicate."""
_REPLACED = 40
"""Number of words from which a text may have some in the place of others, and be a duplicate nevertheless."""
_WORD = re.compile(r"[\w%]+(?:[.,'’]\w+)*")
_TURNING = {
    "no", "not", "never", "none", "nor", "neither", "without", "cannot", "denies", "denied", "deny", "fails", "failed",
}  # fmt: skip
"""Words that turn a sentence into its contrary."""


@dataclass(frozen=True)
class Text:
    """A text: its identifier, the time of its publication, and its words."""

    name: str
    published_at: datetime
    words: str


def first_of_each(texts: Sequence[Text], kept: Sequence[Text] = ()) -> dict[str, str]:
    """Return, for each text that is a duplicate, the identifier of the text that it repeats.

    A text is a duplicate of an earlier one among `texts`, or of any one in `kept`, if they were published at most seven
    days apart and

    - of the pairs of neighbouring words (shingles) that one of them has, at least 80% are in both; and
    - the words in which they differ are additions of one of them, without a number and without a negation. "Margin
      narrows to 14%" does not repeat "Margin widens to 14%", and "Sales do not rise" not "Sales rise". In texts of 40
      words and more some words may be replaced.

    Parameters
    ----------
    texts
        Texts about one ticker, by time of publication.
    kept
        Texts about it that are known to count already, whether they were published before or after those of `texts`.

    References
    ----------
    Broder (1997), On the resemblance and containment of documents. Of the pairs, only those are compared that have a
    shingle in common among their first ones in one order of all shingles: Chaudhuri, Ganti and Kaushik (2006), A
    primitive operator for similarity joins in data cleaning.
    """
    found: dict[str, str] = {}
    counted: list[tuple[Text, frozenset[str], list[str]]] = []
    index: dict[str, list[int]] = defaultdict(list)
    for number, text in enumerate((*kept, *texts)):
        words = _WORD.findall(text.words.casefold())
        shingles = _shingles(words)
        ordered = sorted(shingles, key=lambda shingle: (crc32(shingle.encode()), shingle))
        first = ordered[: len(ordered) - math.ceil(_SIMILAR * len(ordered)) + 1]
        is_kept = number < len(kept)
        candidates = [] if is_kept else sorted({place for shingle in first for place in index[shingle]})
        for place in candidates:
            other, others, other_words = counted[place]
            if abs(text.published_at - other.published_at) <= _DAYS and _repeats(words, shingles, other_words, others):
                found[text.name] = other.name
                break
        else:
            for shingle in first:
                index[shingle].append(len(counted))
            counted.append((text, shingles, words))
    return found


def _shingles(words: Sequence[str]) -> frozenset[str]:
    if len(words) == 1:
        return frozenset(words)
    return frozenset(f"{one} {other}" for one, other in pairwise(words))


def _repeats(
    words: Sequence[str], shingles: frozenset[str], other_words: Sequence[str], others: frozenset[str]
) -> bool:
    if not shingles or len(shingles & others) < _SIMILAR * len(shingles | others):
        return False
    here, there = Counter(words), Counter(other_words)
    added, removed = here - there, there - here
    if any(word in _TURNING or word.endswith("n't") or word[0].isdigit() for word in (*added, *removed)):
        return False
    return not (added and removed) or min(len(words), len(other_words)) >= _REPLACED
