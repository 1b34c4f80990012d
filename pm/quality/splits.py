"""Find moves of the price that look like a split that was not adjusted for."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    import polars as pl

__all__ = ["LARGEST_MOVE", "SMALLEST", "Candidate", "likely_splits", "split_candidates"]

_WINDOW = 60
"""Number of bars before a move that say what is ordinary."""
_LEAST = 20
"""Smallest number of bars before a move from which it is judged."""
_AFTER = 5
"""Number of bars after a move that must be as calm as those before."""
SMALLEST = 0.085
"""Smallest absolute log move that can be a split; 11:10 is 0.095."""
_LARGE = 0.35
"""Absolute log move from which ratios are far apart."""
_NEAR, _NEAR_LARGE = 1.5, 3.0
"""Largest distance from a ratio, in standard deviations; that of a large move."""
_CALM, _LOUD = 1.6, 3.5
"""Largest mean absolute return after the move relative to before, and largest single one in standard deviations."""
_RANGE, _RANGE_LARGE = 2.5, 4.0
"""Largest range of the day, relative to the median of ranges; that of a large move."""
_BODY = 3.0
"""Largest move from the day's open to its close, in standard deviations."""
_VOLUME = 3.0
"""Largest volume, relative to the median of volumes: trading takes no notice of a split."""
LARGEST_MOVE = 700.0
"""Absolute log move to which larger ones are cut: its exponential is still finite."""
_CALM_NEEDS = 3
"""Smallest number of bars after the move whose mean absolute return is compared."""

_RATIOS = sorted(
    {Fraction(new, old) for old in range(1, 11) for new in range(old + 1, 3 * old + 1) if new - old == 1 or old <= 5}
    | {Fraction(new) for new in range(2, 201)}
)
"""Ratios of splits: 11:10 to 2:1, all of up to five old shares, and whole numbers up to 200."""
_LOGS = np.log([float(ratio) for ratio in _RATIOS])


@dataclass(frozen=True)
class Candidate:
    """A large move near the ratio of a split, with ordinary trading around it.

    It is taken for a split if `lowest` <= `sigma` < `highest`.

    Attributes
    ----------
    place
        Position of the bar after the move.
    ratio
        New shares for an old one, below 1 for a reverse split.
    local
        Robust standard deviation of the returns before, of which `sigma` is the larger with that of all returns.
    lowest, highest
        Bounds of sigma.
    is_open
        Whether there are fewer bars after the move than are compared, so that later ones can still speak against it.
    """

    place: int
    ratio: float
    local: float
    lowest: float
    highest: float
    is_open: bool


def likely_splits(bars: pl.DataFrame, *, sigmas: float) -> list[tuple[int, float]]:
    """Return the bars of a ticker before which a split was probably not adjusted for.

    The log return of the adjusted close is larger than `sigmas` robust standard deviations, both of all returns and of
    the 60 before, and near the logarithm of a ratio; the five bars after are as calm as those before; and the day's
    range and volume, where they are known, are ordinary. A crash is followed by larger moves, and comes with trading.

    Parameters
    ----------
    bars
        Bars of one ticker by date: open, high, low and close, adjusted alike, and volume.
    sigmas
        Smallest move, in robust standard deviations.

    Returns
    -------
    list
        Position of each bar and the ratio: new shares for an old one, below 1 for a reverse split.
    """
    move = np.diff(np.log(bars["close"].to_numpy()))
    if move.size <= _LEAST:
        return []
    overall = MAD_TO_SIGMA * float(np.median(np.abs(move - np.median(move))))
    found = []
    for each in split_candidates(bars, sigmas=sigmas, overall=overall):
        sigma = max(each.local, overall)
        if each.lowest <= sigma < each.highest:
            found.append((each.place, each.ratio))
    return found


def split_candidates(bars: pl.DataFrame, *, sigmas: float, overall: float) -> list[Candidate]:
    """Return the moves that are splits for some standard deviation of all returns of at least `overall`.

    Parameters
    ----------
    bars, sigmas
        See `likely_splits`.
    overall
        Smallest robust standard deviation of all log returns of the adjusted close.
    """
    opened, high, low, close, volume = (bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    move = np.diff(np.log(close))
    found = []
    for place in np.flatnonzero(np.abs(move) > max(sigmas * overall, SMALLEST)):
        before = np.abs(move[max(0, place - _WINDOW) : place])
        if before.size < _LEAST:
            continue
        local = MAD_TO_SIGMA * float(np.median(before))
        size = abs(move[place])
        nearest = int(np.abs(size - _LOGS).argmin())
        near, wide = (_NEAR, _RANGE) if size < _LARGE else (_NEAR_LARGE, _RANGE_LARGE)
        after = np.abs(move[place + 1 : place + 1 + _AFTER])
        if after.size >= _CALM_NEEDS and after.mean() > _CALM * before[-_LEAST:].mean():
            continue
        bar, past = place + 1, slice(max(0, place - _WINDOW), place + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.log(high / low)
            if np.isfinite(spread[past]).any() and spread[bar] > wide * np.nanmedian(spread[past]):
                continue
            body = abs(np.log(close[bar] / opened[bar]))
        known = volume[past][np.isfinite(volume[past])][-_LEAST:]
        usual = np.median(known) if known.size else np.nan
        # A split multiplies the number of shares traded.
        if volume[bar] > _VOLUME * usual * max(1.0, float(np.exp(min(-move[place], LARGEST_MOVE)))):
            continue
        lowest = max(
            abs(size - _LOGS[nearest]) / near,
            after.max(initial=0.0) / _LOUD,
            body / _BODY if np.isfinite(body) else 0.0,
        )
        ratio = float(_RATIOS[nearest])
        found.append(
            Candidate(
                place=int(bar),
                ratio=ratio if move[place] < 0 else 1 / ratio,
                local=local,
                lowest=float(lowest),
                highest=float(size / sigmas),
                is_open=after.size < _AFTER,
            )
        )
    return found
