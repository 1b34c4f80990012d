"""Prices of tickers on the sessions of a backtest, in the currency of the portfolio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from pm.currencies import RatePath
    from pm.typing import BoolArray, DateArray, FloatArray, IntArray

__all__ = ["SessionPrices", "session_prices"]


@dataclass(frozen=True)
class SessionPrices:
    """Prices on sessions, adjusted for splits and dividends, in the currency of the portfolio.

    One adjusted share is a share as traded divided by its factor: its number stays the same when a share is split, and
    a dividend is held as more of the share that paid it.

    Attributes
    ----------
    tickers
        The tickers, in the order of the columns.
    dates
        The sessions, oldest first, of type datetime64[D].
    fills
        Price at which an order is filled: the open, or the close of a bar without an open. NaN without a bar. Shape
        (sessions, tickers).
    closes
        Closes; NaN without a bar.
    at_close
        Whether a fill is at the close.
    factors
        Adjusted price for one unit of the price as traded, as of the newest bar; NaN before the first.
    """

    tickers: tuple[str, ...]
    dates: DateArray
    fills: FloatArray
    closes: FloatArray
    at_close: BoolArray
    factors: FloatArray

    @property
    def days(self) -> IntArray:
        """Number of the day of each session."""
        return self.dates.astype(np.int64)

    def row_of(self, day: date) -> int:
        """Return the row of a session."""
        return int(np.searchsorted(self.dates, np.datetime64(day)))


def session_prices(
    bars: pl.DataFrame,
    sessions: Sequence[date],
    tickers: Sequence[str],
    *,
    rates: Mapping[str, RatePath],
    units: Mapping[str, float],
) -> SessionPrices:
    """Return the prices of tickers on sessions.

    A fill in another currency is converted at the rate of the session before, which was known at the open, and a close
    at that of its session.

    Parameters
    ----------
    bars
        Columns ticker, date, open, close, adj_factor; also of the tickers of the rates.
    sessions
        The sessions, oldest first.
    tickers
        The tickers.
    rates
        The rate of each ticker whose prices are in another currency.
    units
        Units of its currency for one unit of a ticker's prices.
    """
    dates = np.array(sessions, dtype="datetime64[D]")
    every = tuple(sorted({*tickers, *(rate for path in rates.values() for rate, _ in path)}))
    rows = bars.filter(pl.col("ticker").is_in(every) & pl.col("date").is_in(list(sessions)))
    row = np.searchsorted(dates, rows["date"].to_numpy().astype("datetime64[D]"))
    column = np.searchsorted(np.array(every), rows["ticker"].to_numpy().astype(str))

    def matrix(name: str) -> FloatArray:
        values = np.full((len(dates), len(every)), np.nan)
        values[row, column] = rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return values

    opens, closes = matrix("open"), matrix("close")
    factors = _carried(matrix("adj_factor"))
    at_close = np.isnan(opens) & np.isfinite(closes)
    fills = np.where(at_close, closes, opens)
    carried = _carried(closes)
    place_of = {ticker: place for place, ticker in enumerate(every)}
    for ticker in tickers:
        place = place_of[ticker]
        rate = np.full(len(dates), units.get(ticker, 1.0))
        for leg, inverted in rates.get(ticker, ()):
            own = carried[:, place_of[leg]]
            rate = rate / own if inverted else rate * own
        before = np.concatenate([rate[:1], rate[:-1]])
        closes[:, place] *= rate * factors[:, place]
        fills[:, place] *= before * factors[:, place]
    places = [place_of[ticker] for ticker in tickers]
    return SessionPrices(
        tuple(tickers),
        dates,
        fills[:, places],
        closes[:, places],
        at_close[:, places],
        factors[:, places],
    )


def _carried(values: FloatArray) -> FloatArray:
    """Return each column with its gaps filled by the value before; NaN before the first."""
    known = np.isfinite(values)
    newest = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, np.newaxis], 0), axis=0)
    return np.asarray(np.take_along_axis(values, newest, axis=0))
