"""The compiled loops: paths from one origin, the place of what came among those of many, and levels that learn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray

__all__ = ["deal_paths", "levels_of_outcomes", "shares_below", "track_levels"]


@compiled
def deal_paths(
    paths: FloatArray,
    first: int,
    stride: int,
    positions: FloatArray,
    shocks: FloatArray,
    variance: float,
    parameters: FloatArray,
) -> None:
    """Fill every `stride`-th column of `paths` from `first` on with cumulative returns about their mean.

    Parameters
    ----------
    paths
        Filled; shape (horizon, simulations).
    first, stride
        Which columns.
    positions
        Where in the ranked shocks each draw lies, in [0, 1); of the same shape.
    shocks
        Ascending, of mean 0 and variance 1.
    variance
        Of the first step.
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
def levels_of_outcomes(
    returns: FloatArray,
    origins: IntArray,
    variances: FloatArray,
    shocks: FloatArray,
    begins: IntArray,
    parameters: FloatArray,
    positions: FloatArray,
) -> FloatArray:
    """Give the level of each outcome in the distribution forecast for it, shape (origins, horizon); NaN if none came.

    Parameters
    ----------
    returns
        Log returns, oldest first.
    origins
        How many returns were known at each origin.
    variances
        Shape (estimates, returns + 1): under each estimate of the pool, the variance of every return and of the next.
    shocks, begins
        The estimates' shocks, each ascending, end to end, and where each begins; last, the length.
    parameters
        Shape (estimates, 4): ω, α, γ, β.
    positions
        See `deal_paths`; the paths are dealt out in the same way.
    """
    horizon, simulations = positions.shape
    pool = len(variances)
    came, below = np.empty(horizon), np.empty(horizon)
    levels = np.full((len(origins), horizon), math.nan)
    for place in range(len(origins)):
        origin = origins[place]
        steps = min(horizon, len(returns) - origin)
        total = 0.0
        for step in range(steps):
            total += returns[origin + step]
            came[step] = total
            below[step] = 0.5
        for path in range(simulations):
            m = path % pool
            omega, alpha, gamma, beta = parameters[m, 0], parameters[m, 1], parameters[m, 2], parameters[m, 3]
            begin, count = begins[m], begins[m + 1] - begins[m]
            h = variances[m, origin]
            total = 0.0
            for step in range(steps):
                e = math.sqrt(h) * shocks[begin + int(positions[step, path] * count)]
                total += e
                if total < came[step]:
                    below[step] += 1.0
                h = omega + (alpha + (gamma if e < 0.0 else 0.0)) * e * e + beta * h
        for step in range(steps):
            levels[place, step] = below[step] / (simulations + 1.0)
    return levels


@compiled
def shares_below(values: FloatArray, places: IntArray, reach: int, least: int) -> FloatArray:
    """Give for each place the share of the `reach` values before it that are smaller; ½ if fewer than `least` are."""
    shares = np.full(len(places), 0.5)
    for i in range(len(places)):
        place = places[i]
        first = max(0, place - reach)
        if place - first < least:
            continue
        smaller = 0
        for earlier in range(first, place):
            if values[earlier] < values[place]:
                smaller += 1
        shares[i] = smaller / (place - first)
    return shares


@compiled
def track_levels(
    outcomes: FloatArray, regimes: IntArray, targets: FloatArray, learning: FloatArray, lent: float, edge: float
) -> FloatArray:
    """Give the levels learnt from outcomes, shape (3 regimes, steps, targets); see `conformal.adaptive_levels`.

    Parameters
    ----------
    outcomes
        Shape (origins, steps), oldest first; NaN is passed over.
    regimes
        Of each origin.
    targets
        Where the levels begin.
    learning
        η of each step.
    lent
        How far an outcome moves the levels of the regimes that it was not in.
    edge
        Levels stay this far from 0 and 1.
    """
    count, steps = outcomes.shape
    theta = np.empty((3, steps, len(targets)))
    for regime in range(3):
        for step in range(steps):
            for place in range(len(targets)):
                theta[regime, step, place] = targets[place]
    for origin in range(count):
        for step in range(steps):
            level = outcomes[origin, step]
            if not math.isfinite(level):
                continue
            for regime in range(3):
                share = 1.0 if regime == regimes[origin] else lent
                for place in range(len(targets)):
                    below = 1.0 if level <= theta[regime, step, place] else 0.0
                    moved = theta[regime, step, place] + share * learning[step] * (targets[place] - below)
                    theta[regime, step, place] = min(max(moved, edge), 1.0 - edge)
    return theta
