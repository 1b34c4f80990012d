"""What the lake has recorded of its watch list decides which tickers were on it on a past day."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pm.pipeline.known_then import WatchedThen

START = date(2024, 1, 1)
NAMES = ("A", "B", "C")


@given(
    st.frozensets(st.sampled_from(NAMES)),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(NAMES)), min_size=1, max_size=12),
)
def test_the_list_of_a_day_is_what_its_changes_made_of_the_first(
    first: frozenset[str], toggles: list[tuple[int, str]]
) -> None:
    """The twin keeps the list itself, day after day, and records each change."""
    listed, day = set(first), START
    changes: dict[str, list[tuple[date, bool]]] = {}
    kept: dict[date, frozenset[str]] = {}
    for gap, ticker in toggles:
        day += timedelta(days=gap)
        listed ^= {ticker}
        changes.setdefault(ticker, []).append((day, ticker in listed))
        kept[day] = frozenset(listed)
    since = min(own[0][0] for own in changes.values())
    then = WatchedThen(since, {ticker: tuple(own) for ticker, own in changes.items()})
    # A ticker without changes is asked for only if it is on the list now.
    ever = {ticker for ticker in NAMES if ticker in changes or ticker in first}
    for asked, expected in kept.items():
        assert then.of(asked, ever) == expected
    assert then.of(since - timedelta(days=1), ever) == ever
    assert WatchedThen(None, {}).of(START, ever) == ever
