"""The compiled maximiser of a likelihood: BFGS with a line search, and restarts of parameters that ended at a bound.

The first inverse Hessian is the inverse outer product of the scores (Berndt, Hall, Hall and Hausman 1974, Estimation
and inference in nonlinear structural models, Annals of Economic and Social Measurement 3).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled
from pm.volatility.likelihood import (
    BETA,
    LARGEST_INVERSE_NU,
    OMEGA,
    SMALLEST_INVERSE_NU,
    estimated_parameters,
    gradient_by_free_parameters,
    log_likelihood,
    to_natural_parameters,
)
from pm.volatility.matrices import copy_lower_triangle, invert

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray

__all__ = ["DISTINCT", "copy_vector", "maximise", "move_off_bounds"]

_ITERATIONS = 200
"""Maximum number of BFGS iterations."""
_HALVINGS = 30
"""Maximum number of times that a line search shortens a step."""
_GRADIENT_TOLERANCE = 1e-6
"""Gradient of the mean log-likelihood per observation at which the search ends; the gain still possible is then of the
order of its square."""
_ROUNDING = 1e-13
"""Gain in mean log-likelihood that cannot be told from rounding."""
_ROUNDING_GRADIENT = 1e-4
"""Gradient that rounding can leave at a maximum."""
_AT_BOUND = 1e-4
"""Distance from a bound below which a parameter is at it, in the units of `_OFF_BOUND`."""
_OFF_BOUND = 5e-3
"""Distance from a bound at which the search restarts: in shares, in units of the series' variance (ω), and as a share
of the range of 1/ν."""

DISTINCT = 1e-4
"""Log-likelihood by which a maximum must exceed earlier ones to count as higher."""
_NEAR_MAXIMUM = 0.05
"""Expected remaining gain in log-likelihood below which the quadratic model predicts where the search will end."""


@compiled
def copy_vector(source: FloatArray, target: FloatArray) -> None:
    """Copy every element of `source` to `target`."""
    for i in range(len(source)):
        target[i] = source[i]


@compiled
def _initial_inverse(jacobian: FloatArray, outer: FloatArray, estimated: IntArray, n: int, inverse: FloatArray) -> bool:
    """Fill the inverse of the mean outer product of n scores by x; return False if it is singular."""
    k = len(estimated)
    copy_lower_triangle(outer)
    curvature = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            total = 0.0
            for p in range(6):
                for q in range(6):
                    total += jacobian[p, estimated[i]] * outer[p, q] * jacobian[q, estimated[j]]
            curvature[i, j] = total / n
        curvature[i, i] += 1e-6
    return invert(curvature, inverse)


@compiled
def _ascent_step(inverse: FloatArray, slope: FloatArray, step: FloatArray) -> tuple[float, float]:
    """Fill the quasi-Newton step, and return its slope and its largest absolute element.

    If the step does not ascend, the inverse Hessian is replaced by the identity, and the step is the gradient.
    """
    k = len(slope)
    for _ in range(2):
        rise, longest = 0.0, 0.0
        for i in range(k):
            step[i] = 0.0
            for j in range(k):
                step[i] += inverse[i, j] * slope[j]
            rise += step[i] * slope[i]
            longest = max(longest, abs(step[i]))
        if rise > 0.0 and math.isfinite(rise):
            break
        for i in range(k):
            for j in range(k):
                inverse[i, j] = 1.0 if i == j else 0.0
    return rise, longest


@compiled
def _move(x: FloatArray, estimated: IntArray, step: FloatArray, length: float, trial: FloatArray) -> None:
    """Fill the estimated parameters of `trial` with x + length·step."""
    for i in range(len(estimated)):
        trial[estimated[i]] = x[estimated[i]] + length * step[i]


@compiled
def _multiply(step: FloatArray, length: float) -> None:
    """Multiply every element of `step` by `length`."""
    for i in range(len(step)):
        step[i] *= length


@compiled
def _largest(values: FloatArray) -> float:
    """Return the largest absolute value."""
    largest = 0.0
    for value in values:
        largest = max(largest, abs(value))
    return largest


@compiled
def _remaining_gradient(jacobian: FloatArray, slope: FloatArray, estimated: IntArray) -> float:
    """Return the largest absolute element of the gradient, by x or, near a bound, by the parameter itself.

    Near a bound the likelihood is nearly flat in x. There, if it rises away from the bound, a hundredth of the
    gradient by the natural parameter counts too. At the bound it does not count, since no step in x would lead away
    (see `move_off_bounds`).
    """
    steepest = _largest(slope)
    for i in range(len(estimated)):
        derivative = jacobian[estimated[i], estimated[i]]
        if OMEGA <= estimated[i] <= BETA and slope[i] > 0.0 and derivative > 1e-6:
            steepest = max(steepest, 0.01 * slope[i] / derivative)
    return steepest


@compiled
def _update_inverse(inverse: FloatArray, moved: FloatArray, slope: FloatArray, new_slope: FloatArray) -> None:
    """Update the inverse Hessian by the BFGS formula from a step in x and the gradients before and after it."""
    k = len(moved)
    changed = np.zeros(k)
    inner, quadratic = 0.0, 0.0
    for i in range(k):
        inner += moved[i] * (slope[i] - new_slope[i])
        for j in range(k):
            changed[i] += inverse[i, j] * (slope[j] - new_slope[j])
        quadratic += (slope[i] - new_slope[i]) * changed[i]
    if inner > 1e-14:  # otherwise the likelihood is convex along the step, and the update would not stay definite
        for i in range(k):
            for j in range(k):
                inverse[i, j] += (1.0 + quadratic / inner) * moved[i] * moved[j] / inner
                inverse[i, j] -= (changed[i] * moved[j] + moved[i] * changed[j]) / inner


@compiled
def maximise(
    returns: FloatArray, start: float, x: FloatArray, leverage: bool, student: bool, known: float, theta: FloatArray
) -> tuple[float, bool]:
    """Search for a maximum of the log-likelihood from x.

    Parameters
    ----------
    returns
        Returns in units of their standard deviation.
    start
        Variance that the recursion starts from: see `likelihood.backcast`.
    x
        Free parameters to start from; overwritten by those found.
    leverage, student
        Whether γ and ν are estimated.
    known
        Log-likelihood of a maximum that is known. The search stops, and returns −∞, where it predicts that it will end
        no higher.
    theta
        Filled with the natural parameters found.

    Returns
    -------
    The log-likelihood, and whether the search converged.
    """
    n = len(returns)
    estimated = estimated_parameters(leverage, student)
    k = len(estimated)
    gradient, outer, jacobian = np.empty(6), np.empty((6, 6)), np.empty((6, 6))
    slope, new_slope, step, inverse = np.empty(k), np.empty(k), np.empty(k), np.empty((k, k))
    trial = np.empty(6)
    copy_vector(x, trial)
    value = math.nan
    fresh = False  # the inverse Hessian was computed at this x
    valid = False  # there is an inverse Hessian
    for _ in range(_ITERATIONS):
        if not valid:
            to_natural_parameters(x, leverage, student, theta, jacobian)
            value = log_likelihood(returns, start, theta, student, gradient, outer, 2) / n
            gradient_by_free_parameters(jacobian, gradient, estimated, n, slope)
            if not math.isfinite(value) or not _initial_inverse(jacobian, outer, estimated, n, inverse):
                return value * n, False
            fresh = valid = True
        if _remaining_gradient(jacobian, slope, estimated) < _GRADIENT_TOLERANCE:
            return value * n, True
        rise, longest = _ascent_step(inverse, slope, step)
        remaining = 0.5 * rise * n  # gain in log-likelihood that the quadratic model expects
        if remaining < _NEAR_MAXIMUM and value * n + 2.0 * remaining < known + DISTINCT:
            return -math.inf, False
        length = min(1.0, 1.5 / longest)  # a longer step could land where a share's softmax is flat
        new_value = -math.inf
        for _ in range(_HALVINGS):
            _move(x, estimated, step, length, trial)
            to_natural_parameters(trial, leverage, student, theta, jacobian)
            new_value = log_likelihood(returns, start, theta, student, gradient, outer, 1) / n
            if math.isfinite(new_value) and new_value >= value + 1e-4 * length * rise:
                break
            new_value = -math.inf
            length *= 0.3
        if new_value - value < _ROUNDING:
            # No further gain can be told from rounding. If the inverse Hessian was computed at this x, the remaining
            # gradient decides whether x is a maximum; if it was updated on the way, it may have degenerated, and is
            # computed again.
            if fresh:
                to_natural_parameters(x, leverage, student, theta, jacobian)
                return value * n, bool(_largest(slope) < _ROUNDING_GRADIENT)
            valid = False
            continue
        _multiply(step, length)
        gradient_by_free_parameters(jacobian, gradient, estimated, n, new_slope)
        _update_inverse(inverse, step, slope, new_slope)
        value = new_value
        copy_vector(new_slope, slope)
        copy_vector(trial, x)
        fresh = False
    return value * n, False


@compiled
def move_off_bounds(theta: FloatArray, leverage: bool, student: bool) -> bool:
    """Move natural parameters away from their bounds, and return whether one of them was at its bound."""
    shares = np.array([0.5 * theta[2], 0.5 * (theta[2] + theta[3]), theta[4], 0.0])
    shares[3] = 1.0 - shares[0] - shares[1] - shares[2]
    inverse_nu = 1.0 / theta[5]
    smallest, largest = SMALLEST_INVERSE_NU, LARGEST_INVERSE_NU
    span = largest - smallest
    at_bound = min(theta[1], shares[0], shares[1], shares[2], shares[3]) < _AT_BOUND
    if student:
        at_bound |= min(inverse_nu - smallest, largest - inverse_nu) < _AT_BOUND * span
        theta[5] = 1.0 / min(max(inverse_nu, smallest + _OFF_BOUND * span), largest - _OFF_BOUND * span)
    theta[1] = max(theta[1], _OFF_BOUND)
    total = 0.0
    for i in range(4):
        shares[i] = max(shares[i], _OFF_BOUND)
        total += shares[i]
    theta[2] = 2.0 * shares[0] / total
    theta[3] = 2.0 * (shares[1] - shares[0]) / total if leverage else 0.0
    theta[4] = shares[2] / total
    return bool(at_bound)
