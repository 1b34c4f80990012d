"""Lend tickers with a short history the evidence of all tickers of a run.

A chunk of tickers is forecast without knowing of the others; this is what is left to do when all chunks are done.
Everything here depends on the tickers of the run, but neither on their order nor on how they were cut into chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.forecast.base import NAIVE
from pm.forecast.cross_validation import FEWEST_COMPARED
from pm.forecast.stacking import combine
from pm.forecast.weights import EDGE, ENSEMBLE, NO_EDGE, weighted_means

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.forecast.cross_validation import Backtest
    from pm.forecast.stacking import Combination
    from pm.typing import FloatArray

__all__ = ["EVIDENCE_SCHEMA", "Pool", "evidence", "pool_evidence", "pooled_weights", "recombine"]

EVIDENCE_SCHEMA = pl.Schema(
    {"ticker": pl.String, "origin_date": pl.Date, "model": pl.String, "other": pl.String, "product": pl.Float64}
)

_ERRORS = (
    *("rmse", "mae", "smape", "mase", "loss", "relative_rmse", "directional_accuracy", "directional_lower"),
    *("directional_upper", "directional_origins", "dm_statistic", "dm_p_value", "mcs_p_value", "in_confidence_set"),
)


@dataclass(frozen=True)
class Pool:
    """What all tickers tell together.

    Attributes
    ----------
    models
        Naive first, then the others by name.
    combination
        Their weights, and the test of them.
    periods
        Stretches of time it rests on.
    """

    models: tuple[str, ...]
    combination: Combination
    periods: int


def evidence(tests: Mapping[str, Backtest]) -> pl.DataFrame:
    """Give the products of errors (see `Backtest.products`) as a frame of EVIDENCE_SCHEMA, each pair of models once."""
    frames = []
    for ticker, backtest in sorted(tests.items()):
        products = backtest.products()
        first, second = np.triu_indices(len(backtest.models))
        names = np.array(backtest.models, dtype=object)
        columns = {
            "ticker": [ticker] * (len(products) * len(first)),
            "origin_date": np.repeat(np.array(backtest.origin_dates, dtype="datetime64[D]"), len(first)),
            "model": list(names[first]) * len(products),
            "other": list(names[second]) * len(products),
            "product": products[:, first, second].ravel(),
        }
        frames.append(pl.DataFrame(columns, schema=EVIDENCE_SCHEMA))
    return pl.concat(frames) if frames else EVIDENCE_SCHEMA.to_frame()


def pool_evidence(evidence: pl.DataFrame, *, overlap: int) -> Pool | None:
    """Give the weights that the models earned over all tickers; None with fewer than FEWEST_COMPARED periods.

    Tickers move together, so that a hundred of them at one time are not a hundred proofs: origins are gathered into
    periods as long as origins usually lie apart, and a period counts once, as the mean over its origins. As windows
    that begin in one period end in the next, neighbouring periods are taken to overlap. A model that took no part on a
    ticker stands there for naive, which gets its weight.

    Parameters
    ----------
    evidence
        From `evidence`, of all tickers; rows in any order.
    overlap
        From `cross_validation.window_overlap`.
    """
    if evidence.is_empty():
        return None
    models = (NAIVE, *sorted({*evidence["model"], *evidence["other"]} - {NAIVE}))
    origins = evidence.select("ticker", "origin_date").unique().sort("ticker", "origin_date")
    gaps = origins.select(pl.col("origin_date").diff().over("ticker").dt.total_days()).to_series().drop_nulls()
    if gaps.is_empty():
        return None
    span = int(np.ceil(np.median(gaps.to_numpy())))
    last = max(origins["origin_date"].to_list())
    periods: dict[int, list[FloatArray]] = {}
    place = {model: index for index, model in enumerate(models)}
    ordered = evidence.sort("ticker", "origin_date", "model", "other")
    for (_, day), rows in ordered.partition_by("ticker", "origin_date", as_dict=True, maintain_order=True).items():
        periods.setdefault((last - day).days // span, []).append(_whole(rows, place))
    if len(periods) < FEWEST_COMPARED:
        return None
    products = np.array([np.mean(periods[back], axis=0) for back in sorted(periods, reverse=True)])
    return Pool(models, combine(products, overlap=overlap + 1), len(periods))


def _whole(rows: pl.DataFrame, place: Mapping[str, int]) -> FloatArray:
    """Give an origin's products as a matrix of all models, with naive's errors for those of a model that is missing."""
    found = np.full((len(place), len(place)), np.nan)
    first = [place[name] for name in rows["model"]]
    second = [place[name] for name in rows["other"]]
    found[first, second] = found[second, first] = rows["product"].to_numpy()
    stand_in = np.where(np.isnan(np.diagonal(found)), 0, np.arange(len(place)))
    return np.asarray(found[np.ix_(stand_in, stand_in)])


def pooled_weights(weights: pl.DataFrame, pool: Pool | None) -> pl.DataFrame:
    """Give table `model_weights` with the pool's weights where a ticker's own evidence was too little.

    There, the weight of a model that took no part goes to naive. If the pool has an edge the ensemble's errors are
    left empty: those that were there are of naive alone.

    Parameters
    ----------
    weights
        Of all tickers, from `weights.model_weights`.
    pool
        From `pool_evidence`.
    """
    if pool is None:
        return weights
    edge = pool.combination.edge
    shares = dict(zip(pool.models, pool.combination.weights.tolist(), strict=True))
    takes = (pl.col("evidence") == "none") & (pl.col("origins") > 0).any().over("ticker")
    member = pl.col("model") != ENSEMBLE
    share = pl.when(pl.col("rmse").is_not_null()).then(pl.col("model").replace_strict(shares, default=0.0)).otherwise(0)
    others = share.filter(member & (pl.col("model") != NAIVE)).sum().over("ticker")
    weight = pl.when(~member).then(None).when(pl.col("model") == NAIVE).then(1.0 - others).otherwise(share)
    emptied = takes & ~member & pl.lit(value=edge)
    return weights.with_columns(
        pl.when(takes).then(weight).otherwise("weight").alias("weight"),
        pl.when(takes).then(pl.lit(EDGE if edge else NO_EDGE)).otherwise("verdict").alias("verdict"),
        pl.when(takes).then(pl.lit("pooled")).otherwise("evidence").alias("evidence"),
        *(pl.when(emptied).then(None).otherwise(pl.col(name)).alias(name) for name in _ERRORS),
    )


def recombine(forecasts: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Give table `forecasts` with the ensemble's mean by other weights, and its prices moved along.

    Parameters
    ----------
    forecasts
        Every model's, and the ensemble's, of some tickers.
    weights
        Columns ticker, model, weight, of the same tickers.
    """
    means = weighted_means(forecasts, weights).select("ticker", "step", mixed="mean_log_return")
    ensemble = pl.col("model") == ENSEMBLE
    prices = [name for name in forecasts.columns if name == "mean" or (name[0] == "q" and name[1:].isdigit())]
    moved = pl.when(ensemble).then((pl.col("mixed") - pl.col("mean_log_return")).exp()).otherwise(1.0)
    return (
        forecasts.join(means, on=["ticker", "step"], how="left", maintain_order="left")
        .with_columns(*(pl.col(name) * moved for name in prices))
        .with_columns(mean_log_return=pl.when(ensemble).then("mixed").otherwise("mean_log_return"))
        .select(forecasts.columns)
    )
