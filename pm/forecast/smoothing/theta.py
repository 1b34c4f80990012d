"""The compiled fit of the dynamic optimised theta model.

The model is exponential smoothing plus a part w of the trend line through all values so far:

    μ[t] = l[t−1] + w·((1−α)^(t−1)·A[t−1] + (1 − (1−α)^t)/α·B[t−1]),    l[t] = α·y[t] + (1−α)·l[t−1],    t = 1, 2, …

where A[t] + B[t]·s is the least-squares line through y[1], …, y[t] at the times s = 1, …, t, and w = 1 − 1/θ. The lines
depend on the values only. Given α, the errors y[t] − μ[t] are therefore linear in l[0] and w, whose least squares is
exact, and only α is searched for. The sum of squares is computed for a row of values of α at once, then for a narrower
row between the neighbours of the best one, and so on.

References
----------
Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler (2016), Models for optimising the theta method and their
relationship to state space models, Int. J. Forecasting 32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray

__all__ = [
    "ALPHA",
    "LARGEST_ALPHA",
    "LEVEL",
    "SKIPPED_ERRORS",
    "SMALLEST_ALPHA",
    "SQUARES",
    "WEIGHT",
    "fit_theta",
    "forecast_theta",
]

ALPHA, LEVEL, WEIGHT, SQUARES = range(4)
"""Places of α, l[0], w and the sum of squared errors in an array of parameters."""

SMALLEST_ALPHA, LARGEST_ALPHA = 0.1, 0.99
"""Range of α, as in statsforecast."""

SKIPPED_ERRORS = 3
"""Number of first errors that the sum of squares leaves out, before the trend line has settled; as in statsforecast."""

_FIRST_ROW, _LATER_ROW = 16, 8
"""Numbers of values of α in the first row, and in each of the narrower ones."""

_ROWS = 10
"""Number of rows; the values of the last one are about 1e-6 apart."""


@compiled
def _trend_lines(y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return A and B of the trend line through the values up to each one; the first line is flat."""
    n = len(y)
    intercepts, slopes = np.empty(n), np.empty(n)
    mean, slope = y[0], 0.0
    intercepts[0], slopes[0] = mean, slope
    for t in range(2, n + 1):
        slope = ((t - 2) * slope + 6.0 * (y[t - 1] - mean) / t) / (t + 1)
        mean = ((t - 1) * mean + y[t - 1]) / t
        intercepts[t - 1], slopes[t - 1] = mean - slope * (t + 1) / 2.0, slope
    return intercepts, slopes


@compiled
def _least_squares(
    y: FloatArray, intercepts: FloatArray, slopes: FloatArray, alphas: FloatArray, found: FloatArray
) -> None:
    """Fill the parameters with the smallest sum of squared errors given each α; shape (4, values of α)."""
    count = len(alphas)
    sums = np.zeros((6, count))  # products of errors, and of their derivatives by l[0] and w
    level, power = np.empty(count), np.empty(count)  # l with l[0] = 0, and (1−α)^(t−1)
    for a in range(count):
        level[a], power[a] = alphas[a] * y[0], 1.0 - alphas[a]
    for t in range(1, len(y)):
        counted = 1.0 if t >= SKIPPED_ERRORS else 0.0
        for a in range(count):
            alpha, by_level = alphas[a], power[a]
            later = by_level * (1.0 - alpha)
            line = by_level * intercepts[t - 1] + (1.0 - later) / alpha * slopes[t - 1]
            error = y[t] - level[a]
            sums[0, a] += counted * error * error
            sums[1, a] += counted * error * by_level
            sums[2, a] += counted * error * line
            sums[3, a] += counted * by_level * by_level
            sums[4, a] += counted * by_level * line
            sums[5, a] += counted * line * line
            level[a] = alpha * y[t] + (1.0 - alpha) * level[a]
            power[a] = later
    for a in range(count):
        ee, el, ew, ll, lw, ww = sums[0, a], sums[1, a], sums[2, a], sums[3, a], sums[4, a], sums[5, a]
        # Given w, the best l[0] is (el − w·lw)/ll. With it, the sum is a parabola of w, so that its bounds are simple.
        own = ww - lw * lw / ll
        weight = (ew - lw * el / ll) / own if own > 1e-14 * ww else 0.0
        weight = min(max(weight, 0.0), 1.0)
        start = (el - weight * lw) / ll
        found[ALPHA, a], found[LEVEL, a], found[WEIGHT, a] = alphas[a], start, weight
        found[SQUARES, a] = ee - 2.0 * weight * ew + weight * weight * ww - start * (el - weight * lw)


@compiled
def fit_theta(y: FloatArray) -> FloatArray:
    """Return α, l[0], w and the sum of squared errors, the smallest; shape (4,).

    Parameters
    ----------
    y
        Values, oldest first; at least 5, finite and not all equal. The first should be of the size of a change.
    """
    intercepts, slopes = _trend_lines(y)
    parameters = np.empty(4)
    parameters[SQUARES] = np.inf
    low, high = SMALLEST_ALPHA, LARGEST_ALPHA
    for row in range(_ROWS):
        count = _FIRST_ROW if row == 0 else _LATER_ROW
        alphas, found = np.empty(count), np.empty((4, count))
        for a in range(count):
            alphas[a] = low + (high - low) * a / (count - 1)
        _least_squares(y, intercepts, slopes, alphas, found)
        best = 0
        for a in range(count):
            if found[SQUARES, a] < found[SQUARES, best]:
                best = a
        if found[SQUARES, best] < parameters[SQUARES]:
            for i in range(4):
                parameters[i] = found[i, best]
        low, high = alphas[max(best - 1, 0)], alphas[min(best + 1, count - 1)]
    return parameters


@compiled
def forecast_theta(y: FloatArray, parameters: FloatArray, origins: IntArray, horizon: int) -> FloatArray:
    """Return the means of the values after each origin, shape (origins, horizon).

    Means after the first step are those that follow if the values before are as forecast.

    Parameters
    ----------
    y
        Values, oldest first, in the unit of those that the parameters were fitted to.
    parameters
        From `fit_theta`.
    origins
        Places in y of the values to forecast from, in ascending order.
    horizon
        Number of values to forecast.
    """
    alpha, weight = parameters[ALPHA], parameters[WEIGHT]
    means = np.empty((len(origins), horizon))
    intercepts, slopes = _trend_lines(y)
    level, power, t = parameters[LEVEL], 1.0, 0
    for o in range(len(origins)):
        while t <= origins[o]:
            level = alpha * y[t] + (1.0 - alpha) * level
            power *= 1.0 - alpha
            t += 1
        ahead, ahead_power, slope = level, power, slopes[t - 1]
        mean = intercepts[t - 1] + slope * (t + 1) / 2.0
        for h in range(horizon):
            time = t + h + 1  # of the value that is forecast, from 1
            later = ahead_power * (1.0 - alpha)
            line = ahead_power * (mean - slope * time / 2.0) + (1.0 - later) / alpha * slope
            forecast = ahead + weight * line
            means[o, h] = forecast
            ahead = alpha * forecast + (1.0 - alpha) * ahead
            ahead_power = later
            slope = ((time - 2) * slope + 6.0 * (forecast - mean) / time) / (time + 1)
            mean = ((time - 1) * mean + forecast) / time
    return means
