"""Adjusted closes and log returns."""

from __future__ import annotations

import polars as pl

__all__ = ["adjusted_close", "log_returns"]


def adjusted_close() -> pl.Expr:
    """Return the expression of the close adjusted for splits and dividends: close × adj_factor."""
    return pl.col("close") * pl.col("adj_factor")


def log_returns(prices: pl.DataFrame) -> pl.DataFrame:
    """Return the adjusted log returns of bars: ticker, date, log_return; the first bar of a ticker has none.

    Parameters
    ----------
    prices
        Columns ticker, date, close and adj_factor, in order of dates within each ticker.
    """
    level = adjusted_close().log()
    return prices.select("ticker", "date", log_return=level.diff().over("ticker")).drop_nulls("log_return")
