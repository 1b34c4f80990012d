"""Gather what is held, aimed at and ordered, and what it can lose, as the report shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from polars import selectors

if TYPE_CHECKING:
    from pm.report.data import ReportData

__all__ = ["holdings"]

Row = dict[str, Any]


def holdings(data: ReportData, limit: int) -> Row:
    """Return the rows of the report's section on portfolios, at most `limit` of each table, and how many there are.

    Targets that are 0 and stay so are left out. Risk is that of joint scenarios.
    """
    shown = (pl.col("weight").fill_null(0.0) != 0.0) | (pl.col("previous_weight").fill_null(0.0) != 0.0)
    tables = {
        "positions": data.positions.sort(
            "account", pl.col("base_value").abs(), "ticker", descending=[False, True, False]
        ),
        "targets": data.targets.filter(shown).sort(
            "portfolio", pl.col("weight").abs(), "ticker", descending=[False, True, False]
        ),
        "orders": data.orders.sort("account", "side", "ticker", descending=[False, True, False]),
        "risk": data.risk.sort("portfolio", "horizon", "level"),
        "limit_events": data.limit_events.sort("portfolio", "limit_name", "subject"),
    }
    rows: Row = {name: _plain(frame.head(limit)) for name, frame in tables.items()}
    return rows | {
        "accounts": _plain(data.accounts.sort("account")),
        "head": next(iter(data.heads.to_dicts()), None),
        "totals": {name: frame.height for name, frame in tables.items()},
    }


def _plain(frame: pl.DataFrame) -> list[Row]:
    """Return the rows of a frame, decimals as floating-point numbers, which are formatted."""
    return frame.with_columns(selectors.decimal().cast(pl.Float64)).to_dicts()
