"""The factor by which a traded price becomes comparable with today's."""

from __future__ import annotations

import polars as pl

__all__ = ["adjustment_factors"]


def adjustment_factors(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Add `adj_factor` to bars: adjusted price = price as traded × adj_factor.

    A ticker whose source sends adjusted closes has adj_close / close; a bar without one takes the factor of the next
    bar that has, else of the previous. Any other ticker has, over the ex-dates after the bar, the product of

    - 1 / ratio for a split of `ratio` new shares for an old one;
    - 1 − dividend / close before the ex-date, for a dividend, both as traded, per share before a split of that day;

    which reinvests each dividend at the close before its ex-date: the total return. Without actions it is 1.

    Parameters
    ----------
    bars
        Good bars, with the columns of raw.bars: all of each ticker, or factors miss what is not here.
    actions
        With the columns of raw.actions; of what several batches say about a day, the latest fetched counts. One that
        cannot be (not positive, not finite, a dividend not below the close before) changes nothing.

    Returns
    -------
    DataFrame
        The bars, sorted by ticker and date, with adj_factor.

    References
    ----------
    The multipliers of the Center for Research in Security Prices (CRSP), by which Yahoo Finance makes its adjusted
    closes too: see its help page "What is the adjusted close?".
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
    """Give each ticker's ex-dates with the product of the factors from that date on: ticker, date, cumulative."""
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
    """Keep what the latest batch says of a ticker, day and kind; a source sends its whole list each time."""
    day = ("ticker", "date", "kind")
    newest = pl.struct("fetched_at", "batch_id")
    return actions.filter(newest == newest.sort_by("fetched_at", "batch_id").last().over(day)).unique(
        subset=[*day, "value"], keep="first", maintain_order=True
    )
