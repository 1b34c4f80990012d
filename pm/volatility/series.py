"""Read tickers' returns: refuse those that cannot be modelled, and leave out moves that are other units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.volatility.base import FloatArray, Refusal
from pm.volatility.jumps import unit_changes

if TYPE_CHECKING:
    from datetime import date

__all__ = ["Series", "leave_out_jumps", "read_series"]

_SAYABLE = 10.0
"""Log return up to which a percentage is still read."""
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
    """Leave out the returns that are changes of units; see `unit_changes`."""
    kept: dict[str, Series] = {}
    cut: dict[str, Refusal] = {}
    for ticker, own in series.items():
        jumps = unit_changes(own.returns)
        kept[ticker] = Series(own.returns[~jumps], own.origin_date)
        if jumps.any():
            largest = max(own.returns[jumps].tolist(), key=abs)
            move = f"{np.expm1(largest):+.0%}" if abs(largest) < _SAYABLE else f"{largest:+.0f} in log price"
            said = f"{jumps.sum()} of {len(jumps)} returns left out, the largest {move}"
            said += "; is a split not adjusted for?"
            cut[ticker] = Refusal("jump_left_out", said)
    return kept, cut
