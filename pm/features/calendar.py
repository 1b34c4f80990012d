"""Where a bar stands in the calendar."""

from __future__ import annotations

import polars as pl

__all__ = ["calendar_features"]


def calendar_features() -> dict[str, pl.Expr]:
    """Give day of the week (Monday 1) and of the month, the month, and the days since one ticker's previous bar."""
    date = pl.col("date")
    return {
        "day_of_week": date.dt.weekday(),
        "day_of_month": date.dt.day(),
        "month": date.dt.month(),
        "days_since_previous": date.diff().dt.total_days(),
    }
