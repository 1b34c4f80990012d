"""Put a distribution around every mean: the volatility room's, carried from returns to prices."""

from __future__ import annotations

import polars as pl

from pm.lake.tables import QUANTILES, quantile_column

__all__ = ["price_distribution"]


def price_distribution(
    means: pl.DataFrame, volatility: pl.DataFrame, targets: pl.DataFrame, last: pl.DataFrame
) -> pl.DataFrame:
    """Give the rows of table `forecasts`, without their stamp.

    The return from the origin to step k has the mean that the model gives and, about it, the quantiles r_p of the
    ticker's simulated paths; the price's p quantile is origin_close·exp(mean_log_return + r_p). Every model of a
    ticker shares one shape: the models differ in the mean, and volatility is forecast once.

    Parameters
    ----------
    means
        Columns ticker, model, step, mean_log_return.
    volatility
        Columns ticker, step, cumulative_sigma, r05 … r95.
    targets
        Columns ticker, step, target_date.
    last
        Columns ticker, origin_date, origin_close.
    """
    shape = volatility.select("ticker", "step", "cumulative_sigma", *(quantile_column("r", p) for p in QUANTILES))
    price = pl.col("origin_close")
    centre = pl.col("mean_log_return")
    return (
        means.join(last.select("ticker", "origin_date", "origin_close"), on="ticker")
        .join(targets.select("ticker", "step", "target_date"), on=["ticker", "step"])
        .join(shape, on=["ticker", "step"])
        .select(
            "ticker",
            "model",
            "target_date",
            "step",
            "origin_date",
            "origin_close",
            "mean_log_return",
            pl.col("cumulative_sigma").alias("sigma"),
            (price * centre.exp()).alias("mean"),
            *(
                (price * (centre + pl.col(quantile_column("r", p))).exp()).alias(quantile_column("q", p))
                for p in QUANTILES
            ),
        )
        .sort("ticker", "model", "step")
    )
