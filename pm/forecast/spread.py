"""How much of the volatility a model that foretells something leaves about its mean."""

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

__all__ = ["remaining_spread"]


def remaining_spread(ensembles: Mapping[str, Ensemble]) -> pl.DataFrame:
    """Give the spread of every model but naive of the tickers with an edge: columns ticker, model, step, spread.

    The volatility room's distribution is that of a return whose sessions are independent: its sigma grows with the root
    of the step. Where the mean is foretold they are not, and errors out of sample say what is left: the spread is their
    root mean square in units of that sigma, over origins and over the steps from half to twice the one in question, for
    one step of a dozen origins alone is noise. It is widened by √(1 + 2/origins), being itself an estimate, and may be
    above 1. A ticker without an edge has none: there, the volatility room corrects itself by its own past outcomes.
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
    """Give the spreads, shape (models, steps)."""
    steps = np.arange(1, backtest.actual.shape[1] + 1)
    standard = backtest.errors**2 / (steps * backtest.variance[:, np.newaxis])
    by_step = standard.mean(axis=1)
    near = (steps >= steps[:, np.newaxis] / 2) & (steps <= 2 * steps[:, np.newaxis])
    smoothed = by_step @ near.T / near.sum(axis=1)
    return np.asarray(np.sqrt(smoothed * (1.0 + 2.0 / len(backtest.origin_dates))))
