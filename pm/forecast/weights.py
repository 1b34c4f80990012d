"""Weights of each ticker's ensemble, and the rows of table `model_weights`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.forecast.base import NAIVE
from pm.forecast.cross_validation import MIN_COMPARED_ORIGINS, score_models
from pm.forecast.stacking import combine
from pm.tables.forecast import MODEL_WEIGHTS
from pm.tables.vocabulary import Evidence, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pm.forecast.cross_validation import Backtest

__all__ = ["ENSEMBLE", "Ensemble", "combine_models", "model_weights", "weighted_means"]

ENSEMBLE = "ensemble"
"""Name of the weighted combination of the models in the tables."""

WEIGHTS_SCHEMA = MODEL_WEIGHTS.unstamped_schema


@dataclass(frozen=True)
class Ensemble:
    """A ticker's combination of models, and its backtest.

    Attributes
    ----------
    weights
        Model → its weight; they sum to 1.
    edge
        Whether the combination was significantly better than naive out of sample.
    evidence
        What the weights are based on: the ticker's own errors, or nothing if there are too few origins.
    backtest
        Backtest of the models and, as the last of them, of the ensemble. The ensemble's forecast at an origin uses the
        weights fitted without that origin.
    """

    weights: dict[str, float]
    edge: bool
    evidence: Evidence
    backtest: Backtest


def combine_models(tests: Mapping[str, Backtest], *, overlap: int) -> dict[str, Ensemble]:
    """Return the ensemble of each ticker, with the weights of `stacking.combine`.

    In the ensemble of a ticker with fewer than MIN_COMPARED_ORIGINS origins, naive has all the weight; `pooling` can
    later replace these weights by those that the errors of all tickers support.

    Parameters
    ----------
    tests
        Backtest of each ticker, from `cross_validation.backtests`.
    overlap
        Number of consecutive origins whose windows overlap, from `cross_validation.window_overlap`.
    """
    ensembles: dict[str, Ensemble] = {}
    for ticker, backtest in tests.items():
        if len(backtest.origin_dates) < MIN_COMPARED_ORIGINS:
            with_ensemble = backtest.with_model(ENSEMBLE, backtest.means[0])
            ensembles[ticker] = Ensemble({NAIVE: 1.0}, edge=False, evidence=Evidence.NONE, backtest=with_ensemble)
            continue
        combination = combine(backtest.error_products(), overlap=overlap)
        means = np.einsum("ok,kos->os", combination.left_out_weights, backtest.means)
        weights = dict(zip(backtest.models, combination.weights.tolist(), strict=True))
        with_ensemble = backtest.with_model(ENSEMBLE, means)
        ensembles[ticker] = Ensemble(weights, edge=combination.edge, evidence=Evidence.OWN, backtest=with_ensemble)
    return ensembles


def model_weights(
    tickers: Iterable[str],
    ensembles: Mapping[str, Ensemble],
    reasons: Mapping[str, Mapping[str, str]],
    *,
    overlap: int,
) -> pl.DataFrame:
    """Return a row for every ticker and model, and for the ensemble: its weight and errors, or why it was not used.

    Parameters
    ----------
    tickers
        Tickers to return rows for. For a ticker without an ensemble, naive has all the weight.
    ensembles
        Ensembles, from `combine_models`. A model that is not in a ticker's backtest was not used for it.
    reasons
        Model → ticker → why the model was not used. The keys are all models of the settings.
    overlap
        Number of consecutive origins whose windows overlap, from `cross_validation.window_overlap`.

    Returns
    -------
    The columns of table `model_weights` without its stamp, sorted by ticker and model.
    """
    rows: list[dict[str, Any]] = []
    for ticker in sorted(tickers):
        common: dict[str, Any] = {
            "ticker": ticker,
            "verdict": Verdict.NO_EDGE.value,
            "evidence": Evidence.NONE.value,
            "origins": 0,
        }
        weights = {NAIVE: 1.0}
        scores: dict[str, dict[str, float | int | bool | None]] = {}
        if ticker in ensembles:
            ensemble = ensembles[ticker]
            weights = ensemble.weights
            common |= {
                "origins": len(ensemble.backtest.origin_dates),
                "first_origin": ensemble.backtest.origin_dates[0],
                "last_target": ensemble.backtest.last_target,
                "verdict": (Verdict.EDGE if ensemble.edge else Verdict.NO_EDGE).value,
                "evidence": ensemble.evidence.value,
            }
            scores = score_models(ensemble.backtest, overlap=overlap)
        for model in sorted([*reasons, ENSEMBLE]):
            row = common | {"model": model}
            if model != ENSEMBLE:
                row |= {"weight": weights.get(model, 0.0), "reason": reasons[model].get(ticker)}
            if model in scores:
                row |= scores[model]
            elif model != ENSEMBLE:
                row |= {"origins": 0, "first_origin": None, "last_target": None}
                if scores and row["reason"] is None:
                    row["reason"] = "lacks a forecast of some step from some origin"
            rows.append(row)
    return pl.DataFrame(rows, schema=WEIGHTS_SCHEMA)


def weighted_means(means: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Return the ensemble's mean log returns: the weighted sum of the models' by ticker and step.

    Models are added one at a time, in order of their names, so that the rounding of a ticker's sum does not depend on
    the other tickers.

    Parameters
    ----------
    means
        Columns ticker, model, step, mean_log_return. Rows of a model without a weight are ignored.
    weights
        Columns ticker, model, weight.
    """
    weighted = weights.filter(pl.col("weight").is_not_null()).select("ticker", "model", "weight")
    parts = means.join(weighted, on=["ticker", "model"]).with_columns(part=pl.col("mean_log_return") * pl.col("weight"))
    total = parts.select("ticker", "step").unique(maintain_order=True).with_columns(mean_log_return=pl.lit(0.0))
    for _, rows in sorted(parts.partition_by("model", as_dict=True).items()):
        total = total.join(
            rows.select("ticker", "step", "part"), on=["ticker", "step"], how="left", maintain_order="left"
        ).select("ticker", "step", pl.col("mean_log_return") + pl.col("part").fill_null(0.0))
    return total.select("ticker", pl.lit(ENSEMBLE).alias("model"), "step", "mean_log_return")
