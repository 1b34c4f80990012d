"""Returns at which a price changes its units: splits that were not adjusted for, and temporarily wrong quotes."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.robust import OUTLIER_SIGMAS, robust_sigma

if TYPE_CHECKING:
    from pm.typing import BoolArray, FloatArray

__all__ = ["unit_changes"]

_MIN_SIGMA = 1e-8
"""Robust standard deviation of log returns per day below which nothing is judged."""
_MAX_SHARE = 0.01
"""Largest share of returns that can be outliers; with more the market changed, not the units."""

_SPLITS = np.log([1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0])
"""Log returns of the ratios of nearly all splits and, with the other sign, reverse splits."""

_TENFOLD = math.log(10.0)
"""Log return beyond which no crash of one session has gone."""

_SPLIT_TOLERANCE = 3.0
"""Robust standard deviations by which the return on the day of a split may differ from the split's ratio, since the
price moves on that day too."""

_BEFORE, _AFTER = 60, 10
"""Sessions before and after a return that are compared to find whether it unsettled the market."""

_UNREST = 1.5
"""Ratio of the mean absolute return after to that before a return: above it the return was a crash, since volatility
does not change at a split."""


def unit_changes(returns: FloatArray) -> BoolArray:
    """Return for each of a ticker's log returns whether it is a change of units and not a move of the market.

    A change of units exceeds 25 robust standard deviations and about the ratio of a three-for-two split, and is one of
    three: a tenfold change; a wrong quote, undone within ten sessions; or near the ratio of a split and followed by ten
    sessions that are as calm as those before. A return that has only some features of a split is kept, and so is a
    split until ten sessions have followed it: while in doubt, the interval is too wide rather than too narrow.

    Parameters
    ----------
    returns
        Finite log returns, oldest first.
    """
    none = np.zeros(len(returns), dtype=np.bool_)
    moving = returns != 0
    if not moving.any():
        return none
    # Days without a move do not show how large a move usually is.
    distance = np.abs(returns - np.median(returns))
    sigma = robust_sigma(distance[moving])
    outlier = distance > max(OUTLIER_SIGMAS * sigma, _SPLITS[0] - _SPLIT_TOLERANCE * sigma)
    if sigma <= _MIN_SIGMA or outlier.sum() > max(1, _MAX_SHARE * len(outlier)):
        return none
    places = np.flatnonzero(outlier).tolist()
    changes = none.copy()
    for place, after in pairwise(places):
        remainder = abs(returns[place] + returns[after])
        if after - place <= _AFTER and remainder <= _SPLIT_TOLERANCE * sigma * math.sqrt(1 + after - place):
            changes[place] = changes[after] = True
    for place in places:
        size = abs(returns[place])
        split = np.abs(size - _SPLITS).min() <= _SPLIT_TOLERANCE * sigma
        changes[place] |= size > _TENFOLD or (split and _calm(returns, outlier, place))
    return changes


def _calm(returns: FloatArray, outlier: BoolArray, place: int) -> bool:
    """Return whether ten sessions have followed a return, and moved hardly more than the sessions before it."""
    sizes = np.abs(returns)
    after = slice(place + 1, place + 1 + _AFTER)
    # With too few sessions before the return, all sessions are compared with.
    before = slice(place - _BEFORE, place) if place >= _BEFORE else slice(None)
    if len(returns) <= place + _AFTER or outlier[after].all() or outlier[before].all():
        return False
    return bool(sizes[after][~outlier[after]].mean() <= _UNREST * sizes[before][~outlier[before]].mean())
