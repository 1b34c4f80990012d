"""Whether more changed hands than usual."""

from __future__ import annotations

import polars as pl

from pm.features.windows import window_mean

__all__ = ["volume_features"]

WINDOW = 20


def volume_features() -> dict[str, pl.Expr]:
    """Give the z-score of log volume within its last 20 sessions, itself among them, of one ticker's bars.

    Null where a session of the 20 had no trade, or all had the same number. It lies within ±19/√20.
    """
    volume = pl.col("log_volume")
    return {"volume_zscore_20": (volume - window_mean(volume, WINDOW)) / volume.rolling_std(WINDOW)}
