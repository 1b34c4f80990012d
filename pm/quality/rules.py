"""Define the rules that a bar must keep; `quarantine.rule` has their names, docs/quality.md their meanings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import dataframely as dy

__all__ = [
    "DUPLICATE_RULES",
    "EARLIER_VOLUME",
    "NUMBERS",
    "PRICES",
    "RANGE",
    "lacks_range",
    "raw_bar_schema",
    "row_rules",
]

RANGE = ("open", "high", "low")
PRICES = (*RANGE, "close")
NUMBERS = (*PRICES, "adj_close", "volume")
"""Columns of a bar that hold numbers."""

EARLIER_VOLUME = "earlier_volume"
"""Rule that refuses a row that the batch repeats with equal prices and a later volume."""

DUPLICATE_RULES = ("duplicate", EARLIER_VOLUME, "conflicting_duplicate")
"""Rules about a row and the other rows of its batch; they are checked for the rows that keep those of `row_rules`."""

_FACTOR_LIMIT = 1e9
"""Largest ratio of adjusted close to close, or of close to adjusted close; a larger one is an error of units."""


_NEAR = 0.1
"""Largest distance of a close from the other prices of its bar, as a fraction of these, at which it is used though the
high and the low contradict it: a settlement price can lie outside the range of the day's trades."""


def lacks_range(tolerance: float) -> pl.Expr:
    """Return whether open, high and low of a row are sent and cannot be used.

    One or two of them are missing, one is zero, which is how many vendors write a missing price, or the high or the low
    contradicts the other prices by more than the relative tolerance.
    """
    is_sent = pl.any_horizontal(pl.col(name).is_not_null() for name in RANGE)
    is_whole = pl.all_horizontal(_known(name).is_not_null() for name in RANGE)
    contradicts = ~(_high_is_highest(tolerance) & _low_is_lowest(tolerance)).fill_null(value=True)
    return contradicts | (is_sent & ~is_whole)


def _known(name: str) -> pl.Expr:
    """Return a price, null if it is zero."""
    return pl.when(pl.col(name) != 0).then(pl.col(name))


def _high_is_highest(tolerance: float) -> pl.Expr:
    return _known("high") >= pl.max_horizontal("open", "low", "close") * (1 - tolerance)


def _low_is_lowest(tolerance: float) -> pl.Expr:
    return _known("low") <= pl.min_horizontal(_known("open"), _known("high"), "close") * (1 + tolerance)


def _close_is_near() -> pl.Expr:
    known = [_known(name) for name in RANGE]
    return pl.col("close").is_between(pl.min_horizontal(known) * (1 - _NEAR), pl.max_horizontal(known) * (1 + _NEAR))


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
    return {
        "missing_ticker": pl.col("ticker").fill_null("") != "",
        "missing_date": pl.col("date").is_not_null(),
        "missing_close": close.is_not_null(),
        "not_finite": pl.all_horizontal(pl.col(name).is_finite() for name in NUMBERS),
        # Many vendors write a missing open, high or low as zero.
        "non_positive_price": (close > 0) & pl.all_horizontal(pl.col(name) >= 0 for name in RANGE),
        "high_too_low": _high_is_highest(tolerance) | _close_is_near(),
        "low_too_high": _low_is_lowest(tolerance) | _close_is_near(),
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
