"""The families of features put together, ticker by ticker, into the lake's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.features.calendar import calendar_features
from pm.features.drawdown import drawdown_features
from pm.features.oscillators import macd_line, oscillator_features
from pm.features.prices import adjusted_prices, log_prices, session_moves
from pm.features.ranges import range_features, session_variances
from pm.features.returns import return_features
from pm.features.volume import volume_features
from pm.tables.features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["compute_features"]

_STAMPED_BY_THE_RUN = {"run_id", "snapshot_id"}
_SCHEMA = {name: dtype for name, dtype in FEATURES.polars_schema.items() if name not in _STAMPED_BY_THE_RUN}


def compute_features(bars: pl.DataFrame) -> pl.DataFrame:
    """Give every bar's features: one row a bar, with the columns of table `features` but for the run's stamps.

    A ticker's features depend on its own bars up to the same date only, to the last bit: neither later bars, nor
    other tickers, nor the order of the rows change them.

    Parameters
    ----------
    bars
        One row a ticker and date, in any order: ticker, date, open, high, low, close, volume, adj_factor. Prices are
        multiplied by adj_factor before anything else. All but ticker and date may be null.

    Returns
    -------
    pl.DataFrame
        Sorted by ticker and date. A feature is null while its window is not full and where its inputs are
        missing or cannot be (a price of zero, an infinite one); windows hold every bar, the recursive averages
        (RSI, ATR, MACD, ewm_volatility) step over a missing one. No NaN and no infinity comes out.
    """
    features = (
        return_features()
        | range_features()
        | oscillator_features()
        | drawdown_features()
        | volume_features()
        | calendar_features()
    )
    columns = (
        bars.lazy()
        .select(pl.col("ticker").cast(pl.String), pl.col("date").cast(pl.Date), **adjusted_prices())
        .sort("ticker", "date")
        .with_columns(**log_prices())
        .with_columns(**session_variances(), **_by_ticker(session_moves() | {"macd_line": macd_line()}))
        .with_columns(**_by_ticker(features))
        .with_columns(macd_histogram=pl.col("macd") - pl.col("macd_signal"), cutoff=pl.col("date"))
    )
    return columns.select(_stored(name, dtype) for name, dtype in _SCHEMA.items()).collect()


def _by_ticker(expressions: Mapping[str, pl.Expr]) -> dict[str, pl.Expr]:
    return {name: expression.over("ticker") for name, expression in expressions.items()}


def _stored(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    # 0/0 where a price has not moved, roots of negative variances, squares beyond what a double holds.
    return pl.when(column.is_finite()).then(column).alias(name) if dtype == pl.Float64 else column.cast(dtype)
