"""Features that are known for future sessions, because they depend only on the date."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.forecast.base import Panel

__all__ = ["calendar_columns", "with_calendar"]

_FRIDAY, _SATURDAY, _SUNDAY = 5, 6, 7


def calendar_columns(names: Sequence[str]) -> list[pl.Expr]:
    """Return expressions for the indicator columns (0 or 1) of features of column `date`.

    Parameters
    ----------
    names
        Names in `pm.settings.CALENDAR_FEATURES`. day_of_week and month have a column for each value but the first
        (Monday, January). month_start and month_end are the first and last weekday of the month. They are not its first
        and last session, since it is not known whether another session of the month follows the last one forecast.
    """
    date = pl.col("date")
    weekday, month = date.dt.weekday(), date.dt.month()
    to_next = pl.when(weekday == _FRIDAY).then(3).when(weekday == _SATURDAY).then(2).otherwise(1)
    to_previous = pl.when(weekday == 1).then(3).when(weekday == _SUNDAY).then(2).otherwise(1)
    columns = {
        "day_of_week": [(weekday == day).alias(f"day_of_week_{day}") for day in range(2, 8)],
        "month": [(month == number).alias(f"month_{number}") for number in range(2, 13)],
        "month_start": [((date - pl.duration(days=to_previous)).dt.month() != month).alias("month_start")],
        "month_end": [((date + pl.duration(days=to_next)).dt.month() != month).alias("month_end")],
    }
    return [column.cast(pl.Float64) for name in names for column in columns[name]]


def with_calendar(panel: Panel, targets: pl.DataFrame, names: Sequence[str]) -> Panel:
    """Return the panel with calendar features of its bars and of the sessions to forecast.

    Parameters
    ----------
    panel
        Log prices.
    targets
        Columns ticker, step, target_date: each ticker's sessions after its last bar.
    names
        Features; see `calendar_columns`. If there are none, the panel is returned unchanged.
    """
    if not names:
        return panel
    last = panel.bars.group_by("ticker").agg(pl.col("bar").last())
    ahead = targets.join(last, on="ticker").select(
        "ticker", pl.col("target_date").alias("date"), pl.col("bar") + pl.col("step")
    )
    sessions = pl.concat([panel.bars.select("ticker", "date", "bar"), ahead]).sort("ticker", "bar")
    return replace(panel, known_ahead=sessions.select("ticker", "bar", *calendar_columns(names)))
