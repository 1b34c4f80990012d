"""Distributions of the forecast price: the volatility room's distribution of the return about each model's mean."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.tables.quantiles import QUANTILES, quantile_column

if TYPE_CHECKING:
    from pm.forecast.base import Panel

__all__ = [
    "MARTINGALE",
    "SPREADS_SCHEMA",
    "TICKS_SCHEMA",
    "at_least_a_tick",
    "martingale_distribution",
    "price_distribution",
    "return_scales",
    "unrepresentable_forecasts",
]

MARTINGALE = "martingale"
"""Name of the random walk with constant volatility: the benchmark of the distributions, as naive is of the means."""

SPREADS_SCHEMA = pl.Schema({"ticker": pl.String, "model": pl.String, "step": pl.Int64, "spread": pl.Float64})
TICKS_SCHEMA = pl.Schema({"ticker": pl.String, "tick": pl.Float64})

_NORMAL_QUANTILES = [NormalDist().inv_cdf(level) for level in QUANTILES]
_LOWER = [quantile_column("r", level) for level in QUANTILES if level < 0.5]
_UPPER = [quantile_column("r", level) for level in QUANTILES if level > 0.5]
_SMALLEST, _LARGEST = np.finfo(np.float64).tiny, np.finfo(np.float64).max


def return_scales(panel: Panel) -> pl.DataFrame:
    """Return the size of each ticker's one-session log returns: columns ticker, naive_scale and constant_sigma.

    `naive_scale` is their mean absolute value, the unit of MASE; `constant_sigma` is their root mean square. In the
    panel, unadjusted splits and wrong quotes are returns of 0.
    """
    rows = []
    # Computed by numpy, one ticker at a time: the order of summation must not depend on the other tickers.
    for (ticker,), bars in panel.bars.partition_by("ticker", as_dict=True, maintain_order=True).items():
        returns = np.diff(bars["log_price"].to_numpy())
        rows.append((ticker, float(np.mean(np.abs(returns))), float(np.sqrt(np.mean(returns**2)))))
    schema = {"ticker": pl.String, "naive_scale": pl.Float64, "constant_sigma": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def price_distribution(
    means: pl.DataFrame, volatility: pl.DataFrame, targets: pl.DataFrame, last: pl.DataFrame, spreads: pl.DataFrame
) -> pl.DataFrame:
    """Return the rows of table `forecasts` of all models and the ensemble, without their stamp.

    The return from the origin to step k is distributed about the model's mean with the quantiles r_p of the ticker's
    volatility times the model's spread; the p quantile of the price is
    origin_close·exp(mean_log_return + spread·r_p). A spread of 1 leaves the volatility room's distribution as it is. No
    interval is narrower than that of the step before, and no quantile is below the smallest price that can be quoted.

    Parameters
    ----------
    means
        Columns ticker, model, step, mean_log_return.
    volatility
        Columns ticker, step, cumulative_sigma, regime, r025 … r975.
    targets
        Columns ticker, step, target_date.
    last
        Columns ticker, origin_date, origin_close, naive_scale, and tick: the smallest price that can be quoted, 0 if
        unknown.
    spreads
        Columns ticker, model, step, spread, from `spread.estimate_spreads`; a missing row means a spread of 1.
    """
    quantiles = volatility.select(
        "ticker", "step", "cumulative_sigma", "regime", *_LOWER, quantile_column("r", 0.5), *_UPPER
    )
    distributions = (
        means.join(spreads, on=["ticker", "model", "step"], how="left")
        .with_columns(pl.col("spread").fill_null(1.0))
        .join(quantiles, on=["ticker", "step"])
        .sort("ticker", "model", "step")
        .with_columns(pl.col(quantile_column("r", level)) * pl.col("spread") for level in QUANTILES)
        .with_columns(
            *(pl.col(name).cum_min().over("ticker", "model") for name in _LOWER),
            *(pl.col(name).cum_max().over("ticker", "model") for name in _UPPER),
            sigma=pl.col("cumulative_sigma") * pl.col("spread"),
        )
    )
    return _as_prices(distributions, targets, last)


def martingale_distribution(targets: pl.DataFrame, volatility: pl.DataFrame, last: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the martingale: an expected return of 0, and normal quantiles with a variance ∝ step.

    Parameters
    ----------
    targets
        Columns ticker, step, target_date.
    volatility
        Columns ticker, step, regime.
    last
        Columns ticker, origin_date, origin_close, naive_scale, tick, constant_sigma.
    """
    sigma = pl.col("constant_sigma") * pl.col("step").sqrt()
    distributions = (
        volatility.select("ticker", "step", "regime")
        .join(last.select("ticker", "constant_sigma"), on="ticker")
        .select(
            "ticker",
            "step",
            "regime",
            model=pl.lit(MARTINGALE),
            mean_log_return=pl.lit(0.0),
            spread=pl.lit(1.0),
            sigma=sigma,
            **{
                quantile_column("r", level): sigma * score
                for level, score in zip(QUANTILES, _NORMAL_QUANTILES, strict=True)
            },
        )
    )
    return _as_prices(distributions, targets, last)


def at_least_a_tick(forecasts: pl.DataFrame, ticks: pl.DataFrame) -> pl.DataFrame:
    """Return forecasts whose quantiles are raised to the smallest price that can be quoted, where they are below it.

    Parameters
    ----------
    forecasts
        Columns ticker and the quantiles of the price.
    ticks
        Columns ticker, tick. A ticker without a row, or with a tick of 0, keeps its quantiles.
    """
    return (
        forecasts.join(ticks.select("ticker", "tick"), on="ticker", how="left", maintain_order="left")
        .with_columns(
            pl.max_horizontal(quantile_column("q", level), "tick").alias(quantile_column("q", level))
            for level in QUANTILES
        )
        .drop("tick")
    )


def unrepresentable_forecasts(forecasts: pl.DataFrame) -> dict[str, str]:
    """Return the tickers with a forecast price that is not a positive finite number: ticker → the first one, in words.

    After an extreme return, as from a bar with a price of 1e300, a quantile can be infinite or zero. It has no finite
    logarithm, by which forecasts are scored.

    Parameters
    ----------
    forecasts
        Columns ticker, model, step, origin_close, mean and the quantiles.
    """
    prices = ["mean", *(quantile_column("q", level) for level in QUANTILES)]
    broken = forecasts.filter(~pl.all_horizontal(pl.col(prices).is_between(_SMALLEST, _LARGEST))).sort(
        "ticker", "model", "step"
    )
    first = broken.unique("ticker", keep="first", maintain_order=True).select("ticker", "model", "step", "origin_close")
    return {
        ticker: f"the forecast of {model} at step {step}, from a close of {close:.3g}, is too large or too small "
        "a price to compute with"
        for ticker, model, step, close in first.iter_rows()
    }


def _as_prices(distributions: pl.DataFrame, targets: pl.DataFrame, last: pl.DataFrame) -> pl.DataFrame:
    """Convert distributions of the log return to distributions of the price."""
    price, centre = pl.col("origin_close"), pl.col("mean_log_return")
    prices = (
        distributions.join(last.select("ticker", "origin_date", "origin_close", "naive_scale"), on="ticker")
        .join(targets.select("ticker", "step", "target_date"), on=["ticker", "step"])
        .select(
            "ticker",
            "model",
            "target_date",
            "step",
            "origin_date",
            "origin_close",
            "mean_log_return",
            "sigma",
            (price * centre.exp()).alias("mean"),
            *(
                (price * (centre + pl.col(quantile_column("r", p))).exp()).alias(quantile_column("q", p))
                for p in QUANTILES
            ),
            "spread",
            "regime",
            "naive_scale",
        )
        .sort("ticker", "model", "step")
    )
    return at_least_a_tick(prices, last)
