"""Width of a distribution about a model's mean, relative to the volatility room's distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.forecast.base import NAIVE
from pm.forecast.distribution import SPREADS_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.forecast.cross_validation import Backtest
    from pm.forecast.weights import Ensemble
    from pm.typing import FloatArray

__all__ = ["estimate_spreads"]

PRIOR_ORIGINS = 8.0
"""Weight of a spread of 1 at one session, in origins; at step k it is a k-th of that."""


def estimate_spreads(ensembles: Mapping[str, Ensemble]) -> pl.DataFrame:
    """Return the spread of every model but naive, for the tickers with an edge: columns ticker, model, step, spread.

    The volatility room's distribution assumes that the returns of the horizon's sessions are independent, so that its
    sigma grows with the square root of the step. Where the mean can be forecast they are not independent, and the
    out-of-sample errors measure what remains. The spread is their root mean square in units of that sigma, over origins
    and over the steps from half to twice the given one, because a single step's errors from a dozen origins are too
    noisy. It is multiplied by √(1 + 2/origins), since it is itself an estimate, and may exceed 1. Its square is
    averaged with 1, most of all at the first steps: over one session little can be forecast, and the volatility room
    has corrected its distribution by many more outcomes. A ticker without an edge has no rows.
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
        if model != NAIVE
        for steps in (len(spread),)
    ]
    return pl.concat(frames) if frames else SPREADS_SCHEMA.to_frame()


def _spreads(backtest: Backtest) -> FloatArray:
    """Return the spreads of a ticker's models, shape (models, steps)."""
    by_step = np.square(backtest.scaled_errors()).mean(axis=1)
    steps = np.arange(1, by_step.shape[1] + 1)
    near = (steps >= steps[:, np.newaxis] / 2) & (steps <= 2 * steps[:, np.newaxis])
    smoothed = by_step @ near.T / near.sum(axis=1)
    origins, prior = len(backtest.origin_dates), PRIOR_ORIGINS / steps
    return np.asarray(np.sqrt((origins * smoothed * (1.0 + 2.0 / origins) + prior) / (origins + prior)))
