"""How much of the volatility a model that foretells something leaves about its mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.forecast.distribution import SPREADS_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.forecast.cross_validation import Backtest
    from pm.forecast.weights import Ensemble
    from pm.volatility.base import FloatArray

__all__ = ["remaining_spread"]


def remaining_spread(ensembles: Mapping[str, Ensemble]) -> pl.DataFrame:
    """Give the spread of every model of the tickers with an edge: columns ticker, model, step, spread.

    The volatility room's distribution is that of the return about no change. A model whose errors are smaller than
    naive's out of sample leaves less: the ratio of their root mean squares, over origins and over the steps from half
    to twice the one in question, for one step of a dozen origins alone is noise. It is widened by √(1 + 2/origins),
    for what is known of it is itself an estimate, and is 1 at most. A ticker without an edge has none: there, a smaller
    error is chance.
    """
    frames = [
        pl.DataFrame(
            {
                "ticker": [ticker] * steps,
                "model": [model] * steps,
                "step": np.arange(1, steps + 1),
                "spread": spread,
            },
            schema=SPREADS_SCHEMA,
        )
        for ticker, ensemble in sorted(ensembles.items())
        if ensemble.edge
        for model, spread in zip(ensemble.backtest.models, _spreads(ensemble.backtest), strict=True)
        for steps in (len(spread),)
    ]
    return pl.concat(frames) if frames else SPREADS_SCHEMA.to_frame()


def _spreads(backtest: Backtest) -> FloatArray:
    """Give the spreads, shape (models, steps)."""
    steps = np.arange(1, backtest.actual.shape[1] + 1)
    standard = backtest.errors**2 / (steps * backtest.variance[:, np.newaxis])
    by_step = standard.mean(axis=1)
    near = (steps >= steps[:, np.newaxis] / 2) & (steps <= 2 * steps[:, np.newaxis])
    smoothed = by_step @ near.T
    ratio = np.sqrt(smoothed / smoothed[0] * (1.0 + 2.0 / len(backtest.origin_dates)))
    return np.asarray(np.minimum(ratio, 1.0))
