"""Read tickers' returns: refuse those that cannot be modelled, and leave out moves that are other units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.volatility.base import BoolArray, FloatArray, Refusal

if TYPE_CHECKING:
    from datetime import date

__all__ = ["Series", "leave_out_jumps", "read_series"]

_JUMP_SIGMAS = 25.0
_SMALLEST_SPLIT = math.log(1.5)
"""Log return of three new shares for two, without adjustment."""
_OTHER_UNITS = math.log(10.0)
"""Log return that no crash of one session has; a hundredfold jump is beyond it."""
_BEFORE, _AFTER, _FEWEST_AFTER = 60, 10, 3
"""Sessions before and after a jump by which it is judged; where there are fewer before, all others stand for them."""
_UNREST = 1.5
"""After a crash returns are on average this many times as large as before it; after a split they are as before."""
_SAYABLE = 10.0
"""Log return up to which a percentage is still read."""
_TINY = 1e-8
_RARE = 0.01
_ALIVE = 0.05
"""Share of days on which a price must move."""


@dataclass(frozen=True)
class Series:
    """A ticker's returns that a model may see, oldest first, and the date of its last bar."""

    returns: FloatArray
    origin_date: date


def read_series(returns: pl.DataFrame, window: int) -> tuple[dict[str, Series], dict[str, Refusal]]:
    """Cut each ticker's window, and refuse those whose returns cannot be read."""
    series: dict[str, Series] = {}
    refused: dict[str, Refusal] = {}
    ordered = returns.select("ticker", "date", pl.col("log_return").cast(pl.Float64)).sort("ticker", "date")
    for (ticker,), rows in ordered.partition_by("ticker", as_dict=True).items():
        if rows["date"].is_duplicated().any():
            repeated = rows.filter(pl.col("date").is_duplicated())["date"][0]
            refused[ticker] = Refusal("duplicate_dates", f"{repeated} occurs more than once")
            continue
        # The first bar has no return: that null is in order, any later one is not.
        known = rows.slice(1) if rows["log_return"][0] is None else rows
        known = known.tail(window)
        values = known["log_return"].fill_null(float("nan")).to_numpy()
        broken = ~np.isfinite(values)
        if broken.any():
            first = known["date"][int(broken.argmax())]
            refused[ticker] = Refusal("non_finite", f"{broken.sum()} of {len(values)} returns, first on {first}")
        elif len(values) and np.ptp(values) == 0:
            refused[ticker] = Refusal("constant", f"all {len(values)} returns are {values[0]:g}")
        elif np.count_nonzero(values) < _ALIVE * len(values):
            moved = np.count_nonzero(values)
            refused[ticker] = Refusal("constant", f"the price moved on {moved} of {len(values)} days")
        else:
            series[ticker] = Series(values, rows["date"][-1])
    return series, refused


def leave_out_jumps(series: dict[str, Series]) -> tuple[dict[str, Series], dict[str, Refusal]]:
    """Leave out returns after which the price must be in other units, as an unadjusted split leaves it.

    Such a return is beyond 25 robust standard deviations of the ticker's and beyond that of a split of three for two;
    and either it is tenfold, or the sessions after it are as calm as those before. After a crash they are not: the
    crash stays. Until three sessions have followed it stays too: in doubt the interval is wide.
    """
    kept: dict[str, Series] = {}
    cut: dict[str, Refusal] = {}
    for ticker, own in series.items():
        kept[ticker] = own
        distance = np.abs(own.returns - np.median(own.returns)) if len(own.returns) else own.returns
        # Days without a move say nothing of how large a move is; 1.4826 makes it a normal's standard deviation.
        scale = 1.4826 * np.median(distance[own.returns != 0]) if np.any(own.returns != 0) else 0.0
        far = distance > max(_JUMP_SIGMAS * scale, _SMALLEST_SPLIT)
        # More than a few are another regime of the market, not other units.
        few = scale > _TINY and 0 < far.sum() <= max(1, _RARE * len(far))
        jumps = far & ~_shaken(own.returns, far) if few else np.zeros_like(far)
        if jumps.any():
            kept[ticker] = Series(own.returns[~jumps], own.origin_date)
            largest = float(own.returns[distance.argmax()])
            move = f"{np.expm1(largest):+.0%}" if abs(largest) < _SAYABLE else f"{largest:+.0f} in log price"
            said = f"{jumps.sum()} of {len(jumps)} returns left out, the largest {move}"
            said += "; is a split not adjusted for?"
            cut[ticker] = Refusal("jump_left_out", said)
    return kept, cut


def _shaken(returns: FloatArray, far: BoolArray) -> BoolArray:
    """Say which of the far returns look like a crash: not tenfold, and followed by unrest or not yet by anything."""
    size = np.where(far, np.nan, np.abs(returns))
    shaken = np.zeros(len(returns), dtype=np.bool_)
    for place in np.flatnonzero(far & (np.abs(returns) < _OTHER_UNITS)):
        after = size[place + 1 : place + 1 + _AFTER]
        usual = np.nanmean(size[place - _BEFORE : place] if place >= _BEFORE else size)
        shaken[place] = np.isfinite(after).sum() < _FEWEST_AFTER or np.nanmean(after) > _UNREST * usual
    return shaken
