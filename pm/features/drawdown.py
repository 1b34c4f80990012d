"""How far the close is below its peak."""

from __future__ import annotations

import polars as pl

__all__ = ["drawdown_features"]


def drawdown_features() -> dict[str, pl.Expr]:
    """Give the close over its highest so far, and over that of the last 250 sessions, less 1, of one ticker's bars."""
    close = pl.col("close")
    return {
        "drawdown": close / close.cum_max() - 1,
        "drawdown_250": close / close.rolling_max(250) - 1,
    }
