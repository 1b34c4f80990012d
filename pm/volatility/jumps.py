"""Returns after which a price is in other units: splits nobody adjusted for, quotes that were wrong for a while."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.typing import BoolArray, FloatArray

__all__ = ["unit_changes"]

_FAR = 25.0
"""Robust standard deviations."""

_TINY = 1e-8
_RARE = 0.01

_SPLITS = np.log([1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0])
"""New shares for an old one, or old for new: what nearly all splits are."""

_TENFOLD = math.log(10.0)
"""Log return that no crash of one session has."""

_NEAR = 3.0
"""Robust standard deviations by which the return of a split's day may differ from the split: its own move."""

_BEFORE, _AFTER = 60, 10
"""Sessions before and after by which it is told whether a return shook the market."""

_UNREST = 1.5
"""After a crash returns are on average this many times as large as before it; after a split they are as before."""


def unit_changes(returns: FloatArray) -> BoolArray:
    """Say of each of a ticker's log returns whether it is a change of units, and no move of the market.

    It must be beyond 25 robust standard deviations, beyond a split of three for two, and one of three: tenfold; undone
    within ten sessions, as a wrong quote is; or near the ratio of a split, with ten sessions after it that are as calm
    as those before. What is only one of a crash's features stays, and so does a split until ten sessions have followed:
    in doubt an interval is wide.

    Parameters
    ----------
    returns
        Finite log returns, oldest first.
    """
    none = np.zeros(len(returns), dtype=np.bool_)
    moved = returns[returns != 0]
    if not len(moved):
        return none
    # Days without a move say nothing of how large a move is; 1.4826 makes it a normal's standard deviation.
    distance = np.abs(returns - np.median(returns))
    scale = 1.4826 * float(np.median(distance[returns != 0]))
    far = distance > max(_FAR * scale, _SPLITS[0] - _NEAR * scale)
    # More than a few are another regime of the market, not other units.
    if scale <= _TINY or far.sum() > max(1, _RARE * len(far)):
        return none
    places = np.flatnonzero(far).tolist()
    changes = none.copy()
    for place, after in pairwise(places):
        left = abs(returns[place] + returns[after])
        if after - place <= _AFTER and left <= _NEAR * scale * math.sqrt(1 + after - place):
            changes[place] = changes[after] = True
    for place in places:
        size = abs(returns[place])
        split = np.abs(size - _SPLITS).min() <= _NEAR * scale
        changes[place] |= size > _TENFOLD or (split and _calm(returns, far, place))
    return changes


def _calm(returns: FloatArray, far: BoolArray, place: int) -> bool:
    """Say whether ten sessions have followed a return, and moved by hardly more than those before it."""
    sizes = np.abs(returns)
    after = slice(place + 1, place + 1 + _AFTER)
    # Where there are fewer before, all others stand for them.
    before = slice(place - _BEFORE, place) if place >= _BEFORE else slice(None)
    if len(returns) <= place + _AFTER or far[after].all() or far[before].all():
        return False
    return bool(sizes[after][~far[after]].mean() <= _UNREST * sizes[before][~far[before]].mean())
