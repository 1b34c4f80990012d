"""Compute means of a moving window without rounding errors of values that have left it."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

__all__ = ["window_mean"]


def window_mean(values: pl.Expr, window: int) -> pl.Expr:
    """Return the mean of the last `window` values; null if there are fewer, or one of them is null.

    A running sum adds the value that enters and subtracts the value that leaves, so that the rounding error of one
    extreme value stays in it. Here every window is summed anew, in the same order. (The `rolling_std`, `rolling_var`
    and `rolling_max` of polars have no such error, which the tests check.) `values` should be a plain column, because
    an expression is computed again for each lag.
    """
    return reduce(add, (values.shift(lag) for lag in range(window))) / window
