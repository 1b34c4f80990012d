from __future__ import annotations

from datetime import datetime, timedelta
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.llm.duplicates import Text, first_of_each
from pm.llm.sentiment import headlines

START = datetime(2024, 1, 1)  # noqa: DTZ001 - as the lake has it


def repeats(*texts: str, hours: float = 1) -> dict[str, str]:
    return first_of_each([Text(str(n), START + timedelta(hours=hours * n), text) for n, text in enumerate(texts)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Apple raises its dividend, and beats forecasts", "APPLE RAISES ITS DIVIDEND AND BEATS FORECASTS"),
        (
            "Apple raises its dividend, and beats all forecasts",
            "Apple raises its dividend, and beats all forecasts - Wire",
        ),
        ("Profit doubles", "profit doubles."),
    ],
)
def test_what_is_published_again_is_a_duplicate(one: str, other: str) -> None:
    assert repeats(one, other) == {"1": "0"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sales of the third quarter rise more than analysts expect in all regions of the world, says the company",
         "Sales of the third quarter fall more than analysts expect in all regions of the world, says the company"),
        ("The company does meet the targets for profit and for sales this year and the next one",
         "The company does not meet the targets for profit and for sales this year and the next one"),
        ("The company pays all of its shareholders a dividend of 40 cents for the year that ended in June",
         "The company pays all of its shareholders a dividend of 55 cents for the year that ended in June"),
    ],
)  # fmt: skip
def test_what_says_something_else_is_none(one: str, other: str) -> None:
    assert repeats(one, other) == {}


def test_no_labelled_headline_repeats_another() -> None:
    assert repeats(*[headline.text for half in ("fit", "unseen") for headline in headlines(half)], hours=0.1) == {}


def test_after_a_week_a_text_counts_again() -> None:
    assert repeats("Profit doubles", "Profit doubles", hours=7 * 24) == {"1": "0"}
    assert repeats("Profit doubles", "Profit doubles", hours=7 * 24 + 0.1) == {}


def test_a_duplicate_of_a_duplicate_repeats_the_first() -> None:
    assert repeats("Profit doubles", "Profit doubles!", "PROFIT doubles") == {"1": "0", "2": "0"}


WORDS = st.sampled_from(["profit", "sales", "rise", "the", "of", "a"])


@given(st.lists(st.lists(WORDS, max_size=12).map(" ".join), max_size=12))
def test_the_index_finds_what_comparing_all_pairs_finds(texts: list[str]) -> None:
    """Of two texts alone, no index can leave one out that shares no first shingle: so pairs are the slow twin."""
    found = repeats(*texts)
    for earlier, later in combinations(range(len(texts)), 2):
        is_pair = repeats(texts[earlier], texts[later]) != {}
        if is_pair and str(earlier) not in found:
            assert str(later) in found
    for repeated, first in found.items():
        words, others = texts[int(repeated)].split(), texts[int(first)].split()
        one = {*map(" ".join, pairwise(words))} or set(words)
        other = {*map(" ".join, pairwise(others))} or set(others)
        assert one
        assert len(one & other) >= 0.8 * len(one | other)
