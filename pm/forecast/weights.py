"""An ensemble's weights, from what its members' errors were out of sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.lake.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["NAIVE", "ensemble_weights", "model_weights"]

NAIVE = "naive"
"""The model that the others are measured against and pulled towards; it takes part wherever there is a price."""

WEIGHTS_SCHEMA = table("model_weights").unstamped_schema

SMALLEST_LOSS = 1e-9
"""Losses below this share of the naive one are taken as equal: they are rounding, not skill."""


def ensemble_weights(losses: Mapping[str, float], *, naive_share: float) -> dict[str, float]:
    """Give each model's share in the ensemble's mean; the shares sum to 1.

    w[m] = (1 − s)·(1/L[m]) / Σ(1/L) + s·[m is naive]. Weights by inverse mean squared error leave the correlation of
    errors out, on purpose: with a handful of windows a covariance matrix is noise, and its inverse worse. Pulling them
    towards the martingale by s lowers the price of being wrong about skill that is not there.

    Parameters
    ----------
    losses
        Model → mean squared out-of-sample error, on windows common to all; 'naive' among them.
    naive_share
        s, from 0 to 1.

    References
    ----------
    Bates and Granger (1969), The combination of forecasts, Operational Research Quarterly 20.
    Stock and Watson (2004), Combination forecasts of output growth in a seven-country data set, J. Forecasting 23
    (inverse-MSE weights and their shrinkage).
    """
    if losses[NAIVE] <= 0:  # the price did not move in any window: nothing was learnt about the others
        return {model: float(model == NAIVE) for model in losses}
    floor = SMALLEST_LOSS * losses[NAIVE]
    inverse = {model: 1.0 / max(loss, floor) for model, loss in losses.items()}
    total = sum(inverse.values())
    return {
        model: (1.0 - naive_share) * value / total + naive_share * (model == NAIVE) for model, value in inverse.items()
    }


def model_weights(
    tickers: Iterable[str],
    scores: pl.DataFrame,
    reasons: Mapping[str, Mapping[str, str]],
    *,
    naive_share: float,
) -> pl.DataFrame:
    """Give a row for every ticker and model: its weight, the errors it rests on, or why it took no part.

    A ticker that could not be cross-validated is left to naive.

    Parameters
    ----------
    tickers
        Those to give weights for.
    scores
        From `cross_validation.score`; a model without a row there took no part.
    reasons
        Model → ticker → why it took no part; its keys are all the models there are.
    naive_share
        See `ensemble_weights`.

    Returns
    -------
    The columns of table `model_weights` without its stamp, sorted by ticker and model.
    """
    found = {(row["ticker"], row["model"]): row for row in scores.iter_rows(named=True)}
    rows = []
    for ticker in sorted(tickers):
        losses = {model: found[ticker, model]["loss"] for model in reasons if (ticker, model) in found}
        weights = ensemble_weights(losses, naive_share=naive_share) if losses else {NAIVE: 1.0}
        for model in sorted(reasons):
            own = found.get((ticker, model), {})
            naive_rmse = found[ticker, NAIVE]["rmse"] if own else 0.0
            rows.append(
                {
                    "ticker": ticker,
                    "model": model,
                    "weight": weights.get(model, 0.0),
                    "rmse": own.get("rmse"),
                    "mae": own.get("mae"),
                    "relative_rmse": own["rmse"] / naive_rmse if naive_rmse else None,
                    "origins": own.get("origins", 0),
                    "first_origin": own.get("first_origin"),
                    "last_target": own.get("last_target"),
                    "reason": reasons[model].get(ticker),
                }
            )
    return pl.DataFrame(rows, schema=WEIGHTS_SCHEMA)
