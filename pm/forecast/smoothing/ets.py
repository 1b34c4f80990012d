"""The compiled fit of exponential smoothing with additive errors, without a season: no trend, a line, or a damped line.

    y[t] = l[t−1] + φ·b[t−1] + e[t],    l[t] = l[t−1] + φ·b[t−1] + α·e[t],    b[t] = φ·b[t−1] + σ·α·e[t]

The share σ of the trend is β/α. Without a trend, σ, φ and b are 0; a line has φ = 1. The parameters minimise Σ e², and
the trend is chosen by the corrected Akaike criterion, with n·log Σ e² for −2·log-likelihood.

Given α, σ and φ, the errors are linear in l[0] and b[0], whose least squares is exact. The sum of squares is computed
in this way for a grid of α, σ and φ. From the best places of the grid, all five parameters are searched for by
Gauss-Newton steps with damping (Levenberg and Marquardt). The derivatives are exact, by recursions like those of l and
b. A parameter at a bound stays there as long as the sum of squares would fall beyond the bound.

References
----------
Hyndman, Koehler, Ord and Snyder (2008), Forecasting with exponential smoothing: the state space approach, chapters 2
and 5.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.typing import FloatArray, IntArray

__all__ = [
    "ALPHA",
    "CRITERION",
    "DAMPED",
    "FLAT",
    "GROWTH",
    "LEVEL",
    "LINE",
    "PHI",
    "SHARE",
    "fit_ets",
    "fit_trend",
    "forecast_ets",
]

ALPHA, SHARE, PHI, LEVEL, GROWTH, CRITERION = range(6)
"""Places of α, σ, φ, l[0], b[0] and the criterion in an array of parameters."""

FLAT, LINE, DAMPED = range(3)
"""Kinds of trend."""

_LOWEST = np.array([1e-4, 1e-4, 0.8, -np.inf, -np.inf])
_HIGHEST = np.array([0.9999, 1.0, 0.98, np.inf, np.inf])
"""Bounds of the parameters: those of statsforecast, except that β can have any value up to α."""

_GRID_ALPHA = np.array([0.02, 0.1, 0.3, 0.6, 0.9, 0.9999])
_GRID_SHARE = np.array([1e-4, 0.02, 0.1, 0.4])
_GRID_PHI = np.array([0.8, 0.9, 0.98])
"""Grid of α, σ and φ from whose best places the search starts."""

_UNDAMPED, _NONE = np.array([1.0]), np.array([0.0])
"""φ of a line; φ and σ without a trend."""

_STEPS = 100
"""Maximum number of steps of a search."""

_TOLERANCE = 1e-9
"""Expected relative decrease of the sum of squares below which a search ends."""

_FIRST_DAMPING, _SMALLEST_DAMPING, _LARGEST_DAMPING = 1e-3, 1e-9, 1e8
"""Damping of the first step, and its range. With the largest, no step leads lower."""

_DAMPING_FACTOR = 8.0
"""Factor by which the damping rises and falls."""


@compiled
def _linear_squares(y: FloatArray, alpha: float, share: float, phi: float, states: FloatArray) -> float:
    """Return the smallest Σ e² given α, σ and φ, and fill the l[0] and b[0] that have it."""
    beta = alpha * share
    level, growth = 0.0, 0.0
    by_level, growth_by_level = 1.0, 0.0  # derivatives of l and b by l[0]
    by_growth, growth_by_growth = 0.0, 1.0  # and by b[0]
    ee, el, eg, ll, lg, gg = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for t in range(len(y)):
        before = level + phi * growth
        error = y[t] - before
        l_slope = by_level + phi * growth_by_level
        g_slope = by_growth + phi * growth_by_growth
        ee += error * error
        el += error * l_slope
        eg += error * g_slope
        ll += l_slope * l_slope
        lg += l_slope * g_slope
        gg += g_slope * g_slope
        level = before + alpha * error
        growth = phi * growth + beta * error
        by_level, growth_by_level = (1.0 - alpha) * l_slope, phi * growth_by_level - beta * l_slope
        by_growth, growth_by_growth = (1.0 - alpha) * g_slope, phi * growth_by_growth - beta * g_slope
    own = gg - lg * lg / ll
    states[1] = (eg - lg * el / ll) / own if own > 1e-12 * gg else 0.0
    states[0] = (el - states[1] * lg) / ll
    squares: float = ee - states[1] * eg - states[0] * el
    return squares


@compiled
def _squares(y: FloatArray, at: FloatArray) -> float:
    """Return Σ e²."""
    alpha, beta, phi = at[0], at[0] * at[1], at[2]
    level, growth, total = at[3], at[4], 0.0
    for t in range(len(y)):
        before = level + phi * growth
        error = y[t] - before
        total += error * error
        level = before + alpha * error
        growth = phi * growth + beta * error
    return total


@compiled
def _normal_equations(y: FloatArray, at: FloatArray, kind: int, gradient: FloatArray, curvature: FloatArray) -> None:
    """Fill Σ e·∂e and the lower triangle of Σ ∂e·∂e' by the five parameters."""
    alpha, share, phi = at[0], at[1], at[2]
    beta = alpha * share
    trend = 0.0 if kind == FLAT else 1.0
    damped = 1.0 if kind == DAMPED else 0.0
    level, growth = at[3], at[4]
    slopes = np.zeros(5)  # of the forecast, which are those of −e
    levels, growths = np.zeros(5), np.zeros(5)
    levels[LEVEL], growths[GROWTH] = 1.0, trend
    for i in range(5):
        gradient[i] = 0.0
        for j in range(i + 1):
            curvature[i, j] = 0.0
    for t in range(len(y)):
        before = level + phi * growth
        error = y[t] - before
        for i in range(5):
            slopes[i] = levels[i] + phi * growths[i]
        slopes[PHI] += damped * growth
        for i in range(5):
            gradient[i] -= error * slopes[i]
            for j in range(i + 1):
                curvature[i, j] += slopes[i] * slopes[j]
        for i in range(5):
            levels[i] = (1.0 - alpha) * slopes[i]
            growths[i] = phi * growths[i] - beta * slopes[i]
        levels[ALPHA] += error
        growths[ALPHA] += trend * share * error
        growths[SHARE] += trend * alpha * error
        growths[PHI] += damped * growth
        level = before + alpha * error
        growth = phi * growth + beta * error


@compiled
def _step(
    gradient: FloatArray, curvature: FloatArray, free: NDArray[np.bool_], damping: float, step: FloatArray
) -> float:
    """Fill the damped Gauss-Newton step of the free parameters (by Cholesky's method); return the decrease expected."""
    root = np.zeros((5, 5))
    for i in range(5):
        step[i] = 0.0
        if not free[i]:
            root[i, i] = 1.0
            continue
        total = -gradient[i]
        for j in range(i + 1):
            value = curvature[i, j] if free[j] else 0.0
            for m in range(j):
                value -= root[i, m] * root[j, m]
            if j < i:
                root[i, j] = value / root[j, j]
                total -= root[i, j] * step[j]
            else:
                value += damping * curvature[i, i]
                root[i, i] = math.sqrt(max(value, 1e-13 * curvature[i, i] + 1e-300))
        step[i] = total / root[i, i]
    expected = 0.0
    for i in range(5):
        expected += step[i] * step[i]
    for i in range(4, -1, -1):
        for j in range(i + 1, 5):
            step[i] -= root[j, i] * step[j]
        step[i] /= root[i, i]
    return expected


@compiled
def _choose_free(at: FloatArray, kind: int, gradient: FloatArray, free: NDArray[np.bool_]) -> None:
    """Fill whether each parameter is estimated and is not at a bound beyond which Σ e² would fall."""
    for i in range(5):
        free[i] = not (at[i] <= _LOWEST[i] and gradient[i] > 0.0) and not (at[i] >= _HIGHEST[i] and gradient[i] < 0.0)
    if kind != DAMPED:
        free[PHI] = False
    if kind == FLAT:
        free[SHARE] = free[GROWTH] = False


@compiled
def _search(y: FloatArray, kind: int, at: FloatArray) -> float:
    """Minimise Σ e² from some parameters, which are overwritten; return the smallest sum found."""
    gradient, curvature = np.empty(5), np.zeros((5, 5))
    free, step, trial = np.zeros(5, dtype=np.bool_), np.empty(5), np.empty(5)
    total = _squares(y, at)
    damping = _FIRST_DAMPING
    for _ in range(_STEPS):
        _normal_equations(y, at, kind, gradient, curvature)
        _choose_free(at, kind, gradient, free)
        gain = 0.0
        while damping < _LARGEST_DAMPING:
            expected = _step(gradient, curvature, free, damping, step)
            if expected * (1.0 + damping) <= _TOLERANCE * total:
                break
            for i in range(5):
                trial[i] = min(max(at[i] + step[i], _LOWEST[i]), _HIGHEST[i]) if free[i] else at[i]
            gain = total - _squares(y, trial)
            # A gain far from the expected one tells that the damping is too small, or larger than necessary.
            if not gain >= 0.25 * expected:  # NaN too
                damping *= _DAMPING_FACTOR
            elif gain > 0.75 * expected:
                damping = max(damping / _DAMPING_FACTOR, _SMALLEST_DAMPING)
            if gain > 0.0:
                break
        if not gain > 0.0:
            break
        total -= gain
        for i in range(5):
            at[i] = trial[i]
    return total


@compiled
def _search_from_grid(y: FloatArray, kind: int, shares: FloatArray, phis: FloatArray, at: FloatArray) -> float:
    """Search from the best place of a grid; fill the parameters found and return their sum of squared errors."""
    states = np.empty(2)
    best = np.inf
    for alpha in _GRID_ALPHA:
        for share in shares:
            for phi in phis:
                total = _linear_squares(y, alpha, share, phi, states)
                if total < best:
                    best = total
                    at[0], at[1], at[2], at[3], at[4] = alpha, share, phi, states[0], states[1]
    if kind == FLAT:
        at[4] = 0.0
    return _search(y, kind, at)


@compiled
def fit_trend(y: FloatArray, kind: int, parameters: FloatArray) -> float:
    """Fit one kind of trend; fill the parameters and return the sum of squared errors."""
    if kind == FLAT:
        return _search_from_grid(y, kind, _NONE, _NONE, parameters)
    tried = np.empty(5)
    best = np.inf
    for start in range(len(_GRID_PHI) if kind == DAMPED else 2):
        if kind == DAMPED:
            total = _search_from_grid(y, kind, _GRID_SHARE, _GRID_PHI[start : start + 1], tried)
        else:
            shares = _GRID_SHARE[:1] if start == 0 else _GRID_SHARE[1:]
            total = _search_from_grid(y, kind, shares, _UNDAMPED, tried)
        if total < best:
            best = total
            for i in range(5):
                parameters[i] = tried[i]
    return best


@compiled
def fit_ets(y: FloatArray) -> FloatArray:
    """Return α, σ, φ, l[0] and b[0] of the trend that has the smallest corrected Akaike criterion, and that criterion.

    Parameters
    ----------
    y
        Values, oldest first; at least 8, finite and not all equal. The first should be of the size of a change.
    """
    n = len(y)
    parameters, tried = np.empty(6), np.empty(5)
    parameters[CRITERION] = np.inf
    for kind in range(3):
        squares = fit_trend(y, kind, tried)
        count = (3, 5, 6)[kind]  # of parameters, with the variance of e
        criterion = n * math.log(squares) + 2.0 * count + 2.0 * count * (count + 1) / (n - count - 1)
        if criterion < parameters[CRITERION]:
            parameters[CRITERION] = criterion
            for i in range(5):
                parameters[i] = tried[i]
    return parameters


@compiled
def forecast_ets(y: FloatArray, parameters: FloatArray, origins: IntArray, horizon: int) -> FloatArray:
    """Return the means of the values after each origin, shape (origins, horizon).

    Parameters
    ----------
    y
        Values, oldest first, in the unit of those that the parameters were fitted to.
    parameters
        From `fit_ets`.
    origins
        Places in y of the values to forecast from, in ascending order.
    horizon
        Number of values to forecast.
    """
    alpha, beta, phi = parameters[ALPHA], parameters[ALPHA] * parameters[SHARE], parameters[PHI]
    means = np.empty((len(origins), horizon))
    level, growth, t = parameters[LEVEL], parameters[GROWTH], 0
    for o in range(len(origins)):
        while t <= origins[o]:
            before = level + phi * growth
            error = y[t] - before
            level = before + alpha * error
            growth = phi * growth + beta * error
            t += 1
        mean, change = level, growth
        for h in range(horizon):
            change *= phi
            mean += change
            means[o, h] = mean
    return means
