"""Turn frames into the rows and the mappings that templates show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from polars import selectors

from pm.tables.risk import MODEL_PORTFOLIO, proposed

if TYPE_CHECKING:
    from pm.report.data import ReportData

__all__ = ["Row", "by_ticker", "held_risk", "rows_of", "verdicts_of"]

Row = dict[str, Any]


def rows_of(frame: pl.DataFrame) -> list[Row]:
    """Return the rows of a frame, decimals as floating-point numbers, which are formatted."""
    return frame.with_columns(selectors.decimal().cast(pl.Float64)).to_dicts()


def by_ticker(frame: pl.DataFrame, tickers: list[str], order: str, last: int | None = None) -> dict[str, pl.DataFrame]:
    """Return the rows of each ticker in order, at most `last` of them; none of tickers without rows."""
    kept = frame.filter(pl.col("ticker").is_in(tickers)).sort("ticker", order)
    parts = kept.partition_by("ticker", as_dict=True)
    return {str(key[0]): part.tail(last or part.height) for key, part in parts.items()}


def verdicts_of(data: ReportData) -> dict[str, str]:
    """Return for each ticker whether its models have an edge: column `verdict` of table `model_weights`."""
    return dict(data.weights.select("ticker", "verdict").unique("ticker").iter_rows())


def held_risk(data: ReportData) -> pl.DataFrame:
    """Return the risk of what is held, or of the model portfolio without an account; not of what is proposed."""
    portfolios = [name for name in data.risk["portfolio"].unique() if not _is_proposed(name, data)]
    return data.risk.filter(pl.col("portfolio").is_in(portfolios)).sort("portfolio", "horizon", "level")


def _is_proposed(name: str, data: ReportData) -> bool:
    """Return whether a portfolio is that of the targets of another one: an account's own name can end like it."""
    known = {*(data.books.accounts["account"] if data.books is not None else ()), MODEL_PORTFOLIO}
    return name not in known and any(name == proposed(account) for account in known)
