"""What a bar must be to be used, rule by rule; the names are what `quarantine.rule` says. See docs/quality.md."""

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

DUPLICATE_RULES = ("duplicate", "conflicting_duplicate")
"""Rules about a row among the others of its batch; asked of rows that keep the ones of `row_rules`."""

_FACTOR_LIMIT = 1e9
"""An adjusted close further than this from the close, either way, is a mistake of units or a placeholder."""


def row_rules(*, today: date, tolerance: float) -> dict[str, pl.Expr]:
    """Give the rules a row keeps or breaks by itself: name, and what is true of a row that keeps it.

    A rule that compares a missing value comes out null, and counts as kept.

    Parameters
    ----------
    today
        The last date a bar may have.
    tolerance
        How far, relative to the price, high and low may contradict the others.
    """
    close, adj_close = pl.col("close"), pl.col("adj_close")
    has_range = [pl.col(name).is_not_null() for name in ("open", "high", "low")]
    return {
        "missing_ticker": pl.col("ticker").fill_null("") != "",
        "missing_date": pl.col("date").is_not_null(),
        "missing_close": close.is_not_null(),
        "not_finite": pl.all_horizontal(pl.col(name).is_finite() for name in NUMBERS),
        "non_positive_price": pl.all_horizontal(pl.col(name) > 0 for name in PRICES),
        # All three or none: half a bar has no range to measure volatility by.
        "partial_prices": pl.all_horizontal(has_range) | ~pl.any_horizontal(has_range),
        "high_too_low": pl.col("high") >= pl.max_horizontal("open", "low", "close") * (1 - tolerance),
        "low_too_high": pl.col("low") <= pl.min_horizontal("open", "high", "close") * (1 + tolerance),
        "bad_adj_close": (adj_close > 0) & (adj_close <= close * _FACTOR_LIMIT) & (adj_close * _FACTOR_LIMIT >= close),
        "negative_volume": pl.col("volume") >= 0,
        "future_date": pl.col("date") <= today,
    }


def raw_bar_schema(rules: dict[str, pl.Expr]) -> type[dy.Schema]:
    """Give the dataframely schema of raw.bars with these rules, every value allowed to be missing or absurd."""
    import dataframely as dy  # takes 0.2 s to import

    kinds: dict[Any, Any] = {
        pl.String: dy.String(nullable=True),
        pl.Date: dy.Date(nullable=True),
        pl.Float64: dy.Float64(nullable=True, allow_inf=True, allow_nan=True),
        pl.Datetime("us"): dy.Datetime(nullable=True, time_unit="us"),
        pl.Int64: dy.Int64(nullable=True),
    }
    columns = {name: kinds[dtype] for name, dtype in RAW_BARS.polars_schema.items()}
    checks = {name: dy.rule()(_always(kept)) for name, kept in rules.items()}
    return type("RawBar", (dy.Schema,), columns | checks)


def _always(kept: pl.Expr) -> Callable[[type[dy.Schema]], pl.Expr]:
    """Give an expression as the method that dataframely wants."""
    return lambda _: kept
