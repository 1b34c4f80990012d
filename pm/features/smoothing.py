"""Compute exponential averages that start with an arithmetic mean, as Wilder's indicators and the MACD do."""

from __future__ import annotations

import polars as pl

__all__ = ["ema", "wilder"]


def ema(values: pl.Expr, window: int, *, skip: int = 0) -> pl.Expr:
    """Return the exponential average with weight α = 2 / (window + 1) of the newest value.

    Parameters
    ----------
    values
        One ticker's values by date.
    window
        Number of values in the arithmetic mean that the average starts with; the first result is at the last of them.
    skip
        Number of values to leave out before the first.
    """
    return _seeded(values, window, alpha=2 / (window + 1), skip=skip)


def wilder(values: pl.Expr, window: int) -> pl.Expr:
    """Return Wilder's average, with weight α = 1 / window of the newest value and the start of `ema`.

    References
    ----------
    J. W. Wilder (1978), New Concepts in Technical Trading Systems, p. 21 (ATR) and p. 65 (RSI).
    """
    return _seeded(values, window, alpha=1 / window, skip=0)


def _seeded(values: pl.Expr, window: int, *, alpha: float, skip: int) -> pl.Expr:
    """Compute y_t = y_{t−1} + α (x_t − y_{t−1}), starting with the mean of the first `window` values after `skip`.

    A null has a null result, and the next value continues from the last one that is not null.
    """
    rank = values.is_not_null().cum_sum()
    kept = pl.when(rank > skip).then(values)
    seed = kept.cum_sum() / window
    seeded = pl.when(rank == skip + window).then(seed).when(rank > skip + window).then(values)
    return seeded.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True)
