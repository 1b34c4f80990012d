"""Centre the distributions of tickers without an edge on no change."""

from __future__ import annotations

import polars as pl

from pm.tables.quantiles import QUANTILES, quantile_column

__all__ = ["centred_quantiles"]


def centred_quantiles() -> list[pl.Expr]:
    """Return the quantiles that a signal reads: those of a forecast of no change are centred on the close.

    The expressions read columns mean_log_return, origin_close and q025 … q975 of table `forecasts`.
    """
    factor = pl.when(pl.col("mean_log_return") == 0.0).then(pl.col("origin_close") / pl.col(quantile_column("q", 0.5)))
    return [pl.col(quantile_column("q", level)) * factor.otherwise(1.0) for level in QUANTILES]
