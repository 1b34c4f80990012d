"""Compute the factor that adjusts a traded price for later splits and dividends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from pm.quality.rebasing import scales
from pm.sources.names import USER
from pm.statistics.robust import MAD_TO_SIGMA

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["adjustment_factors", "effective_actions"]

_ODDS = 20.0
"""Smallest likelihood of a fall by a ticker's dividends, relative to none, at which they count."""
_FEWEST_RETURNS = 20
"""Smallest number of returns from which a deviation is known; with fewer, the likelier of the two is taken."""


def adjustment_factors(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    rebasings: pl.DataFrame | None = None,
    *,
    certain: Collection[str] = (),
) -> pl.DataFrame:
    """Add `adj_factor` to bars: adjusted price = price as traded × adj_factor.

    If the source sends adjusted closes, the factor is adj_close / close; a bar without an adjusted close has the factor
    of the next bar that has one, or else of the previous. Otherwise it is the product, over the ex-dates after the
    bar, of

    - 1 / ratio for a split of `ratio` new shares for an old one;
    - 1 − dividend / close before the ex-date for a dividend, both as traded, per share before a split of that day.

    Actions count only where the closes really fall by them, since the prices can be adjusted already: a split if the
    close moves nearer to its ratio than to none; the dividends of a ticker if a split of it counts, or if the closes on
    their ex-dates together make a fall by the dividends 20 times as likely as none, with normal returns of the ticker's
    own deviation. Ordinary dividends are too small beside the returns to show, so that they rarely count.

    This is the total return of reinvesting each dividend at the close before its ex-date. Without actions it is 1.

    Dividends and splits that the user told (source 'user') always count, beside adjusted closes too, and in place of
    those that files tell of the same day.

    Where a later delivery has another basis, the factor is multiplied by the ratio of the two, as rebasings say.

    Parameters
    ----------
    bars
        Good bars, with the columns of raw.bars: all bars of each ticker.
    actions
        Dividends and splits, with the columns of raw.actions. If several batches have a ticker, date and kind, the
        batch fetched last counts. An impossible value (not positive, not finite, a dividend not below the close) is
        ignored.
    rebasings
        Ratios between the bases of deliveries, with the columns of rebasings; none if absent.
    certain
        Batches of vendors, whose bars are as traded: their dividends and splits count whether or not the closes show
        them.

    Returns
    -------
    DataFrame
        The bars, sorted by ticker and date, with adj_factor.

    References
    ----------
    The multipliers are those of the Center for Research in Security Prices (CRSP), which Yahoo Finance uses for its
    adjusted closes too; see its help page "What is the adjusted close?".
    """
    bars = bars.sort("ticker", "date", "fetched_at", "row")
    sent = (pl.col("adj_close") / pl.col("close")).alias("adj_factor")
    told = effective_actions(actions.filter(source=USER))
    actions = actions.filter(pl.col("source") != USER).join(told, on=["ticker", "date", "kind"], how="anti")
    if rebasings is None or rebasings.is_empty():
        return _with_told(_with_actions(_filled(bars.with_columns(sent)), actions, certain), told)
    scale = scales(bars, rebasings)
    filled = _filled(bars.with_columns(sent * scale["adj_scale"]))
    # Prices without adjusted closes are brought to the later basis themselves.
    factored = _with_actions(filled.with_columns(close=pl.col("close") * scale["close_scale"]), actions, certain)
    factored = _with_told(factored, told)
    return factored.with_columns(close=bars["close"], adj_factor=pl.col("adj_factor") * scale["close_scale"])


def _filled(bars: pl.DataFrame) -> pl.DataFrame:
    """Give bars without a factor that of the next bar that has one, or else of the previous."""
    if not bars["adj_factor"].null_count():
        return bars
    return bars.with_columns(pl.col("adj_factor").backward_fill().forward_fill().over("ticker"))


def _with_actions(bars: pl.DataFrame, actions: pl.DataFrame, certain: Collection[str]) -> pl.DataFrame:
    """Give bars of tickers without any factor that of the actions."""
    if not bars["adj_factor"].null_count():
        return bars
    if actions.is_empty():
        return bars.with_columns(pl.col("adj_factor").fill_null(1.0))
    from_actions = _product(bars, _steps(bars, actions, certain))
    return bars.with_columns(pl.col("adj_factor").fill_null(from_actions).fill_null(1.0))


def _with_told(bars: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Multiply the factors by those of the dividends and splits that the user told."""
    if told.is_empty():
        return bars
    return bars.with_columns(
        pl.col("adj_factor") * _product(bars, _steps(bars, told, told["batch_id"].unique().to_list())).fill_null(1.0)
    )


def _product(bars: pl.DataFrame, steps: pl.DataFrame) -> pl.Series:
    """Return, for each bar, the product of the factors after it; null if there are none."""
    return bars.select("ticker", "date").join_asof(
        steps, on="date", by="ticker", strategy="forward", allow_exact_matches=False, check_sortedness=False
    )["cumulative"]


def _steps(bars: pl.DataFrame, actions: pl.DataFrame, certain: Collection[str]) -> pl.DataFrame:
    """Return each ticker's ex-dates with the product of the factors from that date on: ticker, date, cumulative.

    The actions of some batches are certain; of the others, those count by which the closes really fall.
    """
    value, before = pl.col("value"), pl.col("close")
    factor = (
        pl.when(kind="split")
        .then(1 / value)
        .when(pl.col("kind") == "dividend", value < before)
        .then(1 - value / before)
    )
    returns = bars.select("ticker", move=pl.col("close").log().diff().over("ticker")).drop_nulls()
    centred = (pl.col("move") - pl.col("move").median()).abs().median()
    deviations = returns.group_by("ticker").agg(
        deviation=pl.when(pl.len() >= _FEWEST_RETURNS).then(MAD_TO_SIGMA * centred)
    )
    falls = (
        effective_actions(actions)
        .sort("ticker", "date")
        .join_asof(
            bars.select("ticker", "date", "close"),
            on="date",
            by="ticker",
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .with_columns(factor=factor)
        .drop_nulls("factor")
        .join_asof(
            bars.select("ticker", "date", after="close"),
            on="date",
            by="ticker",
            strategy="forward",
            check_sortedness=False,
        )
        .join(deviations, on="ticker", how="left", maintain_order="left")
    )
    is_certain = pl.col("batch_id").is_in(list(certain))
    return (
        pl.concat([falls.filter(is_certain), _real(falls.filter(~is_certain)).select(falls.columns)])
        .group_by("ticker", "date")
        .agg(pl.col("factor").product())
        .sort("ticker", "date")
        .select("ticker", "date", cumulative=pl.col("factor").cum_prod(reverse=True).over("ticker"))
    )


def _real(actions: pl.DataFrame) -> pl.DataFrame:
    """Return the actions by which the closes really fall; those after the last bar too, of which nothing can tell.

    Parameters
    ----------
    actions
        Columns ticker, date, kind, factor, the closes before (`close`) and on (`after`) the ex-date, and the robust
        standard deviation of the ticker's log returns (`deviation`), null where it has too few.
    """
    is_split, expected = pl.col("kind") == "split", pl.col("factor").log()
    move = (pl.col("after") / pl.col("close")).log()
    nearer = (expected * (2 * move - expected)).fill_null(float("inf"))
    splits = actions.with_columns(counts=is_split & (nearer > 0), is_known=move.is_not_null())
    # Of a day with a split, the rest of the move is the dividend's.
    by_splits = pl.when("counts").then(expected).otherwise(0.0).sum().over("ticker", "date")
    of_dividends = pl.col("is_known") & ~is_split
    # The log of the ratio of two normal likelihoods, times 2 σ².
    evidence = pl.when(of_dividends).then(expected * (2 * (move - by_splits) - expected)).sum().over("ticker")
    needed = (2 * pl.col("deviation") ** 2 * math.log(_ODDS)).fill_null(0.0)
    dividends = (evidence > needed) | ~of_dividends.any().over("ticker")
    is_raw = (pl.col("counts") & pl.col("is_known")).any().over("ticker")
    return splits.filter(pl.col("counts") | (~is_split & (is_raw | dividends)))


def effective_actions(actions: pl.DataFrame) -> pl.DataFrame:
    """Return the possible actions of the last batch for each ticker, date and kind.

    A source sends its whole list each time; the user takes one back by a value that is missing. What the user told
    is apart from what files tell.
    """
    day = ("ticker", "date", "kind", "told")
    newest, value = pl.struct("fetched_at", "batch_id"), pl.col("value")
    marked = actions.with_columns(told=pl.col("source") == USER)
    return (
        marked.filter(newest == newest.sort_by("fetched_at", "batch_id").last().over(day))
        .unique(subset=[*day, "value"], keep="first", maintain_order=True)
        .filter(value.is_finite(), value > 0)
        .drop("told")
    )
