"""Compute how far the close is below its highest value."""

from __future__ import annotations

import polars as pl

__all__ = ["drawdown_features"]


def drawdown_features() -> dict[str, pl.Expr]:
    """Return, for one ticker's bars, close / highest close − 1: of all bars so far, and of the last 250."""
    close = pl.col("close")
    return {
        "drawdown": close / close.cum_max() - 1,
        "drawdown_250": close / close.rolling_max(250) - 1,
    }
