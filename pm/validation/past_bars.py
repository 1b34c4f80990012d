"""Cut the bars of many tickers off at a date, many times over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    import polars as pl

__all__ = ["PastBars"]


class PastBars:
    """Bars that are cut off at one date after another, without looking through all of them each time.

    Parameters
    ----------
    bars
        Columns ticker and date, and others, by ticker and date.
    """

    def __init__(self, bars: pl.DataFrame) -> None:
        self._bars = bars
        runs = bars["ticker"].rle().struct.unnest()
        self._tickers: list[str] = runs["value"].to_list()
        lengths = runs["len"].to_numpy().astype(np.int64)
        self._ends = np.cumsum(lengths)
        self._starts = self._ends - lengths
        self._days = bars["date"].to_numpy().astype("datetime64[D]")

    def up_to(self, day: date, newest: int, *, whole: Collection[str] = ()) -> pl.DataFrame:
        """Return the newest bars of each ticker up to a date, by ticker and date.

        Parameters
        ----------
        day
            The date.
        newest
            Number of bars of a ticker.
        whole
            Tickers all of whose bars up to the date are returned.
        """
        rows = []
        for ticker, start, end in zip(self._tickers, self._starts, self._ends, strict=True):
            last = start + int(np.searchsorted(self._days[start:end], np.datetime64(day), side="right"))
            first = start if ticker in whole else max(start, last - newest)
            rows.append(np.arange(first, last))
        return self._bars[np.concatenate(rows)] if rows else self._bars
