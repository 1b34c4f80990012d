"""Read tickers' returns: refuse what cannot be modelled, leave out quiet pasts and moves that are other units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view

from pm.exclusions import Exclusion
from pm.tables.vocabulary import Reason
from pm.volatility.jumps import unit_changes

if TYPE_CHECKING:
    from datetime import date

    from pm.typing import FloatArray

__all__ = ["Series", "leave_out_jumps", "leave_out_quiet_pasts", "quiet_past", "read_series"]

_SAYABLE = 10.0
"""Log return up to which a percentage is still read."""
_ALIVE = 0.05
"""Share of days on which a price must move."""
_BEFORE, _AFTER = 60, 20
"""Sessions that are a quiet past, and those after it that are enough to see its end."""
_RISE = 10.0
"""Times as far."""


@dataclass(frozen=True)
class Series:
    """A ticker's returns that a model may see, oldest first, and the date of its last bar."""

    returns: FloatArray
    origin_date: date


def read_series(returns: pl.DataFrame, window: int) -> tuple[dict[str, Series], dict[str, Exclusion]]:
    """Cut each ticker's window, and refuse those whose returns cannot be read."""
    series: dict[str, Series] = {}
    refused: dict[str, Exclusion] = {}
    ordered = returns.select("ticker", "date", pl.col("log_return").cast(pl.Float64)).sort("ticker", "date")
    for (ticker,), rows in ordered.partition_by("ticker", as_dict=True).items():
        if rows["date"].is_duplicated().any():
            repeated = rows.filter(pl.col("date").is_duplicated())["date"][0]
            refused[ticker] = Exclusion(Reason.DUPLICATE_DATES, f"{repeated} occurs more than once")
            continue
        # The first bar has no return: that null is in order, any later one is not.
        known = rows.slice(1) if rows["log_return"][0] is None else rows
        known = known.tail(window)
        values = known["log_return"].fill_null(float("nan")).to_numpy()
        broken = ~np.isfinite(values)
        if broken.any():
            first = known["date"][int(broken.argmax())]
            refused[ticker] = Exclusion(Reason.BAD_RETURN, f"{broken.sum()} of {len(values)} returns, first on {first}")
        elif len(values) > 1 and np.ptp(values) == 0:
            refused[ticker] = Exclusion(Reason.CONSTANT, f"all {len(values)} returns are {values[0]:g}")
        elif np.count_nonzero(values) < _ALIVE * len(values):
            moved = np.count_nonzero(values)
            refused[ticker] = Exclusion(Reason.CONSTANT, f"the price moved on {moved} of {len(values)} days")
        else:
            series[ticker] = Series(values, rows["date"][-1])
    return series, refused


def leave_out_quiet_pasts(series: dict[str, Series]) -> tuple[dict[str, Series], dict[str, Exclusion]]:
    """Leave out what came before the end of a standstill, or of a peg; see `quiet_past`."""
    kept: dict[str, Series] = {}
    cut: dict[str, Exclusion] = {}
    for ticker, own in series.items():
        first = quiet_past(own.returns)
        kept[ticker] = Series(own.returns[first:], own.origin_date)
        if first:
            said = f"the first {first} of {len(own.returns)} returns left out: the price was still, or held, up to then"
            cut[ticker] = Exclusion(Reason.QUIET_PAST_LEFT_OUT, said)
    return kept, cut


def quiet_past(returns: FloatArray) -> int:
    """Give how many of the first returns are of a price that was halted, held or not yet listed.

    What counts is the last session of which the 20 to 60 after it, the largest apart, moved ten times as far (root mean
    square) as the 60 before it, and on half of the days at least; with its own return, which is that of leaving the
    rest. Of the 27 known shares and indices of benchmarks/markets.py none did by more than 7.1 (2020); the currencies
    HUF (2001), CZK (2017) and RON (2025), which were let go, by 15 to 58.
    """
    if len(returns) <= _BEFORE + _AFTER:
        return 0
    squares = returns**2
    before = sliding_window_view(squares[: -_AFTER - 1], _BEFORE).mean(axis=1)
    padded = np.concatenate([squares[_BEFORE + 1 :], np.full(_BEFORE - _AFTER, np.nan)])
    after = sliding_window_view(padded, _BEFORE)
    known = np.isfinite(after).sum(axis=1)
    spread = (np.nansum(after, axis=1) - np.nanmax(after, axis=1)) / (known - 1)
    ends = np.flatnonzero((spread > _RISE**2 * before) & ((after > 0.0).sum(axis=1) >= known / 2))
    return int(ends[-1]) + _BEFORE + 1 if len(ends) else 0


def leave_out_jumps(series: dict[str, Series]) -> tuple[dict[str, Series], dict[str, Exclusion]]:
    """Leave out the returns that are changes of units; see `unit_changes`."""
    kept: dict[str, Series] = {}
    cut: dict[str, Exclusion] = {}
    for ticker, own in series.items():
        jumps = unit_changes(own.returns)
        kept[ticker] = Series(own.returns[~jumps], own.origin_date)
        if jumps.any():
            largest = max(own.returns[jumps].tolist(), key=abs)
            move = f"{np.expm1(largest):+.0%}" if abs(largest) < _SAYABLE else f"{largest:+.0f} in log price"
            said = f"{jumps.sum()} of {len(jumps)} returns left out, the largest {move}"
            said += "; is a split not adjusted for?"
            cut[ticker] = Exclusion(Reason.JUMP_LEFT_OUT, said)
    return kept, cut
