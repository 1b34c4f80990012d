"""An ensemble's weights, ticker by ticker, with the evidence they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.forecast.base import NAIVE
from pm.forecast.cross_validation import FEWEST_COMPARED, score
from pm.forecast.stacking import combine
from pm.tables.forecast import MODEL_WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pm.forecast.cross_validation import Backtest

__all__ = ["EDGE", "ENSEMBLE", "NO_EDGE", "Ensemble", "combine_models", "model_weights", "weighted_means"]

ENSEMBLE = "ensemble"

EDGE, NO_EDGE = "edge", "no edge"
"""Verdicts on a ticker: whether the ensemble beat the martingale out of sample beyond chance."""

WEIGHTS_SCHEMA = MODEL_WEIGHTS.unstamped_schema


@dataclass(frozen=True)
class Ensemble:
    """A ticker's combination of models, and what it would have done.

    Attributes
    ----------
    weights
        Model → its share.
    edge
        Whether the combination beat naive out of sample beyond chance.
    evidence
        'own' where the weights rest on the ticker's own origins, 'none' where those are too few.
    backtest
        The models', and as the last of them the ensemble's: its means at an origin are by the weights that it would
        have had without that origin.
    """

    weights: dict[str, float]
    edge: bool
    evidence: str
    backtest: Backtest


def combine_models(tests: Mapping[str, Backtest], *, overlap: int) -> dict[str, Ensemble]:
    """Give each ticker's ensemble, by the weights of `stacking.combine`.

    A ticker with fewer origins than FEWEST_COMPARED is left to naive (see `pooling` for what other tickers can tell of
    it).

    Parameters
    ----------
    tests
        From `cross_validation.backtests`.
    overlap
        From `cross_validation.window_overlap`.
    """
    ensembles: dict[str, Ensemble] = {}
    for ticker, backtest in tests.items():
        if len(backtest.origin_dates) < FEWEST_COMPARED:
            joined = backtest.joined_by(ENSEMBLE, backtest.means[0])
            ensembles[ticker] = Ensemble({NAIVE: 1.0}, edge=False, evidence="none", backtest=joined)
            continue
        combination = combine(backtest.products(), overlap=overlap)
        means = np.einsum("ok,kos->os", combination.left_out, backtest.means)
        weights = dict(zip(backtest.models, combination.weights.tolist(), strict=True))
        joined = backtest.joined_by(ENSEMBLE, means)
        ensembles[ticker] = Ensemble(weights, edge=combination.edge, evidence="own", backtest=joined)
    return ensembles


def model_weights(
    tickers: Iterable[str],
    ensembles: Mapping[str, Ensemble],
    reasons: Mapping[str, Mapping[str, str]],
    *,
    overlap: int,
) -> pl.DataFrame:
    """Give a row for every ticker and model, and for the ensemble: its weight and its errors, or why it took no part.

    Parameters
    ----------
    tickers
        Those to give weights for; one without an ensemble is left to naive.
    ensembles
        From `combine_models`; a model that is not in a ticker's backtest took no part there.
    reasons
        Model → ticker → why it took no part; its keys are all the models there are.
    overlap
        From `cross_validation.window_overlap`.

    Returns
    -------
    The columns of table `model_weights` without its stamp, sorted by ticker and model.
    """
    rows: list[dict[str, Any]] = []
    for ticker in sorted(tickers):
        common: dict[str, Any] = {"ticker": ticker, "verdict": NO_EDGE, "evidence": "none", "origins": 0}
        weights = {NAIVE: 1.0}
        scores: dict[str, dict[str, float | int | bool | None]] = {}
        if ticker in ensembles:
            own = ensembles[ticker]
            weights = own.weights
            common |= {
                "origins": len(own.backtest.origin_dates),
                "first_origin": own.backtest.origin_dates[0],
                "last_target": own.backtest.last_target,
                "verdict": EDGE if own.edge else NO_EDGE,
                "evidence": own.evidence,
            }
            scores = score(own.backtest, overlap=overlap)
        for model in sorted([*reasons, ENSEMBLE]):
            row = common | {"model": model}
            if model != ENSEMBLE:
                row |= {"weight": weights.get(model, 0.0), "reason": reasons[model].get(ticker)}
            if model in scores:
                row |= scores[model]
            elif model != ENSEMBLE:
                row |= {"origins": 0, "first_origin": None, "last_target": None}
                if scores and row["reason"] is None:
                    row["reason"] = "left out a step of an origin"
            rows.append(row)
    return pl.DataFrame(rows, schema=WEIGHTS_SCHEMA)


def weighted_means(means: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """Give the ensemble's mean log returns: the models' times their weights, by ticker and step.

    Models are added one after the other, by name: the sum is the same to the last bit whatever other tickers there are.

    Parameters
    ----------
    means
        Columns ticker, model, step, mean_log_return; rows of a model without a weight are passed over.
    weights
        Columns ticker, model, weight.
    """
    members = weights.filter(pl.col("weight").is_not_null()).select("ticker", "model", "weight")
    parts = means.join(members, on=["ticker", "model"]).with_columns(part=pl.col("mean_log_return") * pl.col("weight"))
    total = parts.select("ticker", "step").unique(maintain_order=True).with_columns(mean_log_return=pl.lit(0.0))
    for _, rows in sorted(parts.partition_by("model", as_dict=True).items()):
        total = total.join(
            rows.select("ticker", "step", "part"), on=["ticker", "step"], how="left", maintain_order="left"
        ).select("ticker", "step", pl.col("mean_log_return") + pl.col("part").fill_null(0.0))
    return total.select("ticker", pl.lit(ENSEMBLE).alias("model"), "step", "mean_log_return")
