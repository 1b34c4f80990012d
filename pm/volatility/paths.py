"""The compiled loops of simulation and calibration: paths, ranks of volatility, and levels that learn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray

__all__ = ["fill_paths", "track_levels", "trailing_ranks"]


@compiled
def fill_paths(
    paths: FloatArray,
    first: int,
    stride: int,
    positions: FloatArray,
    shocks: FloatArray,
    variance: float,
    parameters: FloatArray,
) -> None:
    """Fill every `stride`-th column of `paths`, from `first` on, with simulated cumulative returns less their mean.

    Parameters
    ----------
    paths
        Filled; shape (horizon, simulations).
    first, stride
        First column to fill, and the distance from one column to the next.
    positions
        Position in [0, 1) of each draw among the ranked shocks; shape (horizon, simulations).
    shocks
        Shocks of mean 0 and variance 1, ascending.
    variance
        Variance of the first step.
    parameters
        ω, α, γ, β.
    """
    omega, alpha, gamma, beta = parameters[0], parameters[1], parameters[2], parameters[3]
    horizon, simulations = positions.shape
    count = len(shocks)
    for path in range(first, simulations, stride):
        h = variance
        total = 0.0
        for step in range(horizon):
            e = math.sqrt(h) * shocks[int(positions[step, path] * count)]
            total += e
            paths[step, path] = total
            h = omega + (alpha + (gamma if e < 0.0 else 0.0)) * e * e + beta * h


@compiled
def trailing_ranks(values: FloatArray, places: IntArray, window: int, min_values: int) -> FloatArray:
    """Return for each place the share of the `window` values before it that are smaller than its own.

    It is ½ where fewer than `min_values` are before it.
    """
    ranks = np.full(len(places), 0.5)
    for i in range(len(places)):
        place = places[i]
        first = max(0, place - window)
        if place - first < min_values:
            continue
        smaller = 0
        for earlier in range(first, place):
            if values[earlier] < values[place]:
                smaller += 1
        ranks[i] = smaller / (place - first)
    return ranks


@compiled
def track_levels(
    outcomes: FloatArray,
    regimes: IntArray,
    regime_count: int,
    targets: FloatArray,
    rates: FloatArray,
    other_weight: float,
    smallest: float,
) -> FloatArray:
    """Return the levels learnt from outcomes, shape (regimes, steps, targets); see `conformal.adaptive_levels`.

    Parameters
    ----------
    outcomes
        Levels of the outcomes, shape (origins, steps), oldest first; NaN is passed over.
    regimes
        Regime of each origin.
    regime_count
        Number of regimes.
    targets
        Nominal levels, from which the levels start.
    rates
        η of each step.
    other_weight
        Weight of an outcome for the regimes that it was not in.
    smallest
        Smallest level; the largest is 1 less this.
    """
    count, steps = outcomes.shape
    theta = np.empty((regime_count, steps, len(targets)))
    for regime in range(regime_count):
        for step in range(steps):
            for place in range(len(targets)):
                theta[regime, step, place] = targets[place]
    for origin in range(count):
        for step in range(steps):
            level = outcomes[origin, step]
            if not math.isfinite(level):
                continue
            for regime in range(regime_count):
                weight = 1.0 if regime == regimes[origin] else other_weight
                for place in range(len(targets)):
                    below = 1.0 if level <= theta[regime, step, place] else 0.0
                    moved = theta[regime, step, place] + weight * rates[step] * (targets[place] - below)
                    theta[regime, step, place] = min(max(moved, smallest), 1.0 - smallest)
    return theta
