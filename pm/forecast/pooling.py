"""Weights for tickers with a short history, from the errors of all tickers of a run.

Chunks of tickers are forecast independently of one another. The functions here run when all chunks are done. Their
results depend on the tickers of the run, but neither on the tickers' order nor on how they were divided into chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.forecast.base import NAIVE
from pm.forecast.cross_validation import MIN_COMPARED_ORIGINS
from pm.forecast.stacking import combine, largest_relative_loss
from pm.forecast.weights import ENSEMBLE, weighted_means
from pm.tables.vocabulary import Evidence, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.forecast.cross_validation import Backtest
    from pm.forecast.stacking import Combination
    from pm.typing import FloatArray

__all__ = [
    "ERROR_COLUMNS",
    "ERROR_PRODUCTS_SCHEMA",
    "PooledCombination",
    "combine_pooled",
    "error_products_frame",
    "reweight_ensemble",
    "with_pooled_weights",
]

ERROR_PRODUCTS_SCHEMA = pl.Schema(
    {"ticker": pl.String, "origin_date": pl.Date, "model": pl.String, "other": pl.String, "product": pl.Float64}
)
"""Columns of `error_products_frame`: the mean product of two models' scaled errors at an origin of a ticker."""

ERROR_COLUMNS = (
    *("rmse", "mae", "smape", "mase", "loss", "relative_rmse", "directional_accuracy", "directional_lower"),
    *("directional_upper", "directional_origins", "dm_statistic", "dm_p_value", "mcs_p_value", "in_confidence_set"),
)
"""Columns of table `model_weights` that are about a ticker's own errors."""


@dataclass(frozen=True)
class PooledCombination:
    """Weights estimated from the errors of all tickers.

    Attributes
    ----------
    models
        Names of the models: naive first, then the others by name.
    combination
        Weights of the models, and the test of them.
    periods
        Number of periods that the weights are estimated from.
    relative_loss
        Mean loss of the combination, at each period with the weights fitted without it, divided by that of naive.
    """

    models: tuple[str, ...]
    combination: Combination
    periods: int
    relative_loss: float

    @property
    def edge(self) -> bool:
        """Whether the combination was better than naive by more than chance."""
        return self.combination.edge and self.relative_loss < largest_relative_loss(self.periods)


def error_products_frame(tests: Mapping[str, Backtest]) -> pl.DataFrame:
    """Return the `Backtest.error_products` of all tickers as rows of ERROR_PRODUCTS_SCHEMA, one a pair of models."""
    frames = []
    for ticker, backtest in sorted(tests.items()):
        products = backtest.error_products()
        first, second = np.triu_indices(len(backtest.models))
        names = np.array(backtest.models, dtype=object)
        columns = {
            "ticker": [ticker] * (len(products) * len(first)),
            "origin_date": np.repeat(np.array(backtest.origin_dates, dtype="datetime64[D]"), len(first)),
            "model": list(names[first]) * len(products),
            "other": list(names[second]) * len(products),
            "product": products[:, first, second].ravel(),
        }
        frames.append(pl.DataFrame(columns, schema=ERROR_PRODUCTS_SCHEMA))
    return pl.concat(frames) if frames else ERROR_PRODUCTS_SCHEMA.to_frame()


def combine_pooled(products: pl.DataFrame, *, overlap: int) -> PooledCombination | None:
    """Return weights from the errors of all tickers, or None with fewer than MIN_COMPARED_ORIGINS periods.

    Tickers move together, so that the errors of a hundred tickers at one time are not a hundred independent
    observations. Origins are therefore grouped into periods as long as the usual distance of two origins, and a period
    counts as one observation, the mean over its origins. Windows that begin in one period end in the next, so that
    adjacent periods are treated as overlapping. For a ticker that a model was not used for, naive's errors take the
    place of the model's.

    Parameters
    ----------
    products
        Error products of all tickers, from `error_products_frame`; rows in any order.
    overlap
        Number of consecutive origins whose windows overlap, from `cross_validation.window_overlap`.
    """
    if products.is_empty():
        return None
    models = (NAIVE, *sorted({*products["model"], *products["other"]} - {NAIVE}))
    origins = products.select("ticker", "origin_date").unique().sort("ticker", "origin_date")
    distances = origins.select(pl.col("origin_date").diff().over("ticker").dt.total_days()).to_series().drop_nulls()
    if distances.is_empty():
        return None
    period_days = int(np.ceil(np.median(distances.to_numpy())))
    last = max(origins["origin_date"].to_list())
    ordered = products.sort("ticker", "origin_date", "model", "other")
    dates = ordered.select("ticker", "origin_date").unique(maintain_order=True)["origin_date"]
    ages = (pl.Series([last]) - dates).dt.total_days().to_numpy() // period_days
    periods = np.unique(ages)[::-1]  # oldest first
    if len(periods) < MIN_COMPARED_ORIGINS:
        return None
    matrices = _product_matrices(ordered, models)
    means = np.array([matrices[ages == age].mean(axis=0) for age in periods])
    combination = combine(means, overlap=overlap + 1)
    left_out = combination.left_out_weights
    losses = np.einsum("ok,okl,ol->o", left_out, means, left_out)
    naive = float(means[:, 0, 0].mean())
    relative = float(losses.mean()) / naive if naive > 0 else float("nan")
    return PooledCombination(models, combination, len(periods), relative)


def _product_matrices(ordered: pl.DataFrame, models: tuple[str, ...]) -> FloatArray:
    """Return each origin's error products as a matrix of all models, with naive's errors in place of missing models'.

    Parameters
    ----------
    ordered
        Error products, sorted by ticker and origin.
    models
        All models, naive first.

    Returns
    -------
    Shape (origins of all tickers, models, models).
    """
    places = pl.col("model", "other").replace_strict(list(models), list(range(len(models))), return_dtype=pl.Int64)
    rows = ordered.select(pl.struct("ticker", "origin_date").rle_id().alias("origin"), places, "product")
    origin, first, second, product = (rows[name].to_numpy() for name in rows.columns)
    found = np.full((origin[-1] + 1, len(models), len(models)), np.nan)
    found[origin, first, second] = found[origin, second, first] = product
    source = np.where(np.isnan(np.diagonal(found, axis1=1, axis2=2)), 0, np.arange(len(models)))
    return np.asarray(found[np.arange(len(found))[:, None, None], source[:, :, None], source[:, None, :]])


def with_pooled_weights(weights: pl.DataFrame, pooled: PooledCombination | None) -> pl.DataFrame:
    """Return table `model_weights` with the pooled weights for the tickers that have too few origins of their own.

    The weight of a model that was not used for a ticker goes to naive. If the pooled combination has an edge, the
    ensemble's error columns of such a ticker are set to null, because they belong to naive alone.

    Parameters
    ----------
    weights
        Rows of all tickers, from `weights.model_weights`.
    pooled
        From `combine_pooled`.
    """
    if pooled is None:
        return weights
    edge = pooled.edge
    own = pooled.combination.weights.tolist() if edge else [1.0, *[0.0] * (len(pooled.models) - 1)]
    shares = dict(zip(pooled.models, own, strict=True))
    replaced = (pl.col("evidence") == Evidence.NONE.value) & (pl.col("origins") > 0).any().over("ticker")
    is_model = pl.col("model") != ENSEMBLE
    share = pl.when(pl.col("rmse").is_not_null()).then(pl.col("model").replace_strict(shares, default=0.0)).otherwise(0)
    others = share.filter(is_model & (pl.col("model") != NAIVE)).sum().over("ticker")
    weight = pl.when(~is_model).then(None).when(pl.col("model") == NAIVE).then(1.0 - others).otherwise(share)
    cleared = replaced & ~is_model & pl.lit(value=edge)
    verdict = pl.lit((Verdict.EDGE if edge else Verdict.NO_EDGE).value)
    return weights.with_columns(
        pl.when(replaced).then(weight).otherwise("weight").alias("weight"),
        pl.when(replaced).then(verdict).otherwise("verdict").alias("verdict"),
        pl.when(replaced).then(pl.lit(Evidence.POOLED.value)).otherwise("evidence").alias("evidence"),
        *(pl.when(cleared).then(None).otherwise(pl.col(name)).alias(name) for name in ERROR_COLUMNS),
    )


def reweight_ensemble(forecasts: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Return table `forecasts` with the ensemble's mean recomputed with other weights, and its quantiles shifted along.

    Parameters
    ----------
    forecasts
        Forecasts of some tickers by all models and the ensemble.
    weights
        Columns ticker, model, weight, of the same tickers.
    """
    means = weighted_means(forecasts, weights).select("ticker", "step", new_mean="mean_log_return")
    ensemble = pl.col("model") == ENSEMBLE
    prices = [name for name in forecasts.columns if name == "mean" or (name[0] == "q" and name[1:].isdigit())]
    factor = pl.when(ensemble).then((pl.col("new_mean") - pl.col("mean_log_return")).exp()).otherwise(1.0)
    return (
        forecasts.join(means, on=["ticker", "step"], how="left", maintain_order="left")
        .with_columns(*(pl.col(name) * factor for name in prices))
        .with_columns(mean_log_return=pl.when(ensemble).then("new_mean").otherwise("mean_log_return"))
        .select(forecasts.columns)
    )
