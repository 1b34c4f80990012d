"""An ensemble's weights, from what its members' errors were out of sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ensemble_weights"]

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
    if losses["naive"] <= 0:  # the price did not move in any window: nothing was learnt about the others
        return {model: float(model == "naive") for model in losses}
    floor = SMALLEST_LOSS * losses["naive"]
    inverse = {model: 1.0 / max(loss, floor) for model, loss in losses.items()}
    total = sum(inverse.values())
    return {
        model: (1.0 - naive_share) * value / total + naive_share * (model == "naive")
        for model, value in inverse.items()
    }
