"""An ensemble's weights, ticker by ticker, with the evidence they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.forecast.base import NAIVE
from pm.forecast.cross_validation import FEWEST_COMPARED, score
from pm.forecast.stacking import combine
from pm.lake.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pm.forecast.cross_validation import Backtest

__all__ = ["EDGE", "ENSEMBLE", "NO_EDGE", "model_weights"]

ENSEMBLE = "ensemble"

EDGE, NO_EDGE = "edge", "no edge"
"""Verdicts on a ticker: whether the ensemble beat the martingale out of sample beyond chance."""

WEIGHTS_SCHEMA = table("model_weights").unstamped_schema


def model_weights(
    tickers: Iterable[str],
    tests: Mapping[str, Backtest],
    reasons: Mapping[str, Mapping[str, str]],
    *,
    overlap: int,
) -> pl.DataFrame:
    """Give a row for every ticker and model, and for the ensemble: its weight and its errors, or why it took no part.

    Weights are those of `stacking.combine`. A ticker with fewer origins than FEWEST_COMPARED is left to naive, and its
    evidence is 'none' (see `pooling` for what other tickers can tell of it). The ensemble's errors are those of the
    weights that each origin would have had without it.

    Parameters
    ----------
    tickers
        Those to give weights for.
    tests
        From `cross_validation.backtests`; a model that is not in a ticker's took no part there.
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
        if ticker in tests:
            backtest = tests[ticker]
            common |= {
                "origins": len(backtest.origin_dates),
                "first_origin": backtest.origin_dates[0],
                "last_target": backtest.last_target,
            }
            means = backtest.means[0]
            if len(backtest.origin_dates) >= FEWEST_COMPARED:
                combination = combine(backtest.products(), overlap=overlap)
                weights = dict(zip(backtest.models, combination.weights.tolist(), strict=True))
                means = np.einsum("ok,kos->os", combination.left_out, backtest.means)
                common |= {"verdict": EDGE if combination.edge else NO_EDGE, "evidence": "own"}
            scores = score(backtest.joined_by(ENSEMBLE, means), overlap=overlap)
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
