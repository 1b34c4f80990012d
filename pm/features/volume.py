"""Compare the volume with that of the last sessions."""

from __future__ import annotations

import polars as pl

from pm.features.windows import window_mean

__all__ = ["volume_features"]

WINDOW = 20
"""Window of the z-score, in sessions."""


def volume_features() -> dict[str, pl.Expr]:
    """Return the z-score of log volume within the last 20 sessions, the current one included, for one ticker's bars.

    It is null if one of the 20 sessions had no trade, or all had the same volume. It lies within ±19/√20.
    """
    volume = pl.col("log_volume")
    return {"volume_zscore_20": (volume - window_mean(volume, WINDOW)) / volume.rolling_std(WINDOW)}
