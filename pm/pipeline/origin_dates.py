"""Choose the past dates that an evaluation forecasts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError
from pm.plural import plural

if TYPE_CHECKING:
    from datetime import date

__all__ = ["MIN_BARS", "QUIET_DAYS", "ChosenDates", "common_sessions", "origin_dates"]

MIN_BARS = 250
"""Minimum number of sessions up to the first date (one year); with fewer there is nothing to evaluate."""

QUIET_DAYS = 10
"""Number of days after a ticker's bar in which it still counts as one that could trade."""

_ORIGINS = 20
"""Number of dates if neither it nor the first date is asked for."""


@dataclass(frozen=True)
class ChosenDates:
    """What was asked for of the dates.

    Attributes
    ----------
    origins
        Largest number of dates; None for 20, or for all from `first` on.
    every
        Number of sessions from one date to the next; None for the horizon, so that windows do not overlap.
    first, last
        Bounds of the dates, both included; None for no bound.
    """

    origins: int | None = None
    every: int | None = None
    first: date | None = None
    last: date | None = None


def origin_dates(bars: pl.DataFrame, as_of: date, horizon: int, chosen: ChosenDates) -> list[date]:
    """Return the dates to forecast from, oldest first: of those on which at least half of the living tickers traded.

    See `common_sessions`. (Among shares, the weekends of one market of seven days are no sessions of most.)
    With `chosen.first`, dates are counted from the first session on or after it, so that later bars only add dates;
    without it, they are counted back from the last possible one.

    Parameters
    ----------
    bars
        Columns ticker, date, up to `as_of`.
    horizon
        Number of sessions that must follow each date.

    Raises
    ------
    InputError
        The history is too short for one date, or there is none within the bounds.
    """
    sessions = common_sessions(bars)
    possible = sessions[MIN_BARS - 1 : max(0, len(sessions) - horizon)]
    if not possible:
        raise InputError(
            f"There {'is' if len(sessions) == 1 else 'are'} {plural(len(sessions), 'session')} up to {as_of}; "
            f"an evaluation needs at least {MIN_BARS + horizon}.",
            where="table bars",
            hint="import a longer history, or ask for a shorter --horizon",
        )
    first, last = chosen.first or possible[0], chosen.last or possible[-1]
    within = [day for day in possible if first <= day <= last]
    if not within:
        raise InputError(
            f"There is no date to forecast from between {first} and {last}.",
            where="--from, --to",
            hint=f"choose dates from {possible[0]} to {possible[-1]}: each needs {MIN_BARS} sessions up to it and "
            f"{horizon} after it",
        )
    every = chosen.every or horizon
    if chosen.first is not None:
        return within[::every][: chosen.origins]
    return within[::-1][::every][: chosen.origins or _ORIGINS][::-1]


def common_sessions(bars: pl.DataFrame) -> list[date]:
    """Return the dates on which at least half of the living tickers traded, oldest first.

    A ticker lives from its first bar until `QUIET_DAYS` after a bar that no other follows, and again from its next one:
    whether a date is a session depends on bars up to it alone.

    Parameters
    ----------
    bars
        Columns ticker, date.
    """
    last_day = pl.col("date") + pl.duration(days=QUIET_DAYS)
    spans = bars.sort("ticker", "date").select(
        "date",
        begins=(pl.col("date") > last_day.shift().over("ticker")).fill_null(value=True),
        ends=(pl.col("date").shift(-1).over("ticker") > last_day).fill_null(value=True),
        last_day=last_day,
    )
    first = spans.filter("begins")["date"].sort()
    last = spans.filter("ends")["last_day"].sort()
    traded = bars.group_by("date").len("traded").sort("date")
    begun = traded.select(pl.col("date").map_batches(lambda days: first.search_sorted(days, "right")))
    ended = traded.select(pl.col("date").map_batches(lambda days: last.search_sorted(days, "left")))
    living = begun.to_series().cast(pl.Int64) - ended.to_series().cast(pl.Int64)
    days: list[date] = traded.filter(2 * pl.col("traded").cast(pl.Int64) >= living)["date"].to_list()
    return days
