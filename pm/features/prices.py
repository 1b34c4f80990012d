"""Compute the inputs of all features: adjusted prices, their logarithms, and the moves of a session."""

from __future__ import annotations

import polars as pl

__all__ = ["adjusted_prices", "log_prices", "session_moves"]

PRICES = ("open", "high", "low", "close")


def adjusted_prices() -> dict[str, pl.Expr]:
    """Return open, high, low and close times the adjustment factor, and the volume.

    A value that is not a positive finite number becomes null, and so does every feature computed from it. The volume
    stays as traded: the factor accounts for dividends too, which do not change the number of shares.
    """
    factor = _positive(pl.col("adj_factor"))
    adjusted = {name: _positive(_positive(pl.col(name)) * factor) for name in PRICES}
    return adjusted | {"volume": _positive(pl.col("volume"))}


def log_prices() -> dict[str, pl.Expr]:
    """Return the natural logarithms of adjusted prices and volume, as `log_open` to `log_volume`."""
    return {f"log_{name}": pl.col(name).log() for name in (*PRICES, "volume")}


def session_moves() -> dict[str, pl.Expr]:
    """Return the moves of each session, for one ticker's bars by date.

    `log_return` and `change` are from the previous close to the close, `overnight` is the log return from the previous
    close to the open, and `true_range` is Wilder's max(high, previous close) − min(low, previous close).
    """
    high, low, close, previous = pl.col("high"), pl.col("low"), pl.col("close"), pl.col("close").shift(1)
    # The horizontal maximum ignores nulls, but a true range needs all three prices.
    true_range = pl.max_horizontal(high, previous) - pl.min_horizontal(low, previous)
    return {
        "log_return": pl.col("log_close") - pl.col("log_close").shift(1),
        "change": close - previous,
        "overnight": pl.col("log_open") - pl.col("log_close").shift(1),
        "true_range": pl.when(previous.is_not_null() & high.is_not_null() & low.is_not_null()).then(true_range),
    }


def _positive(value: pl.Expr) -> pl.Expr:
    number = value.cast(pl.Float64)
    return pl.when((number > 0) & number.is_finite()).then(number)
