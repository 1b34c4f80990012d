"""Find tickers whose bars are not daily, and files that contradict each other about a ticker, by dates and closes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.quality.precision import unit_expression

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["contradictions", "days_of", "not_daily", "partly_not_daily", "whole_days"]

_LONGER = {
    "weekly": (6, 8),
    "two-weekly": (13, 16),
    "monthly": (26, 35),
    "quarterly": (85, 97),
    "yearly": (355, 375),
}
"""Spacing to the smallest and largest number of days between two of its bars: holidays and weekends move them."""
_FEWEST_GAPS = 3
"""Smallest number of gaps between bars by which a spacing is recognised."""
_FEW_GAPS = 8
"""Number of gaps below which all of them must be of a spacing."""
_WEEKEND = 4
"""Largest number of days between two daily bars, over a weekend and a holiday."""
_REGULAR = 0.8
"""Smallest share of gaps of a spacing; thin trading and halts leave gaps of many lengths."""
_IN_A_ROW = 26
"""Number of gaps in a row, half a year of weekly ones, by which a part of the bars is recognised."""
_FEWEST_DAYS = 3
"""Smallest number of days with several closes by which intraday bars are recognised …"""
_MANY = 4
"""… or the smallest number of closes on a single day."""
_RELATIVE = 1e-3
"""Largest relative difference of two closes that is no contradiction, beside that of rounding."""
_FEW_COMMON = 5
"""Number of common dates below which a common ratio of the closes is no sign of an adjustment."""
_OPEN_SESSION = 0.2
"""Largest relative difference on a single common date, whose session can have been open when a file was made."""

_GAP = pl.when(pl.col("ticker") == pl.col("ticker").shift(1)).then(
    pl.col("date").to_physical() - pl.col("date").to_physical().shift(1)
)
"""Days since the ticker's bar before, of bars in the order of ticker and date; null for its first bar."""


def days_of(bars: pl.DataFrame) -> pl.DataFrame:
    """Return for each ticker and date of some bars with a close the number of its different closes, and the last.

    Dates that are not next to each other are not joined; `whole_days` does that.

    Parameters
    ----------
    bars
        Columns ticker, date and close.

    Returns
    -------
    DataFrame
        ticker, date, closes, close.
    """
    filled = bars.select("ticker", "date", "close").drop_nulls()
    days = filled.select("ticker", "date", pl.lit(1, pl.UInt32).alias("closes"), "close")
    return _joined(days)


def whole_days(pieces: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the days of a whole delivery by ticker and date, one row for each, from those of its pieces in order."""
    days = pl.concat(pieces).sort("ticker", "date", maintain_order=True)
    return _joined(days)


def _joined(days: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each ticker and date, where rows of the same ones are next to each other."""
    if not days.select(_GAP.eq(0).any()).item():
        return days
    different = pl.max_horizontal(pl.col("closes").max(), pl.col("close").n_unique())
    return days.group_by("ticker", "date", maintain_order=True).agg(closes=different, close=pl.col("close").last())


def not_daily(days: pl.DataFrame) -> dict[str, str]:
    """Return the tickers whose bars are not daily, each with what they are in a few words.

    Intraday are bars of which more than half of the days have several different closes. Weekly, two-weekly, monthly,
    quarterly or yearly are bars of which 80% of the gaps (of fewer than 8 gaps, all) have the length of this spacing.
    A fund whose value is published weekly is weekly; a share that trades on few days is not, since its gaps differ. Of
    few gaps that is by chance, so that beside tickers with daily bars one of fewer than 8 is not judged.

    Parameters
    ----------
    days
        The days of a delivery, as `whole_days` returns them.
    """
    days = days.with_columns(gap=_GAP)
    several = pl.col("closes") > 1
    found = days.group_by("ticker", maintain_order=True).agg(
        closes=pl.col("closes").median(),
        most=pl.col("closes").max(),
        share=several.mean(),
        days=several.sum(),
        gaps=pl.col("gap").count(),
        median=pl.col("gap").median(),
        short=(pl.col("gap") <= _WEEKEND).mean(),
        **{name: pl.col("gap").is_between(*limits).mean() for name, limits in _LONGER.items()},
    )
    is_daily = (pl.col("gaps") >= _FEWEST_GAPS) & (pl.col("short") >= _REGULAR)
    fewest = _FEW_GAPS if found.select(is_daily.any()).item() else _FEWEST_GAPS
    described: dict[str, str] = {}
    for row in found.iter_rows(named=True):
        if row["share"] > 0.5 and (row["days"] >= _FEWEST_DAYS or row["most"] >= _MANY):
            described[row["ticker"]] = f"several bars a day, {row['closes']:.0f} on a typical one"
            continue
        needed = 1.0 if row["gaps"] < _FEW_GAPS else _REGULAR
        for name in _LONGER:
            if row["gaps"] >= fewest and row[name] >= needed:
                described[row["ticker"]] = f"{name} bars, {row['median']:.0f} days apart"
    return described


def partly_not_daily(days: pl.DataFrame) -> dict[str, str]:
    """Return the tickers with a longer spacing in a part of their bars, 80% of 26 gaps in a row, and what that part is.

    Parameters
    ----------
    days
        The days of a delivery, as for `not_daily`, without the tickers that it returns.
    """
    longer = days.filter(_GAP > _WEEKEND).group_by("ticker").len().filter(pl.col("len") >= _REGULAR * _IN_A_ROW)
    suspects = days.filter(pl.col("ticker").is_in(longer["ticker"].implode())).with_columns(gap=_GAP)
    return {
        row["ticker"]: f"{row['name']} bars from {row['first']} to {row['last']}"
        for row in _in_a_row(suspects).iter_rows(named=True)
    }


def _in_a_row(days: pl.DataFrame) -> pl.DataFrame:
    """Return the tickers with many gaps of a spacing in a row: ticker, name, first and last date of such gaps."""
    found = []
    for name, limits in _LONGER.items():
        is_of_spacing = pl.col("gap").is_between(*limits)
        in_a_row = is_of_spacing.cast(pl.Float64).rolling_mean(_IN_A_ROW).max().over("ticker") >= _REGULAR - 1e-9
        gaps = days.filter(in_a_row).filter(is_of_spacing).group_by("ticker", maintain_order=True)
        start = pl.col("date") - pl.duration(days="gap")
        found.append(gaps.agg(name=pl.lit(name), first=start.first(), last=pl.col("date").last()))
    return pl.concat(found)


def contradictions(days: pl.DataFrame) -> pl.DataFrame:
    """Return the tickers about which files contradict each other.

    Two files do if they have a ticker's closes on common dates and these differ by more than .1% and the rounding to
    their decimals. Closes whose ratio is the same on five dates or more are no contradiction: one file was adjusted for
    a later dividend or split. Neither is the last of several common dates, nor a difference of up to 20% on a single
    one: its session can have been open when a file was made.

    Parameters
    ----------
    days
        Columns file, ticker, date and close; one row for each of these.

    Returns
    -------
    DataFrame
        ticker, file, other, date and closes (close, other_close) of the first difference, dates (number of common
        dates) and different (number of those that differ).
    """
    key = ("ticker", "date")
    common = days.filter(pl.struct(key).is_duplicated()).sort(*key, "file")
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in key)
    pairs = common.with_columns(
        other=pl.when(same).then(pl.col("file").shift(1)), other_close=pl.when(same).then(pl.col("close").shift(1))
    ).drop_nulls("other")
    pair = ("ticker", "file", "other")
    ratio = pl.col("close") / pl.col("other_close")
    few = pl.len().over(pair) < _FEW_COMMON
    usual = pl.when(few).then(1.0).otherwise(ratio.median().over(pair))
    of_pairs = pl.col("ticker").is_in(pairs["ticker"].unique().implode())
    units = days.filter(of_pairs).group_by("file", "ticker").agg(unit=unit_expression(pl.col("close")))
    others = units.rename({"file": "other", "unit": "other_unit"})
    pairs = pairs.join(units, on=["file", "ticker"], how="left", maintain_order="left").join(
        others, on=["other", "ticker"], how="left", maintain_order="left"
    )
    # Each file rounds to half a unit of its decimals, and the usual ratio is as far off.
    rounding = 0.5 * (pl.col("unit") + pl.col("other_unit")) / pl.min_horizontal("close", "other_close") * (1 + 1e-9)
    differs_as_it_is = (ratio - 1).abs() > pl.max_horizontal(pl.lit(_RELATIVE), rounding)
    differs_adjusted = (ratio / usual - 1).abs() > pl.max_horizontal(pl.lit(_RELATIVE), 2 * rounding)
    alone = pl.len().over(pair) == 1
    counts = pl.col("date") < pl.col("date").max().over(pair)
    differs = (
        pl.when(alone).then((ratio - 1).abs() > _OPEN_SESSION).otherwise(counts & differs_as_it_is & differs_adjusted)
    )
    return (
        pairs.with_columns(differs=differs, dates=pl.len().over(pair), different=differs.sum().over(pair))
        .filter("differs")
        .unique(pair, keep="first", maintain_order=True)
        .select(*pair, "date", "close", "other_close", "dates", "different")
    )
