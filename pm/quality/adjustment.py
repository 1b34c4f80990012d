"""Compute the factor that adjusts a traded price for later splits and dividends."""

from __future__ import annotations

import polars as pl

__all__ = ["adjustment_factors"]


def adjustment_factors(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Add `adj_factor` to bars: adjusted price = price as traded × adj_factor.

    If the source sends adjusted closes, the factor is adj_close / close; a bar without an adjusted close has the factor
    of the next bar that has one, or else of the previous. Otherwise it is the product, over the ex-dates after the
    bar, of

    - 1 / ratio for a split of `ratio` new shares for an old one;
    - 1 − dividend / close before the ex-date for a dividend, both as traded, per share before a split of that day.

    This is the total return of reinvesting each dividend at the close before its ex-date. Without actions it is 1.

    Parameters
    ----------
    bars
        Good bars, with the columns of raw.bars: all bars of each ticker.
    actions
        Dividends and splits, with the columns of raw.actions. If several batches have a ticker, date and kind, the
        batch fetched last counts. An impossible value (not positive, not finite, a dividend not below the close) is
        ignored.

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
    bars = bars.with_columns(sent)
    if bars["adj_factor"].null_count():
        bars = bars.with_columns(pl.col("adj_factor").backward_fill().forward_fill().over("ticker"))
    if not bars["adj_factor"].null_count():
        return bars
    if actions.is_empty():
        return bars.with_columns(pl.col("adj_factor").fill_null(1.0))
    steps = _steps(bars, actions)
    from_actions = bars.select("ticker", "date").join_asof(
        steps, on="date", by="ticker", strategy="forward", allow_exact_matches=False, check_sortedness=False
    )["cumulative"]
    return bars.with_columns(pl.col("adj_factor").fill_null(from_actions).fill_null(1.0))


def _steps(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Return each ticker's ex-dates with the product of the factors from that date on: ticker, date, cumulative."""
    value, before = pl.col("value"), pl.col("close")
    factor = (
        pl.when(kind="split")
        .then(1 / value)
        .when(pl.col("kind") == "dividend", value < before)
        .then(1 - value / before)
    )
    return (
        _latest(actions)
        .filter(value.is_finite(), value > 0)
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
        .group_by("ticker", "date")
        .agg(pl.col("factor").product())
        .sort("ticker", "date")
        .select("ticker", "date", cumulative=pl.col("factor").cum_prod(reverse=True).over("ticker"))
    )


def _latest(actions: pl.DataFrame) -> pl.DataFrame:
    """Return the actions of the last batch for each ticker, date and kind; a source sends its whole list each time."""
    day = ("ticker", "date", "kind")
    newest = pl.struct("fetched_at", "batch_id")
    return actions.filter(newest == newest.sort_by("fetched_at", "batch_id").last().over(day)).unique(
        subset=[*day, "value"], keep="first", maintain_order=True
    )
