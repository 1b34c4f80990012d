"""Each session's variance: from its range and overnight move where bars have ranges, from closes where they do not."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.exclusions import Exclusion
from pm.prices import adjusted_close, log_return
from pm.tables.vocabulary import Reason
from pm.volatility.averages import exponential_mean

if TYPE_CHECKING:
    from pm.typing import DateArray, FloatArray
    from pm.volatility.series import ReturnSeries

__all__ = ["BarMoves", "SessionVariances", "bars_by_ticker", "returns_and_ranges", "series_variances"]

_LARGEST_RANGE = 25.0
"""Ratio of a session's variance to the mean squared return before it, above which its range is limited to that ratio: a
high that is wrong by a factor of ten is a ratio of thousands."""
_LARGEST_SQUARE = 100.0
"""Ratio of a squared return to the mean before it, to which it is limited: 10 standard deviations. A split that is not
adjusted for can be one of 50, and cannot be told from a fall until some sessions have followed."""
_MEAN_AGE = 25.0
"""Mean age, in sessions, of the squared returns that a range is compared with."""
_CONTRADICTION = 5.0
"""Ratio of the mean variance from ranges to that from closes, or its inverse, above which the ranges are not used."""
_MIN_SHARE = 0.5
"""Minimum share of sessions with a range that is not zero, below which none of a ticker's ranges is used."""
_NEWEST = 250
"""Number of newest sessions over which that share is taken."""
_TOLERANCE = 1e-9
"""Relative difference by which a close or an open may be outside of the range, since prices are rounded."""


@dataclass(frozen=True)
class BarMoves:
    """Moves of a ticker's bars.

    Attributes
    ----------
    dates
        Dates, ascending, of type datetime64[D].
    returns
        Log returns.
    ranges
        Variances from ranges: NaN where a price is missing, 0 where a bar has no usable range.
    """

    dates: DateArray
    returns: FloatArray
    ranges: FloatArray


def returns_and_ranges(bars: pl.DataFrame) -> pl.DataFrame:
    """Compute each bar's log return, and its variance from its range and the move overnight.

    The variance is Parkinson's of the session, (ln high/low)² / (4 ln 2), plus the squared log return from the close
    before to the open. It is null where a price is missing, and 0 where the bar has no usable range: where high and low
    are equal, or the open or the close is outside of them.

    Parameters
    ----------
    bars
        Columns ticker, date, open, high, low, close (as traded), adj_factor; each ticker's rows in order of date.

    Returns
    -------
    pl.DataFrame
        Columns ticker, date, log_return, range_variance; a row for each bar but the first of each ticker.

    References
    ----------
    M. Parkinson (1980), The extreme value method for estimating the variance of the rate of return, J. Business 53.
    """
    o, high, low, close = (pl.col(name).cast(pl.Float64) for name in ("open", "high", "low", "close"))
    usable = (
        (low > 0.0)
        & high.is_finite()
        & (high > low)
        & (pl.max_horizontal(o, close) <= high * (1.0 + _TOLERANCE))
        & (pl.min_horizontal(o, close) >= low * (1.0 - _TOLERANCE))
    )
    overnight = (o * pl.col("adj_factor")).log() - adjusted_close().log().shift(1).over("ticker")
    variance = (high / low).log() ** 2 / (4.0 * log(2.0)) + overnight**2
    return bars.select(
        "ticker",
        "date",
        log_return=log_return(adjusted_close()),
        range_variance=pl.when(usable & variance.is_finite()).then(variance).when(usable.is_not_null()).then(0.0),
    ).drop_nulls("log_return")


def bars_by_ticker(moves: pl.DataFrame) -> dict[str, BarMoves]:
    """Return the rows of `returns_and_ranges` by ticker.

    Without a column range_variance, no bar has a range.
    """
    if "range_variance" not in moves.columns:
        moves = moves.with_columns(range_variance=pl.lit(None, pl.Float64))
    ordered = moves.sort("ticker", "date").with_columns(pl.col("range_variance").fill_null(float("nan")))
    return {
        str(ticker): BarMoves(*(rows[name].to_numpy() for name in ("date", "log_return", "range_variance")))
        for (ticker,), rows in ordered.partition_by("ticker", as_dict=True).items()
    }


@dataclass(frozen=True)
class SessionVariances:
    """Variances of a ticker's sessions.

    Attributes
    ----------
    values
        Variance of each session.
    from_ranges
        Whether they are from ranges, as far as there are any.
    refused
        Why the ranges are not used although bars have some.
    """

    values: FloatArray
    from_ranges: bool
    refused: Exclusion | None = None


def _limited(squares: FloatArray) -> FloatArray:
    """Return squared returns, none larger than `_LARGEST_SQUARE` times the mean before it."""
    before = np.concatenate([[squares[:20].mean()], exponential_mean(squares, _MEAN_AGE)[:-1]])
    return np.minimum(squares, _LARGEST_SQUARE * before)


def series_variances(series: ReturnSeries, bars: BarMoves) -> SessionVariances:
    """Return the variance of each session of a cleaned series, from ranges where they can be used.

    A session has its squared return where there is no usable range, and where the return is not the bar's own, since
    the bar was part of a wrong quote. The variances are in units of the range; their mean differs from that of squared
    returns.

    Parameters
    ----------
    series
        Returns that models are fitted to.
    bars
        The ticker's bars, those that were left out of the series among them.
    """
    squares = _limited(series.returns**2)
    place = np.searchsorted(bars.dates, series.dates)
    own = np.where(np.abs(bars.returns[place] - series.returns) < _TOLERANCE, bars.ranges[place], np.nan)
    known = own > 0.0
    newest = min(len(own), _NEWEST)
    count = int(np.count_nonzero(known[-newest:]))
    if count < _MIN_SHARE * newest:
        if not np.isfinite(own[-newest:]).any():  # the source has none
            return SessionVariances(squares, from_ranges=False)
        detail = f"{count} of the last {newest} bars have a usable range; volatility was read from closes"
        return SessionVariances(squares, from_ranges=False, refused=Exclusion(Reason.RANGES_NOT_USED, detail))
    before = np.concatenate([[squares[:20].mean()], exponential_mean(squares, _MEAN_AGE)[:-1]])
    variances = np.where(known, np.minimum(own, np.maximum(squares, _LARGEST_RANGE * before)), squares)
    ratio = float(variances[known].sum() / max(float(squares[known].sum()), np.finfo(float).tiny))
    if not 1.0 / _CONTRADICTION <= ratio <= _CONTRADICTION:
        detail = f"the variance from ranges is {ratio:.2g} times that from closes; volatility was read from closes"
        return SessionVariances(squares, from_ranges=False, refused=Exclusion(Reason.RANGES_NOT_USED, detail))
    return SessionVariances(variances, from_ranges=True)
