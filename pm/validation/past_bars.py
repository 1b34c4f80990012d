"""Cut the bars and returns of many tickers off at a date, many times over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.prices import adjusted_close, log_return
from pm.volatility.series import usable_series

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    import polars as pl

    from pm.typing import DateArray, FloatArray
    from pm.volatility.series import ReturnSeries

__all__ = ["PastBars"]


class PastBars:
    """Bars that are cut off at one date after another, without looking through all of them each time.

    Parameters
    ----------
    bars
        Columns ticker, date, close, adj_factor, and others, by ticker and date.
    """

    def __init__(self, bars: pl.DataFrame) -> None:
        self._bars = bars
        runs = bars["ticker"].rle().struct.unnest()
        self._tickers: list[str] = runs["value"].to_list()
        lengths = runs["len"].to_numpy().astype(np.int64)
        self._ends = np.cumsum(lengths)
        self._starts = self._ends - lengths
        self._days = bars["date"].to_numpy().astype("datetime64[D]")
        # A return depends on two bars alone: those up to a date are the same without the bars after it.
        self._returns: FloatArray = bars.select(move=log_return(adjusted_close()))["move"].to_numpy()

    def up_to(self, day: date, newest: int) -> pl.DataFrame:
        """Return the newest bars of each ticker up to a date, by ticker and date.

        Parameters
        ----------
        day
            The date.
        newest
            Number of bars of a ticker.
        """
        rows = [np.arange(max(start, last - newest), last) for _, start, last in self._spans(day)]
        return self._bars[np.concatenate(rows)] if rows else self._bars

    def usable(self, day: date, newest: int, window: int) -> dict[str, ReturnSeries]:
        """Return the usable returns of each ticker among its newest bars up to a date; see `usable_returns`.

        Parameters
        ----------
        day
            The date.
        newest
            Number of bars of a ticker that are looked at.
        window
            Maximum number of returns.
        """
        return usable_series(
            {ticker: self._of(max(start, last - newest) + 1, last) for ticker, start, last in self._spans(day)}, window
        )

    def moves(self, day: date, tickers: Collection[str]) -> dict[str, tuple[DateArray, FloatArray]]:
        """Return dates and log returns of those of some tickers that have bars up to a date, all up to it."""
        return {
            ticker: self._of(start + 1, last)
            for ticker, start, last in self._spans(day)
            if ticker in tickers and last > start
        }

    def _of(self, first: int, last: int) -> tuple[DateArray, FloatArray]:
        return self._days[first:last], self._returns[first:last]

    def _spans(self, day: date) -> Iterator[tuple[str, int, int]]:
        """Return each ticker, the row of its first bar, and the one after its last bar up to a date."""
        cutoff = np.datetime64(day)
        for ticker, start, end in zip(self._tickers, self._starts.tolist(), self._ends.tolist(), strict=True):
            yield ticker, start, start + int(np.searchsorted(self._days[start:end], cutoff, side="right"))
