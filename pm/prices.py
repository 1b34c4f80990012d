"""Adjusted closes and log returns of bars, defined once for every room that reads them."""

from __future__ import annotations

import polars as pl

__all__ = ["adjusted_close", "log_return", "log_returns", "newest_bars_of_each"]


def adjusted_close() -> pl.Expr:
    """Return the adjusted close of a bar: its close as traded times its total-return factor, close × adj_factor."""
    return pl.col("close") * pl.col("adj_factor")


def log_return(price: pl.Expr) -> pl.Expr:
    """Return the log return of each ticker's price since its previous row, ln(price_t / price_{t−1}).

    Reads column `ticker`. The rows of a ticker must be in order of date; the first of each ticker is null.

    Parameters
    ----------
    price
        Price, positive. Pass `adjusted_close()` for total returns.
    """
    return price.log().diff().over("ticker")


def newest_bars_of_each(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the last row of each ticker.

    Parameters
    ----------
    bars
        Column ticker and others, by ticker and date.
    """
    lengths = bars["ticker"].rle().struct.field("len").cast(pl.Int64)
    return bars[lengths.cum_sum() - 1]


def log_returns(prices: pl.DataFrame) -> pl.DataFrame:
    """Compute the log returns of the adjusted close.

    Parameters
    ----------
    prices
        Columns ticker, date, close (as traded), adj_factor; each ticker's rows in order of date.

    Returns
    -------
    pl.DataFrame
        Columns ticker, date, log_return; a row for each bar but the first of each ticker.

    Examples
    --------
    >>> prices = pl.DataFrame({"ticker": ["A", "A"], "date": [1, 2], "close": [100.0, 50.0], "adj_factor": [0.5, 1.0]})
    >>> log_returns(prices).rows()
    [('A', 2, 0.0)]
    """
    returns = prices.select("ticker", "date", log_return=log_return(adjusted_close()))
    return returns.drop_nulls("log_return")
