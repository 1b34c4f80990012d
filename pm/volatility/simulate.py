"""Filtered historical simulation: the distribution of the cumulative return at each step of a horizon."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.volatility.base import FloatArray, VolatilityEstimate

__all__ = ["cumulative_quantiles", "cumulative_shocks", "ticker_generator"]


def ticker_generator(seed: int, ticker: str) -> np.random.Generator:
    """Give a generator that depends on the seed and the ticker's name alone.

    The same in every process and whatever else is simulated before it (Python's own hash of a string is neither).
    """
    digest = blake2b(f"{seed}:{ticker}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))


def cumulative_shocks(
    estimate: VolatilityEstimate, *, horizon: int, simulations: int, generator: np.random.Generator
) -> FloatArray:
    """Give simulated cumulative returns about their mean, shape (horizon, simulations); a column is a path.

    Each step draws one of the ticker's own standardised residuals, scales it by the path's volatility, and moves that
    volatility by the model's recursion. Residuals are demeaned and scaled to unit variance first, so that the paths'
    variance is the closed-form one in expectation.

    The draws of a step are a Latin hypercube over the ranked residuals: every residual comes up equally often, in an
    order independent of the other steps. It is sampling with replacement with less noise (McKay, Beckman and Conover
    1979), and the first step's quantiles are nearly exact.

    References
    ----------
    Barone-Adesi, Giannopoulos and Vosper (1999), VaR without correlations for portfolios of derivative securities,
    J. Futures Markets 19.
    """
    residuals = np.sort(estimate.residuals)
    residuals = (residuals - residuals.mean()) / residuals.std()
    strata = np.tile(np.arange(simulations), (horizon, 1))
    position = (generator.permuted(strata, axis=1) + generator.random((horizon, simulations))) / simulations
    draws = residuals[(position * len(residuals)).astype(np.intp).clip(max=len(residuals) - 1)]

    omega = estimate.omega or 0.0
    variance = np.full(simulations, estimate.next_variance)
    shocks = np.empty((horizon, simulations))
    for step in range(horizon):
        shocks[step] = np.sqrt(variance) * draws[step]
        variance = omega + estimate.alpha * shocks[step] ** 2 + estimate.beta * variance
    return np.cumsum(shocks, axis=0)


def cumulative_quantiles(
    estimate: VolatilityEstimate,
    levels: Sequence[float],
    *,
    horizon: int,
    simulations: int,
    generator: np.random.Generator,
) -> FloatArray:
    """Give quantiles of the cumulative return about its mean, shape (horizon, levels).

    All steps share the same paths, so a step's quantiles differ from the last one's by what the step adds, not by
    fresh noise.
    """
    paths = cumulative_shocks(estimate, horizon=horizon, simulations=simulations, generator=generator)
    return np.quantile(paths, levels, axis=1).T
