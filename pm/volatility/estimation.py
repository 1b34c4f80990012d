"""The compiled estimation of GARCH parameters: starting points, the fit of every series of a batch, standard errors.

All series lie end to end in one array, with the place where each begins, so that they may differ in length. Every
series is fitted on its own, in units of its own standard deviation, and has a status instead of an exception.

The likelihood can have one local maximum among persistent and one among non-persistent parameters, so that a search
starts in each of the two regions (see `_STARTS`). Near a bound the likelihood is nearly flat in the free parameters: a
search that ends at a bound is moved off it and repeated, as long as that leads higher.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled
from pm.volatility.likelihood import backcast, estimated_parameters, log_likelihood, to_free_parameters
from pm.volatility.matrices import copy_lower_triangle, invert, symmetrise
from pm.volatility.maximiser import DISTINCT, copy_vector, maximise, move_off_bounds

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray

__all__ = ["CONSTANT", "CONVERGED", "NOT_CONVERGED", "NOT_FINITE", "TOO_SHORT", "fit_batch", "robust_errors"]

CONVERGED, NOT_CONVERGED, NOT_FINITE, TOO_SHORT, CONSTANT = range(5)
"""Statuses of a fit."""

_MIN_RETURNS = 10
"""Minimum number of returns of a series."""

_STARTS = np.array(
    [
        [0.05, 0.93],
        [0.10, 0.88],
        [0.02, 0.975],
        [0.01, 0.97],
        [0.20, 0.70],
        [0.10, 0.60],
        [0.05, 0.25],
        [0.30, 0.20],
    ]
)
"""Starting points (α, β): first the persistent region, then the non-persistent one. The search of a region starts from
its likeliest point; a region whose likeliest point is far below the other's is not searched."""
_PERSISTENT = 4
"""Number of starting points in the persistent region."""
_FAR, _FAR_WITH_LEVERAGE = 12.0, 25.0
"""Log-likelihood by which a starting point can be below the best one and still lead to the highest maximum."""

_RESTARTS = 5
"""Maximum number of searches in a region, each but the first from parameters moved off their bounds."""

_START_LEVERAGE = 0.6
"""Leverage of the asymmetric starting points: see `_fill_start`."""
_START_NU = 8.0
"""Degrees of freedom of the starting points."""


@compiled
def _standardised(returns: FloatArray, mean: float, scale: float) -> FloatArray:
    """Return (returns − mean)/scale."""
    values = np.empty(len(returns))
    for t in range(len(returns)):
        values[t] = (returns[t] - mean) / scale
    return values


@compiled
def _moments(returns: FloatArray) -> tuple[int, float, float]:
    """Return a status (`CONVERGED` if the series can be fitted), the mean and the standard deviation."""
    n = len(returns)
    if n < _MIN_RETURNS:
        return TOO_SHORT, math.nan, math.nan
    mean, squares = 0.0, 0.0
    for t in range(n):
        mean += returns[t] / n
    for t in range(n):
        squares += (returns[t] - mean) ** 2 / n
    scale = math.sqrt(squares)
    if not math.isfinite(scale):
        return NOT_FINITE, mean, scale
    if scale <= 1e-12 * max(1.0, abs(mean)):
        return CONSTANT, mean, scale
    return CONVERGED, mean, scale


@compiled
def _fit_one(returns: FloatArray, leverage: bool, student: bool, theta: FloatArray) -> tuple[int, float]:
    """Fit one series; fill theta, and return the status and the log-likelihood, in the series' own units."""
    for i in range(6):
        theta[i] = math.nan
    status, mean, scale = _moments(returns)
    if status != CONVERGED:
        return status, math.nan
    scaled = _standardised(returns, mean, scale)
    start = max(backcast(scaled, 0.0), 1e-8)
    likelihoods, leverages = _start_likelihoods(scaled, start, leverage, student)
    likeliest = likelihoods[_place_of_largest(likelihoods, 0, len(likelihoods))]
    far = _FAR_WITH_LEVERAGE if leverage else _FAR
    best = -math.inf
    done = False
    x, natural, found = np.zeros(6), np.zeros(6), np.empty(6)
    for region in range(2):
        s = _place_of_largest(likelihoods, region * _PERSISTENT, _PERSISTENT if region == 0 else len(likelihoods))
        if likelihoods[s] < likeliest - far and (done or region == 0):
            continue
        _fill_start(s, leverages[s], student, natural)
        reached = -math.inf
        for _ in range(_RESTARTS):
            to_free_parameters(natural, leverage, student, x)
            # A restart is never stopped early: near a bound the curvature is that of a nearly flat likelihood.
            known = best if reached == -math.inf else -math.inf
            value, converged = maximise(scaled, start, x, leverage, student, known, found)
            higher = value > reached + DISTINCT
            reached = value
            if math.isfinite(value) and value > best + 1e-6:
                best = value
                done = converged
                copy_vector(found, theta)
            copy_vector(found, natural)
            if not (converged and higher and move_off_bounds(natural, leverage, student)):
                break
    theta[0] = mean + scale * theta[0]
    theta[1] *= scale * scale
    return (CONVERGED if done else NOT_CONVERGED), best - len(returns) * math.log(scale)


@compiled
def _place_of_largest(values: FloatArray, first: int, last: int) -> int:
    """Return the place of the largest of values[first:last]."""
    place = first
    for other in range(first, last):
        if values[other] > values[place]:
            place = other
    return place


@compiled
def _start_likelihoods(
    scaled: FloatArray, start: float, leverage: bool, student: bool
) -> tuple[FloatArray, FloatArray]:
    """Return the log-likelihood of each starting point, and the leverage with which it is the likelier."""
    starts = len(_STARTS)
    likelihoods, leverages = np.empty(starts), np.zeros(starts)
    gradient, outer, natural = np.empty(6), np.empty((6, 6)), np.zeros(6)
    for s in range(starts):
        for skew in range(2 if leverage else 1):
            _fill_start(s, skew * _START_LEVERAGE, student, natural)
            value = log_likelihood(scaled, start, natural, student, gradient, outer, 0)
            if skew == 0 or value > likelihoods[s]:
                likelihoods[s], leverages[s] = value, skew * _START_LEVERAGE
    return likelihoods, leverages


@compiled
def _fill_start(s: int, leverage: float, student: bool, natural: FloatArray) -> None:
    """Fill the natural parameters of a starting point, in units of the series' own variance.

    A rise weighs α·(1 − leverage) and a fall α·(1 + leverage), so that the persistence is the same for any leverage.
    """
    alpha, beta = _STARTS[s, 0], _STARTS[s, 1]
    natural[0] = 0.0
    natural[1] = 1.0 - alpha - beta
    natural[2] = alpha * (1.0 - leverage)
    natural[3] = 2.0 * alpha * leverage
    natural[4] = beta
    natural[5] = _START_NU if student else math.inf


def fit_batch(
    values: FloatArray, begins: IntArray, leverage: bool, student: bool
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Fit every series, and return their parameters, statuses and log-likelihoods.

    This loop is the only one that is not compiled: it costs a microsecond a series, and two seconds to compile.

    Parameters
    ----------
    values
        Log returns of all series, end to end, each oldest first, in any unit.
    begins
        Place of the first return of each series in `values`, and last the length of `values`.
    leverage
        Whether γ is estimated (GJR).
    student
        Whether ν is estimated (Student t).

    Returns
    -------
    Parameters, shape (series, 6), in the unit of the values and its square; statuses; log-likelihoods in that unit.
    """
    count = len(begins) - 1
    parameters = np.empty((count, 6))
    statuses = np.empty(count, dtype=np.int64)
    likelihoods = np.empty(count)
    for i in range(count):
        statuses[i], likelihoods[i] = _fit_one(values[begins[i] : begins[i + 1]], leverage, student, parameters[i])
    return parameters, statuses, likelihoods


@compiled
def robust_errors(returns: FloatArray, theta: FloatArray, leverage: bool) -> FloatArray:
    """Return the robust standard error of each parameter, NaN for those that the model does not estimate.

    They are the roots of the diagonal of H⁻¹·G·H⁻¹, with G the outer product of the scores and H the Hessian, by
    central differences of the analytic gradient (Bollerslev and Wooldridge 1992, Quasi-maximum likelihood estimation
    and inference in dynamic models with time-varying covariances, Econometric Reviews 11).
    """
    student = math.isfinite(theta[5])
    estimated = estimated_parameters(leverage, student)
    k = len(estimated)
    errors = np.empty(6)
    for i in range(6):
        errors[i] = math.nan
    _, mean, scale = _moments(returns)
    scaled = _standardised(returns, mean, scale)
    start = backcast(scaled, 0.0)
    point, moved = np.empty(6), np.empty(6)
    copy_vector(theta, point)
    point[0] = (theta[0] - mean) / scale
    point[1] = theta[1] / (scale * scale)
    up, down, outer = np.empty(6), np.empty(6), np.empty((6, 6))
    hessian, inverse = np.empty((k, k)), np.empty((k, k))
    for i in range(k):
        copy_vector(point, moved)
        width = 1e-5 * max(abs(point[estimated[i]]), 1e-2)
        moved[estimated[i]] = point[estimated[i]] + width
        log_likelihood(scaled, start, moved, student, up, outer, 1)
        moved[estimated[i]] = point[estimated[i]] - width
        log_likelihood(scaled, start, moved, student, down, outer, 1)
        for j in range(k):
            hessian[i, j] = (up[estimated[j]] - down[estimated[j]]) / (2.0 * width)
    symmetrise(hessian)
    if not invert(hessian, inverse):
        return errors
    log_likelihood(scaled, start, point, student, up, outer, 2)
    copy_lower_triangle(outer)
    for i in range(k):
        variance = 0.0
        for j in range(k):
            for m in range(k):
                variance += inverse[i, j] * outer[estimated[j], estimated[m]] * inverse[m, i]
        if variance > 0.0:
            errors[estimated[i]] = math.sqrt(variance)
    errors[0] *= scale
    errors[1] *= scale * scale
    return errors
