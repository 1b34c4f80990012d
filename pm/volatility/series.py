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
    from datetime import date

    from pm.typing import BoolArray, DateArray, FloatArray

__all__ = [
    "ReturnSeries",
    "leave_out_quiet_pasts",
    "leave_out_unit_changes",
    "quiet_past",
    "read_series",
    "usable_returns",
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
        dates, every = every_date[start : start + length], every_value[start : start + length]
        # The first bar has no return, so that a null is an error only after it.
        first = 1 if is_null[start] else 0
        start += length
        repeated = dates[1:][dates[1:] == dates[:-1]]
        if len(repeated):
            excluded[ticker] = Exclusion(Reason.DUPLICATE_DATES, f"{repeated[0]} occurs more than once")
            continue
        known, every = dates[first:][-window:], every[first:]
        values = every[-window:]
        unusable = ~np.isfinite(values)
        if unusable.any():
            worst = known[int(unusable.argmax())]
            detail = f"{unusable.sum()} of {len(values)} returns are missing or not finite, first on {worst}"
            excluded[ticker] = Exclusion(Reason.BAD_RETURN, detail)
        elif len(values) > 1 and np.ptp(values) == 0:
            excluded[ticker] = Exclusion(Reason.CONSTANT, f"all {len(values)} returns are {values[0]:g}")
        elif np.count_nonzero(values) < _MIN_MOVING_SHARE * len(values):
            moved = np.count_nonzero(values)
            excluded[ticker] = Exclusion(Reason.CONSTANT, f"the price moved on {moved} of {len(values)} days")
        else:
            usable = every if np.isfinite(every).all() else values
            series[ticker] = ReturnSeries(usable, dates[-1].item(), dates[-len(usable) :])
    return series, excluded


def usable_returns(returns: pl.DataFrame, window: int) -> dict[str, ReturnSeries]:
    """Return the returns of each ticker that models are fitted to, at most the last `window`.

    They are those that `fit_volatility` uses: without unusable series, changes of units and quiet pasts. Tickers that
    it leaves out are missing.

    Parameters
    ----------
    returns
        Columns ticker, date, log_return, with rows in any order.
    """
    cleaned, _ = leave_out_unit_changes(read_series(returns, window)[0], window)
    return leave_out_quiet_pasts(cleaned)[0]


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

    It is a necessary condition that is found in a sixth of the time, and that nearly no share meets.
    """
    before = np.convolve(squares[: -_AFTER - 1], np.ones(_BEFORE), "valid") / _BEFORE
    later = squares[_BEFORE + 1 :]
    after = np.convolve(np.concatenate([later, np.zeros(_BEFORE - _AFTER)]), np.ones(_BEFORE), "valid")
    known = np.minimum(np.arange(len(later), len(later) - len(after), -1), _BEFORE)
    return bool((after / (known - 1) > _RISE**2 * before * (1.0 - 1e-6)).any())


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
