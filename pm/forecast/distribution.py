"""Put a distribution around every mean: the volatility room's, carried from returns to prices."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.tables.quantiles import QUANTILES, quantile_column
from pm.volatility.jumps import unit_changes

if TYPE_CHECKING:
    from pm.forecast.base import Panel

__all__ = [
    "MARTINGALE",
    "SPREADS_SCHEMA",
    "beyond_numbers",
    "martingale_distribution",
    "past_moves",
    "price_distribution",
]

MARTINGALE = "martingale"
"""The random walk of constant volatility: what the distributions are measured against, as naive is for the means."""

SPREADS_SCHEMA = pl.Schema({"ticker": pl.String, "model": pl.String, "step": pl.Int64, "spread": pl.Float64})

_SCORES = [NormalDist().inv_cdf(level) for level in QUANTILES]
_LOWER = [quantile_column("r", level) for level in QUANTILES if level < 0.5]
_SMALLEST, _LARGEST = np.finfo(np.float64).tiny, np.finfo(np.float64).max
_UPPER = [quantile_column("r", level) for level in QUANTILES if level > 0.5]


def past_moves(panel: Panel) -> pl.DataFrame:
    """Give what each ticker's sessions moved by: columns ticker, naive_scale and constant_sigma.

    They are the mean absolute log return of a session, which MASE is counted in, and the returns' root mean square. A
    change of units is no move: see `unit_changes`.
    """
    rows = []
    # By numpy, a ticker at a time: the order of a sum must not depend on who else is in the chunk.
    for (ticker,), bars in panel.bars.partition_by("ticker", as_dict=True, maintain_order=True).items():
        returns = np.diff(bars["log_price"].to_numpy())
        moves = returns[~unit_changes(returns)]
        rows.append((ticker, float(np.mean(np.abs(moves))), float(np.sqrt(np.mean(moves**2)))))
    schema = {"ticker": pl.String, "naive_scale": pl.Float64, "constant_sigma": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def price_distribution(
    means: pl.DataFrame, volatility: pl.DataFrame, targets: pl.DataFrame, last: pl.DataFrame, spreads: pl.DataFrame
) -> pl.DataFrame:
    """Give the rows of table `forecasts`, without their stamp.

    The return from the origin to step k has the mean that the model gives and, about it, the quantiles r_p of the
    ticker's volatility, times the model's spread; the price's p quantile is
    origin_close·exp(mean_log_return + spread·r_p). A model that foretells nothing leaves all of the volatility about
    its mean: spread 1. No interval is narrower than that of the step before.

    Parameters
    ----------
    means
        Columns ticker, model, step, mean_log_return.
    volatility
        Columns ticker, step, cumulative_sigma, regime, r025 … r975.
    targets
        Columns ticker, step, target_date.
    last
        Columns ticker, origin_date, origin_close, naive_scale.
    spreads
        Columns ticker, model, step, spread (see `spread.remaining_spread`); 1 where there is no row.
    """
    shape = volatility.select(
        "ticker", "step", "cumulative_sigma", "regime", *_LOWER, quantile_column("r", 0.5), *_UPPER
    )
    around = (
        means.join(spreads, on=["ticker", "model", "step"], how="left")
        .with_columns(pl.col("spread").fill_null(1.0))
        .join(shape, on=["ticker", "step"])
        .sort("ticker", "model", "step")
        .with_columns(pl.col(quantile_column("r", level)) * pl.col("spread") for level in QUANTILES)
        .with_columns(
            *(pl.col(name).cum_min().over("ticker", "model") for name in _LOWER),
            *(pl.col(name).cum_max().over("ticker", "model") for name in _UPPER),
            sigma=pl.col("cumulative_sigma") * pl.col("spread"),
        )
    )
    return _priced(around, targets, last)


def martingale_distribution(targets: pl.DataFrame, volatility: pl.DataFrame, last: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of the martingale: no return expected, and a normal whose variance grows with the step.

    Parameters
    ----------
    targets
        Columns ticker, step, target_date.
    volatility
        Columns ticker, step, regime.
    last
        Columns ticker, origin_date, origin_close, naive_scale, constant_sigma.
    """
    sigma = pl.col("constant_sigma") * pl.col("step").sqrt()
    around = (
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
            **{quantile_column("r", level): sigma * score for level, score in zip(QUANTILES, _SCORES, strict=True)},
        )
    )
    return _priced(around, targets, last)


def beyond_numbers(forecasts: pl.DataFrame) -> dict[str, str]:
    """Give the tickers with a forecast that is no positive finite price, each with the first such in words.

    A return beyond all measure, such as one bar of 1e300 leaves, can carry a quantile to infinity or to zero, of which
    there is no logarithm to score it by.

    Parameters
    ----------
    forecasts
        Columns ticker, model, step, origin_close, mean and the quantiles.
    """
    prices = ["mean", *(quantile_column("q", level) for level in QUANTILES)]
    lost = forecasts.filter(~pl.all_horizontal(pl.col(prices).is_between(_SMALLEST, _LARGEST))).sort(
        "ticker", "model", "step"
    )
    first = lost.unique("ticker", keep="first", maintain_order=True).select("ticker", "model", "step", "origin_close")
    return {
        ticker: f"by {model}, step {step} from {close:.3g} reaches prices that no number holds"
        for ticker, model, step, close in first.iter_rows()
    }


def _priced(around: pl.DataFrame, targets: pl.DataFrame, last: pl.DataFrame) -> pl.DataFrame:
    """Carry distributions of the log return to prices."""
    price, centre = pl.col("origin_close"), pl.col("mean_log_return")
    return (
        around.join(last.select("ticker", "origin_date", "origin_close", "naive_scale"), on="ticker")
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
