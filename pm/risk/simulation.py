"""The compiled loop that simulates the returns of all tickers over the same sessions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray

__all__ = ["fill_joint_paths"]


@compiled
def fill_joint_paths(
    returns: FloatArray, ends: IntArray, draws: IntArray, residuals: FloatArray, dynamics: FloatArray
) -> None:
    """Fill `returns` with simulated log returns of all tickers.

    At each step all tickers of a scenario take their residuals of one date. Each is scaled by the ticker's own
    volatility, whose recursion gives the variance of the next step: h' = ω + (α + γ·1[e < 0])·e² + β·h.

    Parameters
    ----------
    returns
        Filled; shape (ends, scenarios, tickers).
    ends
        Numbers of sessions after which returns are taken, ascending; the last is the number of steps.
    draws
        Place of the date that each step of each scenario takes, shape (steps, scenarios).
    residuals
        Shape (dates, tickers).
    dynamics
        Variance of the first step, ω, α, γ, β; shape (5, tickers).
    """
    steps, scenarios = draws.shape
    count = residuals.shape[1]
    variance = np.empty(count)
    total = np.empty(count)
    for scenario in range(scenarios):
        for place in range(count):
            variance[place] = dynamics[0, place]
            total[place] = 0.0
        end = 0
        for step in range(steps):
            day = draws[step, scenario]
            for place in range(count):
                h = variance[place]
                e = math.sqrt(h) * residuals[day, place]
                total[place] += e
                weight = dynamics[2, place] + (dynamics[3, place] if e < 0.0 else 0.0)
                variance[place] = dynamics[1, place] + weight * e * e + dynamics[4, place] * h
            if step + 1 == ends[end]:
                for place in range(count):
                    returns[end, scenario, place] = total[place]
                end += 1
