"""Cross-sections of tickers: on each of some dates, standardised features and the relative returns that followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.prices import adjusted_close

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pm.typing import FloatArray

__all__ = [
    "FEATURE_COLUMNS",
    "MIN_TICKERS",
    "REGRESSORS",
    "SPACING",
    "CrossSection",
    "cross_section_dates",
    "cross_sections",
]

REGRESSORS = (
    "momentum_5",
    "momentum_20",
    "momentum_60",
    "momentum_120",
    "momentum_250",
    "drawdown_250",
    "rsi_14",
    "volatility_20",
    "volatility_60",
    "volume_zscore_20",
)
"""Columns of table `features` that relative returns are regressed on."""

FEATURE_COLUMNS = ("ticker", "date", *REGRESSORS)
"""Columns of table `features` that are read."""

SPACING = 5
"""Number of sessions between two cross-sections that the model is fitted to."""

MIN_TICKERS = 8
"""Minimum number of tickers of a cross-section: the mean of fewer is mostly each one's own return."""

_LARGEST = 4.0
"""Largest absolute return that counts, in standard deviations: a wrong quote or a split is no larger."""

_LARGEST_SCALE = 1.0
"""Largest standard deviation of a ticker's log return over the horizon with which it is compared with others.

A price that could as well be e times as high or as low at the end of the horizon had a wrong quote, or a change of
units, in the last sixty sessions. The mean of all would be its return alone.
"""

_MARKET_SHARE = 0.5
"""Share of the tickers that must have a bar on a date for it to be a date of the panel."""

_MAX_AGE_DAYS = 10
"""Maximum age of a ticker's newest features in days."""


@dataclass(frozen=True)
class CrossSection:
    """The tickers on one date.

    Attributes
    ----------
    day
        The date; for the newest cross-section the date of the newest features.
    tickers
        Tickers, sorted.
    regressors
        Normal scores of each feature's rank among the tickers, shape (tickers, REGRESSORS). A missing feature is 0, the
        middle, and so is one that fewer than MIN_TICKERS have or that does not differ.
    scale
        Standard deviation of the return over the horizon by past volatility, shape (tickers,).
    outcome
        Returns over the horizon minus their mean over the tickers, divided by `scale`, of at most _LARGEST; NaN where
        the horizon is not over. Shape (tickers,).
    last_target
        Last date on which a return of the cross-section ends; None if a horizon is not over.
    """

    day: date
    tickers: tuple[str, ...]
    regressors: FloatArray
    scale: FloatArray
    outcome: FloatArray
    last_target: date | None


def cross_section_dates(prices: pl.DataFrame, as_of: date) -> list[date]:
    """Return the dates whose features are needed: those of the panel, SPACING sessions apart, and the newest.

    A date of the panel is one on which at least half of the tickers that then had bars have one, so that markets of
    five and of seven days share the sessions of most.

    Parameters
    ----------
    prices
        Columns ticker, date.
    as_of
        Last date.
    """
    bars = prices.filter(pl.col("date") <= as_of)
    if bars.is_empty():
        return []
    lives = bars.group_by("ticker").agg(first=pl.col("date").min(), last=pl.col("date").max())
    counts = bars.group_by("date").agg(bars=pl.len()).sort("date")
    days = counts["date"].to_numpy()
    alive = np.searchsorted(np.sort(lives["first"].to_numpy()), days, side="right") - np.searchsorted(
        np.sort(lives["last"].to_numpy()), days, side="left"
    )
    common = counts.filter(pl.col("bars") >= pl.Series(np.maximum(MIN_TICKERS, _MARKET_SHARE * alive)))["date"]
    grid = common.reverse().gather_every(SPACING)
    newest = lives.filter(pl.col("last").dt.offset_by(f"{_MAX_AGE_DAYS}d") >= as_of)["last"]
    return sorted({*grid.to_list(), *newest.to_list()})


def cross_sections(
    features: pl.DataFrame, prices: pl.DataFrame, dates: Sequence[date], *, as_of: date, horizon: int
) -> list[CrossSection]:
    """Return the cross-sections of some dates, oldest first, and as the last the newest features of each ticker.

    Parameters
    ----------
    features
        Columns FEATURE_COLUMNS, none after `as_of`.
    prices
        Columns ticker, date, close (as traded) and adj_factor, by ticker and date, none after `as_of`.
    dates
        Dates, from `cross_section_dates`.
    as_of
        The day of the run.
    horizon
        Number of the ticker's sessions over which the return is forecast.
    """
    log_price = adjusted_close().log()
    ahead = prices.select(
        "ticker",
        "date",
        move=(log_price.shift(-horizon) - log_price).over("ticker"),
        target=pl.col("date").shift(-horizon).over("ticker"),
    )
    sigma = pl.coalesce("volatility_60", "volatility_20")
    usable = (
        features.select(FEATURE_COLUMNS)
        .with_columns(scale=sigma * horizon**0.5)
        .filter(pl.col("scale").is_between(0.0, _LARGEST_SCALE, closed="right"))
        .join(ahead, on=["ticker", "date"], how="left")
        .sort("date", "ticker")
    )
    found = []
    grid = set(dates)
    for (day,), rows in usable.partition_by("date", as_dict=True, maintain_order=True).items():
        settled = rows.filter(pl.col("move").is_finite())
        if day in grid and settled.height >= max(MIN_TICKERS, _MARKET_SHARE * rows.height):
            found.append(_cross_section(settled))
    age = pl.lit(as_of) - pl.col("date")
    newest = (
        usable.filter(age <= pl.duration(days=_MAX_AGE_DAYS))
        .group_by("ticker")
        .agg(pl.all().sort_by("date").last())
        .sort("ticker")
    )
    if newest.height >= MIN_TICKERS:
        found.append(_cross_section(newest.with_columns(move=pl.lit(None, pl.Float64), target=pl.lit(None, pl.Date))))
    return found


def _cross_section(rows: pl.DataFrame) -> CrossSection:
    scale = rows["scale"].to_numpy()
    moves = np.clip(rows["move"].cast(pl.Float64).to_numpy(), -_LARGEST * scale, _LARGEST * scale)
    return CrossSection(
        day=max(rows["date"].to_list()),
        tickers=tuple(rows["ticker"].to_list()),
        regressors=_normal_scores(rows.select(REGRESSORS).to_numpy()),
        scale=scale,
        outcome=np.clip((moves - moves.mean()) / scale, -_LARGEST, _LARGEST),
        last_target=None if rows["target"].null_count() else max(rows["target"].to_list()),
    )


def _normal_scores(values: FloatArray) -> FloatArray:
    """Return normal scores of the ranks in each column, with a variance of 1; 0 where a value is missing.

    Equal values share the mean of their ranks, so that the order of tickers is irrelevant.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    scores = np.zeros(values.shape)
    for column in range(values.shape[1]):
        own = values[:, column]
        there = np.isfinite(own)
        if there.sum() < MIN_TICKERS or np.ptp(own[there]) == 0:
            continue
        score = ndtri((rankdata(own[there]) - 0.5) / there.sum())
        scores[there, column] = score / np.sqrt(np.mean(score**2))
    return scores
