"""Returns at which a price changes its units: splits that were not adjusted for, and temporarily wrong quotes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.robust import OUTLIER_SIGMAS, median, robust_sigma

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.typing import BoolArray, FloatArray

__all__ = ["CleanReturns", "clean_returns", "known_as_now"]

_MIN_SIGMA = 1e-8
"""Robust standard deviation of log returns per day below which nothing is judged."""
_MAX_SHARE = 0.01
"""Largest number of outliers, or of wrong quotes, per return; with more the market changed, not the units."""

_SPIKE_SIGMAS = 10.0
"""Number of robust standard deviations beyond which a return that is undone by the next one is a wrong quote."""

_SPLITS = np.log([1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0])
"""Log returns of the ratios of nearly all splits and, with the other sign, reverse splits."""

_LARGE_SPLIT = math.log(3.0)
"""Log return from which on crashes of one session are rarer than splits that were not adjusted for."""

_TENFOLD = math.log(10.0)
"""Log return beyond which no crash of one session has gone."""

_SPLIT_TOLERANCE = 3.0
"""Robust standard deviations by which the return on the day of a split may differ from the split's ratio, since the
price moves on that day too."""

_BEFORE, _AFTER = 60, 10
"""Sessions before and after a return that are compared to find whether it unsettled the market."""

_REMAINDER = 0.25
"""Share of a wrong quote's return that may remain when it is undone, since the price moves on those days too."""

_UNREST, _LARGE_UNREST = 1.5, 2.5
"""Ratio of the mean absolute return after to that before a return, above which the return was a crash, since volatility
does not change at a split; and that for returns of the size of a three-for-one split and larger."""


@dataclass(frozen=True)
class CleanReturns:
    """A ticker's log returns as every model sees them.

    Attributes
    ----------
    returns
        Log returns without changes of units, oldest first. The last return of a wrong quote is the market's move since
        the price before it; the other returns at which units change are 0.
    changes
        Whether each of the given returns was a change of units.
    """

    returns: FloatArray
    changes: BoolArray

    @property
    def unknown(self) -> BoolArray:
        """Whether each session's move of the market is unknown: a change of units, and no other return in its place."""
        return np.asarray(self.changes & (self.returns == 0.0))


def clean_returns(returns: FloatArray) -> CleanReturns:
    """Return a ticker's log returns without those that are changes of units and not moves of the market.

    A change of units is one of five:

    - a tenfold change, which must exceed 25 robust standard deviations;
    - a wrong quote: a return beyond 25 robust standard deviations and about the ratio of a three-for-two split, undone
      within ten sessions except for a quarter of its size;
    - a wrong quote of one session: a return beyond 10 robust standard deviations, undone by the next one except for a
      quarter, with no other return as large within ten sessions;
    - a first return beyond 10 robust standard deviations, since no bar before it shows that the first price is right;
    - a split: a return of the size of the first kind of wrong quote that is near the ratio of a split, and followed by
      ten sessions that are about as calm as those before.

    Once a wrong quote is undone, the price is as if the quote had never been made. A return that has only some features
    of a split is kept, and so is a split until ten sessions have followed it, or if an opposite return as unusual is
    within ten sessions: while in doubt, the interval is too wide rather than too narrow. If there are more than two
    outliers and they are more than 1% of the returns, where a wrong quote counts once, only tenfold changes are changes
    of units.

    Parameters
    ----------
    returns
        Finite log returns, oldest first.
    """
    changes = np.zeros(len(returns), dtype=np.bool_)
    kept = CleanReturns(returns, changes)
    moving = returns != 0
    if not moving.any():
        return kept
    # Days without a move do not show how large a move usually is.
    distance = np.abs(returns - median(returns))
    sigma = robust_sigma(distance[moving])
    spikes = np.flatnonzero(distance > _SPIKE_SIGMAS * sigma)
    if sigma <= _MIN_SIGMA or not len(spikes):
        return kept
    smallest = max(OUTLIER_SIGMAS * sigma, _SPLITS[0] - _SPLIT_TOLERANCE * sigma)
    if spikes[0] > 0 and not (np.diff(spikes) == 1).any() and distance[spikes].max() <= smallest:
        return kept  # no return is large enough for a change of units, and none is followed by another spike
    outlier = distance > smallest
    tenfold = outlier & (np.abs(returns) > _TENFOLD)
    # A wrong quote is one event, though it is two returns.
    allowed = max(2.0, _MAX_SHARE * len(returns))
    undone = _undone(returns, np.flatnonzero(outlier).tolist(), sigma)
    if (outlier & ~tenfold).sum() - len(undone) > allowed:
        outlier = tenfold
        undone = _undone(returns, np.flatnonzero(outlier).tolist(), sigma)
    in_pairs = {place for pair in undone for place in pair}
    single = [pair for pair in _single_wrong_quotes(returns, spikes.tolist(), sigma) if in_pairs.isdisjoint(pair)]
    if len(undone) + len(single) <= allowed:
        undone += single
    changes[[place for pair in undone for place in pair]] = True
    changes[0] |= spikes[0] == 0
    for place in np.flatnonzero(outlier).tolist():
        changes[place] |= tenfold[place] or _is_split(returns, outlier, place, sigma)
    cleaned = np.where(changes, 0.0, returns)
    for first, last in undone:
        move = returns[first] + returns[last]
        cleaned[last] = move if abs(move) <= OUTLIER_SIGMAS * sigma else 0.0
    return CleanReturns(cleaned, changes)


def known_as_now(returns: FloatArray, counts: Sequence[int]) -> BoolArray:
    """Return whether the first returns of a series are cleaned alone as they are among all returns, for some counts.

    They are not on a day on which a wrong quote was not undone yet, or a split not known yet to be one.

    Parameters
    ----------
    returns
        Finite log returns, oldest first.
    counts
        Numbers of first returns, each at most the number of all.
    """
    now = clean_returns(returns).returns
    same = [np.array_equal(clean_returns(returns[:count]).returns, now[:count]) for count in counts]
    return np.array(same, dtype=np.bool_)


def _single_wrong_quotes(returns: FloatArray, spikes: list[int], sigma: float) -> list[tuple[int, int]]:
    """Return the places of both returns of each wrong quote of one session, from the places of all spikes."""
    padded = [-math.inf, *spikes, math.inf]
    return [
        (place, after)
        for i, (place, after) in enumerate(pairwise(spikes), start=1)
        if after == place + 1
        and place - padded[i - 1] > _AFTER
        and padded[i + 2] - after > _AFTER
        and _is_undone(returns, place, after, sigma)
    ]


def _undone(returns: FloatArray, places: list[int], sigma: float) -> list[tuple[int, int]]:
    """Return the places of the first and the last return of each wrong quote among outliers."""
    pairs: list[tuple[int, int]] = []
    for place, after in pairwise(places):
        free = not pairs or pairs[-1][1] < place
        if free and after - place <= _AFTER and _is_undone(returns, place, after, sigma):
            pairs.append((place, after))
    return pairs


def _is_undone(returns: FloatArray, place: int, after: int, sigma: float) -> bool:
    """Return whether a return is the opposite of an earlier one, except for the market's move and a quarter of it."""
    smaller = min(abs(returns[place]), abs(returns[after]))
    tolerated = max(_SPLIT_TOLERANCE * sigma * math.sqrt(1 + after - place), _REMAINDER * smaller)
    return bool(returns[place] * returns[after] < 0 and abs(returns[place] + returns[after]) <= tolerated)


def _is_split(returns: FloatArray, outlier: BoolArray, place: int, sigma: float) -> bool:
    """Return whether an outlier has the size of a split, no opposite outlier near it, and calm sessions after it."""
    size, tolerance = abs(returns[place]), _SPLIT_TOLERANCE * sigma
    near = slice(max(0, place - _AFTER), place + _AFTER + 1)
    rebound = bool((outlier[near] & (returns[near] * returns[place] < 0)).any())
    if rebound or np.abs(size - _SPLITS).min() > tolerance:
        return False
    return _is_calm(returns, outlier, place, _LARGE_UNREST if size >= _LARGE_SPLIT - tolerance else _UNREST)


def _is_calm(returns: FloatArray, outlier: BoolArray, place: int, unrest: float) -> bool:
    """Return whether ten sessions have followed a return, and moved at most `unrest` times as much as those before."""
    sizes = np.abs(returns)
    after = slice(place + 1, place + 1 + _AFTER)
    # With too few sessions before the return, all sessions are compared with.
    before = slice(place - _BEFORE, place) if place >= _BEFORE else slice(None)
    if len(returns) <= place + _AFTER or outlier[after].all() or outlier[before].all():
        return False
    return bool(sizes[after][~outlier[after]].mean() <= unrest * sizes[before][~outlier[before]].mean())
