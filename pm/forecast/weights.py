"""Weights of each ticker's ensemble, and the rows of table `model_weights`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.forecast.base import NAIVE
from pm.forecast.cross_validation import MIN_COMPARED_ORIGINS, score_models
from pm.forecast.stacking import SIGNIFICANCE, combine, largest_relative_loss
from pm.tables.forecast import MODEL_WEIGHTS
from pm.tables.vocabulary import Evidence, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pm.forecast.cross_validation import Backtest, Scores

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
        Whether the ensemble was better than naive out of sample by more than chance, by its `scores`: the p-value of
        the Diebold-Mariano test is below 5%, and the RMSE is small enough; see `largest_relative_loss`.
    evidence
        What the weights are based on: the ticker's own errors, or nothing if there are too few origins.
    backtest
        Backtest of the models and, as the last of them, of the ensemble. The ensemble's forecast at an origin uses the
        weights fitted and shrunk without that origin.
    scores
        Errors of the models and of the ensemble, from `cross_validation.score_models`.
    """

    weights: dict[str, float]
    edge: bool
    evidence: Evidence
    backtest: Backtest
    scores: dict[str, Scores]


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
            combination, means, evidence = None, backtest.means[0], Evidence.NONE
        else:
            combination = combine(backtest.error_products(), overlap=overlap)
            means = np.einsum("ok,kos->os", combination.left_out_weights, backtest.means)
            evidence = Evidence.OWN
        with_ensemble = backtest.with_model(ENSEMBLE, means)
        scores = score_models(with_ensemble, overlap=overlap)
        apart = len(backtest.origin_dates) / overlap
        edge = combination is not None and combination.edge and _is_better(scores[ENSEMBLE], apart)
        weights = {NAIVE: 1.0}
        if combination is not None and edge:
            weights = dict(zip(backtest.models, combination.weights.tolist(), strict=True))
        ensembles[ticker] = Ensemble(weights, edge=edge, evidence=evidence, backtest=with_ensemble, scores=scores)
    return ensembles


def _is_better(scores: Scores, origins: float) -> bool:
    """Return whether a model was better than naive: significantly by its loss, and by more than chance by its RMSE.

    Of many tickers, one in thirty passes the test although nothing can be forecast. Their gains are small: a gain that
    is no larger than those is more probably one of them than real.
    """
    p_value, relative = scores["dm_p_value"], scores["relative_rmse"]
    if p_value is None or relative is None:
        return False
    return p_value < SIGNIFICANCE and relative**2 < largest_relative_loss(origins)


def model_weights(
    tickers: Iterable[str],
    ensembles: Mapping[str, Ensemble],
    reasons: Mapping[str, Mapping[str, str]],
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
        scores: dict[str, Scores] = {}
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
            scores = ensemble.scores
        for model in sorted([*reasons, ENSEMBLE]):
            row = common | {"model": model}
            if model != ENSEMBLE:
                row |= {"weight": weights.get(model, 0.0), "reason": reasons[model].get(ticker)}
            if model in scores:
                row |= scores[model]
            elif model != ENSEMBLE:
                row |= {"origins": 0, "first_origin": None, "last_target": None}
                if row["reason"] is None and scores:
                    row["reason"] = "lacks a forecast of some step from some origin"
                elif row["reason"] is None and model != NAIVE:
                    row["reason"] = "no origin: wrong quotes or splits were known too late"
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
