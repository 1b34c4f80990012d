"""Compute calendar features of a bar's date."""

from __future__ import annotations

import polars as pl

__all__ = ["calendar_features"]


def calendar_features() -> dict[str, pl.Expr]:
    """Return the day of the week (1 is Monday), day of the month, month, and days since the ticker's previous bar."""
    date = pl.col("date")
    return {
        "day_of_week": date.dt.weekday(),
        "day_of_month": date.dt.day(),
        "month": date.dt.month(),
        "days_since_previous": date.diff().dt.total_days(),
    }
