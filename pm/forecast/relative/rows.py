"""The model of relative returns as rows of tables: its fit and test, and its part in forecasts and weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from pm.forecast.base import NAIVE
from pm.forecast.pooling import ERROR_COLUMNS, reweight_ensemble
from pm.forecast.relative.cross_section import REGRESSORS
from pm.forecast.weights import ENSEMBLE
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.relative import RELATIVE_FITS, RELATIVE_TESTS
from pm.tables.vocabulary import Evidence, Verdict

if TYPE_CHECKING:
    from pm.forecast.relative.model import RelativeModel

__all__ = ["RELATIVE", "relative_fits_frame", "relative_tests_frame", "with_relative"]

RELATIVE = "relative"
"""Name of the model in the tables."""


def relative_fits_frame(model: RelativeModel) -> pl.DataFrame:
    """Return the rows of table `relative_fits` without their stamp; none if no regression was fitted."""
    rows = [
        {
            "feature": feature,
            "coefficient": _finite(model.coefficients[place]),
            "importance": _finite(model.importance[place]),
            "slope": _finite(model.feature_slopes[place].mean),
            "slope_t": _finite(model.feature_slopes[place].t),
            "equal_to": model.equal_to[place],
            "sections": model.sections,
        }
        for place, feature in enumerate(REGRESSORS[: len(model.coefficients)])
    ]
    return pl.DataFrame(rows, schema=RELATIVE_FITS.unstamped_schema)


def relative_tests_frame(model: RelativeModel) -> pl.DataFrame:
    """Return the row of table `relative_tests` without its stamp."""
    row = {
        "status": model.status.value,
        "tickers": len(model.tickers),
        "dates": len(model.dates),
        "first_date": model.dates[0] if model.dates else None,
        "last_target": model.last_target,
        "rank_correlation": _finite(model.rank_correlation.mean),
        "rank_correlation_t": _finite(model.rank_correlation.t),
        "slope": _finite(model.slope.mean),
        "slope_t": _finite(model.slope.t),
        "relative_loss": _finite(model.relative_loss),
        "dm_statistic": _finite(model.test.statistic),
        "dm_p_value": _finite(model.test.p_value),
        "weight": model.weight,
        "reason": model.reason,
    }
    return pl.DataFrame([row], schema=RELATIVE_TESTS.unstamped_schema)


def with_relative(
    forecasts: pl.DataFrame, weights: pl.DataFrame, model: RelativeModel, *, horizon: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return tables `forecasts` and `model_weights` with the model, and with its weight in the ensembles.

    Its forecast is naive's distribution, moved by the part of the relative return that belongs to each step. An
    ensemble gives it weight where the model has some, and the ticker has no edge of its own; the errors of its row are
    then null, as for other evidence that is not the ticker's own.

    Parameters
    ----------
    forecasts, weights
        Rows of all tickers, sorted by ticker, model and step or by ticker and model.
    model
        The model.
    horizon
        Number of sessions that its returns are over.
    """
    if not len(model.means):
        return forecasts, weights
    moves = pl.DataFrame({"ticker": model.tickers, "move": model.means})
    prices = ["mean", *(quantile_column("q", level) for level in QUANTILES)]
    own = (
        forecasts.filter(pl.col("model") == NAIVE)
        .join(moves, on="ticker", maintain_order="left")
        .with_columns(mean_log_return=pl.col("move") * pl.col("step") / horizon, model=pl.lit(RELATIVE))
        .with_columns(pl.col(name) * pl.col("mean_log_return").exp() for name in prices)
        .select(forecasts.columns)
    )
    has_weight = model.weight > 0
    forecast = own["ticker"].unique()
    replaced = pl.col("ticker").is_in(forecast.implode()) & (pl.col("verdict") == Verdict.NO_EDGE.value)
    is_ensemble, is_naive = pl.col("model") == ENSEMBLE, pl.col("model") == NAIVE
    stated = {
        "model": pl.lit(RELATIVE),
        "weight": pl.lit(0.0),
        "origins": pl.lit(0, pl.Int64),
        "reason": pl.lit(None if has_weight else model.reason, pl.String),
    }
    kept = {"ticker", "verdict", "evidence"}
    rows = weights.filter(is_naive, pl.col("ticker").is_in(forecast.implode())).select(
        pl.col(name) if name in kept else stated.get(name, pl.lit(None, dtype)).alias(name)
        for name, dtype in weights.schema.items()
    )
    weights = pl.concat([weights, rows]).sort("ticker", "model")
    forecasts = pl.concat([forecasts, own]).sort("ticker", "model", "step")
    if not has_weight:
        return forecasts, weights
    share = pl.when(is_naive).then(1.0 - model.weight).when(pl.col("model") == RELATIVE).then(model.weight)
    weights = weights.with_columns(
        pl.when(replaced & ~is_ensemble).then(share.otherwise(0.0)).otherwise("weight").alias("weight"),
        pl.when(replaced).then(pl.lit(Verdict.EDGE.value)).otherwise("verdict").alias("verdict"),
        pl.when(replaced).then(pl.lit(Evidence.RELATIVE.value)).otherwise("evidence").alias("evidence"),
        *(pl.when(replaced & is_ensemble).then(None).otherwise(pl.col(name)).alias(name) for name in ERROR_COLUMNS),
    )
    changed = pl.col("ticker").is_in(
        weights.filter(pl.col("evidence") == Evidence.RELATIVE.value)["ticker"].unique().implode()
    )
    reweighted = reweight_ensemble(forecasts.filter(changed), weights.filter(changed))
    return pl.concat([forecasts.filter(~changed), reweighted]).sort("ticker", "model", "step"), weights


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
