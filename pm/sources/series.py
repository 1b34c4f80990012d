"""Tell rows of shares from those of the company's other papers, which Indian exchanges list under the same symbol.

Their column `series` is EQ for a share, or BE, BZ, SM or ST on days on which it can only be bought for delivery or is
listed as that of a small company. Bonds, warrants, rights and block deals have other series, and other prices.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import polars as pl

from pm.sources.spellings import normalised

if TYPE_CHECKING:
    from pm.sources.columnar import ParquetFile
    from pm.sources.delimited import DelimitedText

__all__ = ["SERIES", "series_place", "shares_only", "tickers_of_shares"]

SERIES = "series"
"""Column of a bar's series, while a file is read."""

_OF_SHARES = ("EQ", "BE", "BZ", "SM", "ST")


def series_place(header: tuple[str, ...]) -> int | None:
    """Return the position of the column of series in a header, None without one."""
    return next((place for place, name in enumerate(header) if normalised(name) == SERIES), None)


def tickers_of_shares(content: DelimitedText | ParquetFile, series: int, ticker: int | None) -> frozenset[str | None]:
    """Return the tickers that have a row of a share anywhere in a file; None is the one ticker of a file without them.

    Parameters
    ----------
    series, ticker
        Positions of the columns in the header; without a column of tickers, all rows are of one.
    """
    places = {SERIES: series} | ({} if ticker is None else {"ticker": ticker})
    found: set[str | None] = set()
    with closing(content.pieces(places)) as pieces:
        for piece in pieces:
            shares = piece.cast(pl.String).filter(pl.col(SERIES).str.strip_chars().is_in(_OF_SHARES))
            if ticker is None:
                found |= {None} if shares.height else set()
            else:
                found |= set(shares["ticker"].str.strip_chars().unique())
    return frozenset(found)


def shares_only(piece: pl.DataFrame, tickers: frozenset[str | None]) -> pl.DataFrame:
    """Return a piece's rows of shares, and all rows of tickers that have none, without the column of series.

    Parameters
    ----------
    piece
        Columns series, of stripped text, and ticker if the file has one; others are kept.
    tickers
        Those of `tickers_of_shares`.
    """
    ticker = pl.col("ticker") if "ticker" in piece.columns else pl.lit(None, pl.String)
    other = ~pl.col(SERIES).is_in(_OF_SHARES).fill_null(value=False)
    return piece.filter(~(other & ticker.is_in(list(tickers), nulls_equal=True))).drop(SERIES)
