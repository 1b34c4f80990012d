"""What every feature is made of: adjusted prices, their logarithms, and what a session adds to the last one."""

from __future__ import annotations

import polars as pl

__all__ = ["adjusted_prices", "log_prices", "session_moves"]

PRICES = ("open", "high", "low", "close")


def adjusted_prices() -> dict[str, pl.Expr]:
    """Give open, high, low and close times the adjustment factor, and the volume.

    What is not a positive finite number (a null, NaN, infinity, zero) becomes null, and so does whatever reads it.
    Volume stays as traded: the factor counts dividends too, which leave the number of shares alone.
    """
    factor = _positive(pl.col("adj_factor"))
    adjusted = {name: _positive(_positive(pl.col(name)) * factor) for name in PRICES}
    return adjusted | {"volume": _positive(pl.col("volume"))}


def log_prices() -> dict[str, pl.Expr]:
    """Give natural logarithms of the adjusted prices and of volume, as `log_open` … `log_volume`."""
    return {f"log_{name}": pl.col(name).log() for name in (*PRICES, "volume")}


def session_moves() -> dict[str, pl.Expr]:
    """Give what sets a session apart from the previous one, of one ticker's bars by date.

    `log_return` and `change` from close to close, `overnight` from the previous close to the open (log), and
    Wilder's `true_range` max(high, previous close) − min(low, previous close).
    """
    high, low, close, previous = pl.col("high"), pl.col("low"), pl.col("close"), pl.col("close").shift(1)
    # The horizontal maximum steps over nulls; a true range needs all three.
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
