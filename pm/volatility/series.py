"""Read tickers' returns: refuse those that cannot be modelled, leave out quiet pasts and changes of units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view

from pm.exclusions import Exclusion
from pm.tables.vocabulary import Reason
from pm.volatility.jumps import clean_returns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from pm.typing import BoolArray, DateArray, FloatArray

__all__ = [
    "ReturnSeries",
    "leave_out_quiet_pasts",
    "leave_out_unit_changes",
    "quiet_past",
    "read_series",
    "usable_returns",
    "usable_series",
]

_LARGEST_PERCENTAGE = 10.0
"""Absolute log return up to which a message has the simple return in percent; a larger one would have too many
digits."""
_MIN_MOVING_SHARE = 0.05
"""Minimum share of days on which a price must move."""
_BEFORE, _AFTER = 60, 20
"""Number of sessions of a quiet past, and minimum number of sessions after it that show that it has ended."""
_RISE = 10.0
"""Ratio of root-mean-square returns after to before at which a quiet past ends."""


@dataclass(frozen=True)
class ReturnSeries:
    """A ticker's log returns that models are fitted to.

    Attributes
    ----------
    returns
        Log returns, oldest first.
    origin_date
        Date of the ticker's last bar.
    dates
        Dates of the returns, of type datetime64[D].
    """

    returns: FloatArray
    origin_date: date
    dates: DateArray


def read_series(returns: pl.DataFrame, window: int) -> tuple[dict[str, ReturnSeries], dict[str, Exclusion]]:
    """Return the returns of each ticker, and the exclusions of tickers whose last `window` returns are unusable.

    Earlier returns are returned too, for `leave_out_unit_changes`, unless one of them is missing or not finite.
    """
    series: dict[str, ReturnSeries] = {}
    excluded: dict[str, Exclusion] = {}
    ordered = returns.select("ticker", "date", pl.col("log_return").cast(pl.Float64)).sort("ticker", "date")
    runs = ordered["ticker"].rle().struct.unnest()
    every_date, is_null = ordered["date"].to_numpy(), ordered["log_return"].is_null().to_numpy()
    every_value = ordered["log_return"].fill_null(float("nan")).to_numpy()
    start = 0
    for length, ticker in runs.select("len", "value").iter_rows():
        # The first bar has no return, so that a null is an error only after it.
        first = start + 1 if is_null[start] else start
        own = slice(first, start + length)
        repeated = _repeated(every_date[start : start + length])
        start += length
        if repeated is not None:
            excluded[ticker] = repeated
            continue
        read = _read(every_date[own], every_value[own], every_date[start - 1].item(), window)
        if isinstance(read, Exclusion):
            excluded[ticker] = read
        else:
            series[ticker] = read
    return series, excluded


def _repeated(dates: DateArray) -> Exclusion | None:
    repeated = dates[1:][dates[1:] == dates[:-1]]
    return Exclusion(Reason.DUPLICATE_DATES, f"{repeated[0]} occurs more than once") if len(repeated) else None


def _read(dates: DateArray, returns: FloatArray, origin: date, window: int) -> ReturnSeries | Exclusion:
    """Return the returns of a ticker, or why its last `window` are unusable."""
    values = returns[-window:]
    finite = np.isfinite(values)
    if not finite.all():
        worst = dates[-window:][int(finite.argmin())]
        detail = f"{(~finite).sum()} of {len(values)} returns are missing or not finite, first on {worst}"
        return Exclusion(Reason.BAD_RETURN, detail)
    moved = np.count_nonzero(values)
    if len(values) > 1 and np.ptp(values) == 0:
        return Exclusion(Reason.CONSTANT, f"all {len(values)} returns are {values[0]:g}")
    if moved < _MIN_MOVING_SHARE * len(values):
        return Exclusion(Reason.CONSTANT, f"the price moved on {moved} of {len(values)} days")
    usable = returns if len(values) == len(returns) or np.isfinite(returns).all() else values
    return ReturnSeries(usable, origin, dates[-len(usable) :])


def usable_returns(returns: pl.DataFrame, window: int) -> dict[str, ReturnSeries]:
    """Return the returns of each ticker that models are fitted to, at most the last `window`.

    They are those that `fit_volatility` uses: without unusable series, changes of units and quiet pasts. Tickers that
    it leaves out are missing.

    Parameters
    ----------
    returns
        Columns ticker, date, log_return, with rows in any order.
    """
    return _without_odd_pasts(read_series(returns, window)[0], window)


def usable_series(moves: Mapping[str, tuple[DateArray, FloatArray]], window: int) -> dict[str, ReturnSeries]:
    """Return what `usable_returns` does, from arrays.

    Parameters
    ----------
    moves
        Dates, ascending and each once, of type datetime64[D], and log returns of each ticker, NaN where one is missing.
        Tickers without any are left out.
    """
    read = {
        ticker: _read(dates, returns, dates[-1].item(), window)
        for ticker, (dates, returns) in moves.items()
        if len(dates)
    }
    return _without_odd_pasts({t: own for t, own in read.items() if isinstance(own, ReturnSeries)}, window)


def _without_odd_pasts(series: dict[str, ReturnSeries], window: int) -> dict[str, ReturnSeries]:
    return leave_out_quiet_pasts(leave_out_unit_changes(series, window)[0])[0]


def leave_out_quiet_pasts(
    series: dict[str, ReturnSeries],
) -> tuple[dict[str, ReturnSeries], dict[str, Exclusion]]:
    """Leave out the returns up to the end of a halt or a peg; see `quiet_past`."""
    kept: dict[str, ReturnSeries] = {}
    left_out: dict[str, Exclusion] = {}
    for ticker, own in series.items():
        first = quiet_past(own.returns)
        kept[ticker] = ReturnSeries(own.returns[first:], own.origin_date, own.dates[first:])
        if first:
            detail = (
                f"the first {first} of {len(own.returns)} returns left out: "
                "the price did not move, or was pegged, until then"
            )
            left_out[ticker] = Exclusion(Reason.QUIET_PAST_LEFT_OUT, detail)
    return kept, left_out


def quiet_past(returns: FloatArray) -> int:
    """Return the number of first returns at which the price was halted, pegged or not yet listed.

    A quiet past ends at the last session that meets both: the 20 to 60 returns after it, without the largest, have at
    least ten times the root mean square of the 60 before it; and the price moved on at least half of the days after
    it. The return of that session, which is the move out of the quiet past, is counted too. Of the 27 shares and
    indices of benchmarks/markets.py none rose by more than 7.1 (in 2020); the currencies HUF (2001), CZK (2017) and RON
    (2025), whose pegs were given up, by 15 to 58.
    """
    if len(returns) <= _BEFORE + _AFTER:
        return 0
    squares = returns**2
    if not _may_have_ended(squares):
        return 0
    before = sliding_window_view(squares[: -_AFTER - 1], _BEFORE).mean(axis=1)
    padded = np.concatenate([squares[_BEFORE + 1 :], np.full(_BEFORE - _AFTER, np.nan)])
    after = sliding_window_view(padded, _BEFORE)
    known = np.isfinite(after).sum(axis=1)
    spread = (np.nansum(after, axis=1) - np.nanmax(after, axis=1)) / (known - 1)
    ends = np.flatnonzero((spread > _RISE**2 * before) & ((after > 0.0).sum(axis=1) >= known / 2))
    return int(ends[-1]) + _BEFORE + 1 if len(ends) else 0


def _may_have_ended(squares: FloatArray) -> bool:
    """Return whether squared returns rise enough somewhere, the largest of those after it included.

    It is a necessary condition that is found in a small part of the time, and that nearly no share meets. Sums are
    differences of cumulative ones, with a margin for their rounding.
    """
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    ends = np.arange(_BEFORE, len(squares) - _AFTER)
    last = np.minimum(ends + 1 + _BEFORE, len(squares))
    before = (sums[ends] - sums[ends - _BEFORE]) / _BEFORE
    after = (sums[last] - sums[ends + 1]) / (last - ends - 2)
    margin = 1e-10 * sums[-1]
    return bool((after + margin > _RISE**2 * (before - margin)).any())


def leave_out_unit_changes(
    series: dict[str, ReturnSeries], window: int
) -> tuple[dict[str, ReturnSeries], dict[str, Exclusion]]:
    """Clean all returns of each series, and return its last `window` without those of sessions with unknown moves.

    See `clean_returns`, which judges all returns given, so that the result does not depend on the window.
    """
    kept: dict[str, ReturnSeries] = {}
    left_out: dict[str, Exclusion] = {}
    for ticker, own in series.items():
        clean = clean_returns(own.returns)
        known = ~clean.unknown[-window:]
        kept[ticker] = ReturnSeries(clean.returns[-window:][known], own.origin_date, own.dates[-window:][known])
        changes = clean.changes[-window:]
        if changes.any():
            left_out[ticker] = Exclusion(Reason.JUMP_LEFT_OUT, _described(own.returns[-window:], changes))
    return kept, left_out


def _described(returns: FloatArray, changes: BoolArray) -> str:
    """Return how many returns were changes of units, and the largest, in words."""
    largest = max(returns[changes].tolist(), key=abs)
    readable = abs(largest) < _LARGEST_PERCENTAGE
    move = f"{np.expm1(largest):+.0%}" if readable else f"{largest:+.0f} in log price"
    return f"{changes.sum()} of {len(changes)} returns left out, the largest {move}; is a split not adjusted for?"
