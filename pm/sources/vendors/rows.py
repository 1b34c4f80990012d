"""Make bars and actions of what a vendor sent: every row is kept, whatever its cells hold."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.sources.base import ACTIONS_SCHEMA, BARS_SCHEMA
from pm.sources.vendors.problems import GoneError, InvalidReplyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pm.sources.base import Ask

__all__ = [
    "LONGEST_WITHOUT_BARS",
    "Splits",
    "actions_frame",
    "bars_frame",
    "dates_of",
    "days_of",
    "dividend_of",
    "number",
    "numbers",
    "refuse_if_gone",
    "split_of",
    "text",
    "undo_splits",
    "within",
]

Splits = list[tuple[date, float]]
"""Splits: first session after each, and number of new shares for an old one."""

LONGEST_WITHOUT_BARS = timedelta(days=7)
"""Time in which every share that trades has a bar."""
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
"""Beginning of the year 1 and end of the year 9999, in seconds since 1970."""
_PRICES = ("open", "high", "low", "close")
_LARGEST_RATIO = 100_000
"""Largest number of new shares for an old one, or of old ones for a new one, that a split is believed to have."""
_LONGEST_TEXT = 200
"""Largest number of characters of a name."""


def number(value: object) -> float | None:
    """Return the number that a cell holds: None if it is empty, NaN if it holds something else than a number.

    A row with NaN is refused by the check, under the name of the rule; a row without a close too.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _written(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _written(value: str) -> float | None:
    stripped = value.strip()
    if stripped.lower() in {"", "null", "none"}:
        return None
    try:
        return math.nan if "_" in stripped else float(stripped)
    except ValueError:
        return math.nan


def numbers(values: Sequence[Any]) -> pl.Series:
    """Return a column of numbers; see `number`."""
    if not set(map(type, values)) <= {float, type(None)}:
        values = [number(value) for value in values]
    return pl.Series(values, dtype=pl.Float64)


def text(value: object) -> str | None:
    """Return a text as one line of at most 200 characters; None if it is none or empty."""
    if not isinstance(value, str):
        return None
    line = " ".join(value.encode("utf-8", "replace").decode("utf-8").split())
    return line[:_LONGEST_TEXT] or None


def dates_of(values: Sequence[Any]) -> pl.Series:
    """Return the days that texts begin with, as in 2024-05-31 or 2024-05-31T04:00:00Z; null where there is none."""
    written = pl.Series([value[:10] if isinstance(value, str) else None for value in values], dtype=pl.String)
    return written.str.to_date("%Y-%m-%d", strict=False)


def days_of(times: list[Any], zone: str) -> pl.Series:
    """Return the days of a time zone at times in seconds since 1970; null for what is none of the years 1 to 9999."""
    milliseconds = [
        int(time) * 1000
        if isinstance(time, int | float) and not isinstance(time, bool) and _FIRST_SECOND <= time <= _LAST_SECOND
        else None
        for time in times
    ]
    moments = pl.Series(milliseconds, dtype=pl.Int64).cast(pl.Datetime("ms", "UTC"))
    return moments.dt.convert_time_zone(zone).dt.date()


def bars_frame(ask: Ask, source: str, dates: pl.Series, cells: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Return bars with the columns of `BARS_SCHEMA`, ordered by date and then as they were sent; `adj_close` is null.

    Parameters
    ----------
    cells
        Columns open, high, low, close and volume, as long as `dates`.
    """
    frame = pl.DataFrame({"date": dates, **cells}).with_columns(
        ticker=pl.lit(ask.ticker), adj_close=pl.lit(None, pl.Float64), source=pl.lit(source)
    )
    typed = frame.select(pl.col(name).cast(dtype) for name, dtype in BARS_SCHEMA.items())
    return typed.sort("date", maintain_order=True, nulls_last=True)


def within(frame: pl.DataFrame, ask: Ask, today: date) -> pl.DataFrame:
    """Return the rows of the days that were asked for, and those without a day or with one that is still to come.

    The bar of a session that is not over is left out; one of a day after tomorrow is an error of the vendor, which the
    check is to see.

    Parameters
    ----------
    today
        Present day in UTC; it can be tomorrow already where the exchange is.
    """
    day = pl.col("date")
    is_early = pl.lit(value=False) if ask.start is None else day < ask.start
    is_open = (day > ask.end) & (day <= max(today, ask.end) + timedelta(days=1))
    return frame.filter((is_early | is_open).fill_null(value=False).not_())


def split_of(day: date | None, ratio: float | None) -> tuple[date, float] | None:
    """Return a split; None for a ratio of one, which is none.

    Raises
    ------
    InvalidReplyError
        The day or the ratio cannot be: prices before it could not be told as they were traded.
    """
    if day is None or ratio is None or not (1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO):
        raise InvalidReplyError("The reply has a split that cannot be.")
    return None if ratio == 1 else (day, ratio)


def dividend_of(day: date | None, amount: float | None) -> tuple[date, float] | None:
    """Return a dividend; None for an amount of zero, which is none.

    Raises
    ------
    InvalidReplyError
        The day or the amount cannot be.
    """
    if day is None or amount is None or not (0 <= amount < math.inf):
        raise InvalidReplyError("The reply has a dividend that cannot be.")
    return None if amount == 0 else (day, amount)


def undo_splits(bars: pl.DataFrame, splits: Splits) -> pl.DataFrame:
    """Return bars as traded from bars that are adjusted for splits.

    Parameters
    ----------
    bars
        Bars; prices are multiplied, and the volume divided, by the ratios of all splits after their day.
    splits
        Every split between the first bar and today.
    """
    factor = _later(pl.col("date"), splits, lambda day, split: day < split)
    return bars.with_columns(
        *(pl.col(name) * factor for name in _PRICES),
        volume=pl.col("volume") / factor,
    )


def _later(day: pl.Expr, splits: Splits, is_before: Any) -> pl.Expr:  # noqa: ANN401 - a comparison of expressions
    factor = pl.lit(1.0)
    for split, ratio in splits:
        factor = factor * pl.when(is_before(day, pl.lit(split))).then(ratio).otherwise(1.0)
    return factor


def actions_frame(
    ask: Ask,
    source: str,
    dividends: Iterable[tuple[date, float]],
    splits: Splits,
    *,
    adjusted: bool,
    late: bool = False,
) -> pl.DataFrame:
    """Return the dividends and splits of the days that were asked for, with the columns of `ACTIONS_SCHEMA`.

    Parameters
    ----------
    dividends
        Ex-dates and amounts; those of one day are added up.
    splits
        All splits.
    adjusted
        Whether the amounts are adjusted for splits, which is undone: a dividend is paid on shares of the day before.
    late
        Whether those of days before the start of the ask are kept too, for the vendor tells them late.
    """
    summed: dict[date, float] = {}
    for day, amount in dividends:
        summed[day] = summed.get(day, 0.0) + amount
    rows: list[tuple[str, date, str, float, str]] = []
    for day, amount in summed.items():
        factor = math.prod(ratio for split, ratio in splits if split >= day) if adjusted else 1.0
        rows.append((ask.ticker, day, "dividend", amount * factor, source))
    rows += [(ask.ticker, day, "split", ratio, source) for day, ratio in splits]
    first = None if late else ask.start
    asked = [row for row in rows if (first is None or row[1] >= first) and row[1] <= ask.end]
    return pl.DataFrame(sorted(asked), schema=ACTIONS_SCHEMA, orient="row")


def refuse_if_gone(bars: pl.DataFrame, ask: Ask) -> None:
    """Raise an error if a vendor knows a symbol and has no bar of it in a time in which every share has one.

    Raises
    ------
    GoneError
        There is no bar between the start, or the beginning of all time, and the end, which are more than a week apart.
    """
    if bars.is_empty() and (ask.start is None or ask.end - ask.start >= LONGEST_WITHOUT_BARS):
        since = "" if ask.start is None else f" since {ask.start.isoformat()}"
        raise GoneError(f"The vendor has no bars of {ask.symbol}{since}.")
