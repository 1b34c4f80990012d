"""Compute all features of each ticker, for table `features`."""

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
    """Compute the features of every bar: one row a bar, with the columns of table `features` except those of the run.

    A ticker's features on a date depend only on its own bars up to that date: later bars, other tickers and the order
    of the rows change no bit of them.

    Parameters
    ----------
    bars
        One row a ticker and date, in any order: ticker, date, open, high, low, close, volume, adj_factor. Prices are
        multiplied by adj_factor first. All columns except ticker and date can be null.

    Returns
    -------
    pl.DataFrame
        Rows sorted by ticker and date. A feature is null while its window is not full, and where an input is missing or
        impossible (a price of zero or infinity). Windows count every bar; the recursive averages (RSI, ATR, MACD,
        ewm_volatility) skip a missing one. There are no NaN and no infinities.
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
    # Not finite are 0/0 of a price that has not moved, roots of negative variances, and squares that overflow.
    return pl.when(column.is_finite()).then(column).alias(name) if dtype == pl.Float64 else column.cast(dtype)
