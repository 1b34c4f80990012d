"""Define the rules that a bar must keep; `quarantine.rule` has their names, docs/quality.md their meanings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import dataframely as dy

__all__ = ["DUPLICATE_RULES", "NUMBERS", "PRICES", "raw_bar_schema", "row_rules"]

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "adj_close", "volume")
"""Columns of a bar that hold numbers."""

DUPLICATE_RULES = ("duplicate", "conflicting_duplicate")
"""Rules about a row and the other rows of its batch; they are checked for the rows that keep those of `row_rules`."""

_FACTOR_LIMIT = 1e9
"""Largest ratio of adjusted close to close, or of close to adjusted close; a larger one is an error of units."""


def row_rules(*, today: date, tolerance: float) -> dict[str, pl.Expr]:
    """Return the rules about a single row: name, and an expression that is true for a row that keeps the rule.

    A rule that compares a missing value is null, and counts as kept.

    Parameters
    ----------
    today
        Last date that a bar can have.
    tolerance
        Relative tolerance by which the high and the low can contradict the other prices.
    """
    close, adj_close = pl.col("close"), pl.col("adj_close")
    has_range = [pl.col(name).is_not_null() for name in ("open", "high", "low")]
    return {
        "missing_ticker": pl.col("ticker").fill_null("") != "",
        "missing_date": pl.col("date").is_not_null(),
        "missing_close": close.is_not_null(),
        "not_finite": pl.all_horizontal(pl.col(name).is_finite() for name in NUMBERS),
        "non_positive_price": pl.all_horizontal(pl.col(name) > 0 for name in PRICES),
        # All three or none: without one of them a bar has no range to estimate volatility from.
        "partial_prices": pl.all_horizontal(has_range) | ~pl.any_horizontal(has_range),
        "high_too_low": pl.col("high") >= pl.max_horizontal("open", "low", "close") * (1 - tolerance),
        "low_too_high": pl.col("low") <= pl.min_horizontal("open", "high", "close") * (1 + tolerance),
        "bad_adj_close": (adj_close > 0) & (adj_close <= close * _FACTOR_LIMIT) & (adj_close * _FACTOR_LIMIT >= close),
        "negative_volume": pl.col("volume") >= 0,
        "future_date": pl.col("date") <= today,
    }


def raw_bar_schema(rules: dict[str, pl.Expr]) -> type[dy.Schema]:
    """Return the dataframely schema of raw.bars with these rules; any value can be missing, NaN or infinite."""
    import dataframely as dy  # takes 0.2 s to import

    kinds: dict[Any, Any] = {
        pl.String: dy.String(nullable=True),
        pl.Date: dy.Date(nullable=True),
        pl.Float64: dy.Float64(nullable=True, allow_inf=True, allow_nan=True),
        pl.Datetime("us"): dy.Datetime(nullable=True, time_unit="us"),
        pl.Int64: dy.Int64(nullable=True),
    }
    columns = {name: kinds[dtype] for name, dtype in RAW_BARS.polars_schema.items()}
    checks = {name: dy.rule()(_as_method(kept)) for name, kept in rules.items()}
    return type("RawBar", (dy.Schema,), columns | checks)


def _as_method(kept: pl.Expr) -> Callable[[type[dy.Schema]], pl.Expr]:
    """Return the expression as a method, which dataframely expects."""
    return lambda _: kept
