"""Means over the last n sessions that know nothing of what has left the window."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

__all__ = ["window_mean"]


def window_mean(values: pl.Expr, window: int) -> pl.Expr:
    """Give the mean of the last `window` values; null until there are that many, and where one of them is null.

    A running sum adds what enters and subtracts what leaves, so the rounding of one absurd bar outlives it. Here every
    window is summed afresh, always in the same order. (polars' `rolling_std`, `rolling_var` and `rolling_max` keep
    no such residue and serve as they are; the tests hold them to it.) `values` should be a plain column: an
    expression is computed again for each lag.
    """
    return reduce(add, (values.shift(lag) for lag in range(window))) / window
