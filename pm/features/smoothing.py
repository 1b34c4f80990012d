"""Exponential averages that start from a plain one, as Wilder's indicators and the MACD do."""

from __future__ import annotations

import polars as pl

__all__ = ["ema", "wilder"]


def ema(values: pl.Expr, window: int, *, skip: int = 0) -> pl.Expr:
    """Give the exponential average with weight α = 2 / (window + 1) for the newest value.

    Parameters
    ----------
    values
        One ticker's values by date.
    window
        Values averaged to start from: the first result stands at the last of them.
    skip
        Values to leave out before the first.
    """
    return _seeded(values, window, alpha=2 / (window + 1), skip=skip)


def wilder(values: pl.Expr, window: int) -> pl.Expr:
    """Give Wilder's average, of weight α = 1 / window for the newest value, started as `ema` is.

    References
    ----------
    J. W. Wilder (1978), New Concepts in Technical Trading Systems, p. 21 (ATR) and p. 65 (RSI).
    """
    return _seeded(values, window, alpha=1 / window, skip=0)


def _seeded(values: pl.Expr, window: int, *, alpha: float, skip: int) -> pl.Expr:
    """Run y_t = y_{t−1} + α (x_t − y_{t−1}) from the plain mean of the first `window` values after `skip`.

    A null is stepped over: it has no result of its own, and the next value carries on from the last.
    """
    rank = values.is_not_null().cum_sum()
    kept = pl.when(rank > skip).then(values)
    seed = kept.cum_sum() / window
    seeded = pl.when(rank == skip + window).then(seed).when(rank > skip + window).then(values)
    return seeded.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True)
