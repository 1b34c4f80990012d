"""Bound the robust deviation of a ticker's returns over the bars to come, to know its flags without its history.

The flags `jump` and `split` compare a return with the robust standard deviation of all returns of the ticker, which
each new bar changes a little. From the order of the returns it is known by how much a number of further bars can change
it at most. Where no past bar's flag would differ anywhere between these bounds, the past need not be read again.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.prices import adjusted_close
from pm.quality.flags import told_deviation
from pm.quality.splits import LARGEST_MOVE, SMALLEST, split_candidates
from pm.statistics.robust import MAD_TO_SIGMA
from pm.tables.quality import FLAG_BOUNDS

if TYPE_CHECKING:
    from pm.settings import QualitySettings

__all__ = ["MOST_AHEAD", "could_be_flagged", "deviations", "flag_bounds"]

_FEWEST_AHEAD = 10
MOST_AHEAD = 30
"""Bounds hold for 10 to 30 further bars; each ticker has its own number, so that not all are read on the same night.
They hold for a half or a quarter of it where a flag could change over more."""
_ROUNDING = 1e-9
"""Relative difference by which the same deviation can differ when it is computed in another way."""
_ENOUGH = 4
"""Smallest number of returns, in multiples of the bars ahead, from which bounds are computed."""


def flag_bounds(bars: pl.DataFrame, settings: QualitySettings) -> pl.DataFrame:
    """Return the bounds of tickers whose past flags cannot change within them.

    Parameters
    ----------
    bars
        All bars of each ticker by ticker and date, with the columns of bars.
    settings
        Settings, of which jump_return, jump_sigmas and split_sigmas are used.

    Returns
    -------
    DataFrame
        Columns of flag_bounds except its stamp; tickers without bounds are absent.
    """
    prices = [pl.col(name) * pl.col("adj_factor") for name in ("open", "high", "low", "close")]
    adjusted = bars.select("ticker", "date", *prices, "volume")
    rows = []
    start = 0
    for ticker, count in adjusted.group_by("ticker", maintain_order=True).len().iter_rows():
        own = adjusted.slice(start, count)
        start += count
        ahead = _FEWEST_AHEAD + zlib.crc32(ticker.encode()) % (MOST_AHEAD - _FEWEST_AHEAD + 1)
        moves = np.diff(np.log(own["close"].to_numpy()))
        for fewer in (ahead, ahead // 2, ahead // 4):  # the fewer bars, the narrower are the bounds
            bounds = _bounds(moves, fewer)
            if bounds is not None and _is_settled(own, bounds, settings):
                rows.append((ticker, own["date"][-1], fewer, *bounds))
                break
    return pl.DataFrame(rows, schema=FLAG_BOUNDS.unstamped_schema, orient="row")


def deviations(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the robust standard deviation of the log returns of each ticker: ticker, sigma.

    Parameters
    ----------
    bars
        All bars of each ticker by ticker and date, with the columns of bars.
    """
    adjusted = adjusted_close()
    moves = bars.select("ticker", move=(adjusted / adjusted.shift(1)).log().over("ticker"))
    deviation = (pl.col("move") - pl.col("move").median()).abs().median()
    return moves.group_by("ticker").agg(sigma=MAD_TO_SIGMA * deviation)


def could_be_flagged(move: pl.Expr, sigma_low: pl.Expr, settings: QualitySettings) -> pl.Expr:
    """Return whether a log return is so large that its bar could have flag `jump` or `split`."""
    size = move.abs()
    is_jump = ((move.exp() - 1).abs() > settings.jump_return) & (size > settings.jump_sigmas * sigma_low)
    return is_jump | ((size > SMALLEST) & (size > settings.split_sigmas * sigma_low))


def _bounds(moves: np.ndarray, ahead: int) -> tuple[float, float] | None:
    """Return the smallest and the largest robust deviation after up to `ahead` further returns; None for too few.

    With `k` further values, the median of `n` lies between those of the `n` that are `k` places below and above it.
    Moving the median by at most `shift` moves each deviation from it by at most as much.
    """
    count = moves.size
    if count < _ENOUGH * ahead:
        return None
    low, high = (count - 1) // 2 - ahead, count // 2 + ahead
    ordered = np.sort(moves)
    median = float(np.median(moves))
    shift = max(float(ordered[high]) - median, median - float(ordered[low]))
    deviations = np.sort(np.abs(moves - median))
    smallest = max(0.0, float(deviations[low]) - shift)
    return MAD_TO_SIGMA * smallest, MAD_TO_SIGMA * (float(deviations[high]) + shift)


def _is_settled(bars: pl.DataFrame, bounds: tuple[float, float], settings: QualitySettings) -> bool:
    """Return whether every bar has the same flags anywhere between the bounds, whatever bars come."""
    low, high = bounds
    moves = np.diff(np.log(bars["close"].to_numpy()))
    size = np.abs(moves)
    jumping = size[np.abs(np.expm1(np.minimum(moves, LARGEST_MOVE))) > settings.jump_return]
    least, most = settings.jump_sigmas * low, settings.jump_sigmas * high
    if ((jumping > least) & (jumping <= most)).any():
        return False
    if (jumping > most).any() and not _is_told_alike(low, high):
        return False
    for each in split_candidates(bars, sigmas=settings.split_sigmas, overall=low):
        least, most = max(each.local, low), max(each.local, high)
        if each.is_open or any(least < bound <= most for bound in (each.lowest, each.highest)):
            return False
    return True


def _is_told_alike(low: float, high: float) -> bool:
    """Return whether the sentence of a jump's flag, which has the deviation in it, is one between the bounds."""
    # Sums in another order differ in their last digits.
    told = pl.DataFrame({"sigma": [low * (1 - _ROUNDING), high * (1 + _ROUNDING)]}).select(told_deviation("sigma"))
    return told["sigma"].n_unique() == 1
