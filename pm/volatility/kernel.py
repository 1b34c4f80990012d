"""The compiled kernel: GARCH(1,1), GJR and Student t, fitted to many series in one call.

Series travel end to end in one array with the place where each begins, so that ragged lengths cost nothing. Every
series is fitted on its own, in units of its own standard deviation, and answers with a status instead of an exception.

The parameters of a model are always the six (μ, ω, α, γ, β, ν), those it does not have at γ = 0 and ν = ∞:

    r[t] = μ + e[t],  e[t] = √h[t]·z[t],  h[t+1] = ω + (α + γ·1[e[t] < 0])·e[t]² + β·h[t]

with z normal or Student t of unit variance. The recursion starts from h[0] = ω + (α + γ/2 + β)·b, where b is the
exponentially weighted mean of the first 75 squared shocks, as in `arch`.

The likelihood is climbed by BFGS over x, which is free of bounds: ω = exp x₁; the shares (α/2, (α + γ)/2, β, slack) are
a softmax, so that α ≥ 0, α + γ ≥ 0, β ≥ 0 and α + γ/2 + β < 1 hold everywhere; 1/ν is a logistic between 1/500 and
1/2.05. Its gradient is the analytic one, run forward with the recursion (Fiorentini, Calzolari and Panattoni 1996,
Analytic derivatives and the computation of GARCH estimates, J. Applied Econometrics 11); the first curvature is the
outer product of the scores (Berndt, Hall, Hall and Hausman 1974). Near a bound x runs flat, so that a climb that ends
there is lifted off it and tried again, as long as that leads higher.

All of it is in one file, because what was compiled is kept until this file changes (`compiled`). Matrices are small and
inverted in place: a call of numpy's linear algebra would take longer to compile than all the rest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray

__all__ = [
    "ALPHA",
    "BETA",
    "CONSTANT",
    "CONVERGED",
    "GAMMA",
    "MU",
    "NOT_CONVERGED",
    "NOT_FINITE",
    "NU",
    "OMEGA",
    "PARAMETERS",
    "TOO_SHORT",
    "conditional_variances",
    "fit_batch",
    "robust_errors",
]

PARAMETERS = ("mu", "omega", "alpha", "gamma", "beta", "nu")
MU, OMEGA, ALPHA, GAMMA, BETA, NU = range(6)

CONVERGED, NOT_CONVERGED, NOT_FINITE, TOO_SHORT, CONSTANT = range(5)

_SHORTEST = 10
_BACKCAST = 75
_BACKCAST_DECAY = 0.94
_LEAST_INVERSE_NU = 1.0 / 500.0
_MOST_INVERSE_NU = 1.0 / 2.05
_STEPS = 200
_HALVINGS = 30
_GRADIENT_TOLERANCE = 1e-6
"""Of the mean log-likelihood per observation; what is left to gain is then of the order of its square."""
_ROUNDING = 1e-13
_SLIGHT = 1e-4
"""A slope that rounding may leave at the top."""
_AT_BOUND = 1e-4
_OFF_BOUND = 5e-3
"""Of the shares, of ω in units of the series' variance, and of the span of 1/ν."""

# Where the climb may start: (α, β), half of them persistent and half not, for the likelihood may have a top in either
# country. The likeliest of a country is its start, and the lesser country is left out if its start is far below.
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
_PERSISTENT = 4
_FAR, _FAR_WITH_LEVERAGE = 12.0, 25.0
"""Log-likelihood by which a start may be below the best and still lead to the top."""

_LIFTS = 5
_HIGHER = 1e-4
"""Log-likelihood by which a climb must end above those before it to count."""
_CLOSE = 0.05
"""Log-likelihood left to gain below which the curvature tells where a climb will end."""

_LEVERAGE_OF_START = 0.6
_NU_OF_START = 8.0

_LOG_2PI = math.log(2.0 * math.pi)


@compiled
def _digamma(x: float) -> float:
    """Give ψ(x) for x > 0, to 1e-12: upwards by the recurrence, then the asymptotic series."""
    shift = 0.0
    while x < 8.0:
        shift -= 1.0 / x
        x += 1.0
    inverse = 1.0 / (x * x)
    series = inverse * (
        1.0 / 12 - inverse * (1.0 / 120 - inverse * (1.0 / 252 - inverse * (1.0 / 240 - inverse * (1.0 / 132))))
    )
    return shift + math.log(x) - 0.5 / x - series


@compiled
def _backcast(returns: FloatArray, mean: float) -> float:
    total = 0.0
    weights = 0.0
    weight = 1.0
    for t in range(min(_BACKCAST, len(returns))):
        total += weight * (returns[t] - mean) ** 2
        weights += weight
        weight *= _BACKCAST_DECAY
    return total / weights


@compiled
def _normalizer(nu: float, student: bool) -> tuple[float, float]:
    """Give the log-density of a standardised shock of 0, and its derivative by ν."""
    if not student:
        return -0.5 * _LOG_2PI, 0.0
    log_density = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))
    return log_density, 0.5 * (_digamma(0.5 * (nu + 1.0)) - _digamma(0.5 * nu) - 1.0 / (nu - 2.0))


@compiled
def _scores(
    returns: FloatArray,
    backcast: float,
    theta: FloatArray,
    student: bool,
    gradient: FloatArray,
    outer: FloatArray,
    wanted: int,
) -> float:
    """Give the log-likelihood; fill its gradient (wanted ≥ 1) and the lower half of the scores' outer product (2).

    All by the natural parameters.
    """
    mu, omega, alpha, gamma, beta, nu = theta[0], theta[1], theta[2], theta[3], theta[4], theta[5]
    h = omega + (alpha + 0.5 * gamma + beta) * backcast
    d_mu, d_omega, d_alpha, d_gamma, d_beta = 0.0, 1.0, backcast, 0.5 * backcast, backcast
    constant, d_nu = _normalizer(nu, student)
    g_mu, g_omega, g_alpha, g_gamma, g_beta, g_nu = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    _clear(outer)
    # The logarithm of a product costs one for many; it is taken before the product runs out of range.
    variances, tails, log_variances, log_tails, squares = 1.0, 1.0, 0.0, 0.0, 0.0
    by_freedom = 1.0 / (nu - 2.0) if student else 0.0
    for t in range(len(returns)):
        e = returns[t] - mu
        inverse = 1.0 / h
        standard = e * e * inverse
        squares += standard
        tail, pull = 1.0, 1.0
        if student:
            tail = 1.0 + standard * by_freedom
            pull = (nu + 1.0) * by_freedom / tail
            tails *= tail
            if not tails < 1e100:
                log_tails += math.log(tails)
                tails = 1.0
        variances *= h
        if not 1e-100 < variances < 1e100:
            log_variances += math.log(variances)
            variances = 1.0
        weight = alpha + (gamma if e < 0.0 else 0.0)
        if wanted >= 1:
            by_h = 0.5 * inverse * (pull * standard - 1.0)
            by_mu = pull * e * inverse + by_h * d_mu
            by_nu = 0.5 * pull * standard * by_freedom
            g_mu += by_mu
            g_omega += by_h * d_omega
            g_alpha += by_h * d_alpha
            g_gamma += by_h * d_gamma
            g_beta += by_h * d_beta
            g_nu += by_nu
            if wanted == 2:
                if student:
                    by_nu += d_nu - 0.5 * math.log(tail)
                _add_outer((by_mu, by_h * d_omega, by_h * d_alpha, by_h * d_gamma, by_h * d_beta, by_nu), outer)
            d_mu = beta * d_mu - 2.0 * weight * e
            d_omega = beta * d_omega + 1.0
            d_alpha = beta * d_alpha + e * e
            d_gamma = beta * d_gamma + (e * e if e < 0.0 else 0.0)
            d_beta = beta * d_beta + h
        h = omega + weight * e * e + beta * h
    log_tails += math.log(tails)
    gradient[0], gradient[1], gradient[2], gradient[3], gradient[4] = g_mu, g_omega, g_alpha, g_gamma, g_beta
    gradient[5] = g_nu + len(returns) * d_nu - 0.5 * log_tails
    loss = (nu + 1.0) * log_tails if student else squares
    return len(returns) * constant - 0.5 * (log_variances + math.log(variances) + loss)


@compiled
def _clear(matrix: FloatArray) -> None:
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            matrix[i, j] = 0.0


@compiled
def _add_outer(score: tuple[float, float, float, float, float, float], outer: FloatArray) -> None:
    """Add the outer product of an observation's score with itself to the lower triangle."""
    for i in range(6):
        for j in range(i + 1):
            outer[i, j] += score[i] * score[j]


@compiled
def _mirror(matrix: FloatArray) -> None:
    """Copy the lower triangle to the upper one."""
    for i in range(len(matrix)):
        for j in range(i):
            matrix[j, i] = matrix[i, j]


@compiled
def _natural(x: FloatArray, leverage: bool, student: bool, theta: FloatArray, jacobian: FloatArray) -> None:
    """Fill the natural parameters of x, and their derivatives by x: jacobian[natural, free]."""
    _clear(jacobian)
    theta[0] = x[0]
    jacobian[0, 0] = 1.0
    theta[1] = math.exp(x[1])
    jacobian[1, 1] = theta[1]
    # Shares by softmax against a slack of weight 1; without leverage the two shares of the shock are one.
    top = max(0.0, x[2], x[3], x[4]) if leverage else max(0.0, x[2], x[4])
    a = math.exp(x[2] - top)
    g = math.exp(x[3] - top) if leverage else 0.0
    b = math.exp(x[4] - top)
    total = a + g + b + math.exp(-top)
    a, g, b = a / total, g / total, b / total
    if leverage:
        theta[2] = 2.0 * a
        theta[3] = 2.0 * (g - a)
        jacobian[2, 2], jacobian[2, 3], jacobian[2, 4] = 2.0 * a * (1.0 - a), -2.0 * a * g, -2.0 * a * b
        jacobian[3, 2] = -2.0 * a * g - 2.0 * a * (1.0 - a)
        jacobian[3, 3] = 2.0 * g * (1.0 - g) + 2.0 * a * g
        jacobian[3, 4] = -2.0 * g * b + 2.0 * a * b
        jacobian[4, 3] = -b * g
    else:
        theta[2] = a
        theta[3] = 0.0
        jacobian[2, 2], jacobian[2, 4] = a * (1.0 - a), -a * b
    theta[4] = b
    jacobian[4, 2] = -a * b
    jacobian[4, 4] = b * (1.0 - b)
    if student:
        share = 1.0 / (1.0 + math.exp(-x[5]))
        inverse = _LEAST_INVERSE_NU + (_MOST_INVERSE_NU - _LEAST_INVERSE_NU) * share
        theta[5] = 1.0 / inverse
        jacobian[5, 5] = -(_MOST_INVERSE_NU - _LEAST_INVERSE_NU) * share * (1.0 - share) / (inverse * inverse)
    else:
        theta[5] = math.inf


@compiled
def _free(theta: FloatArray, leverage: bool, student: bool, x: FloatArray) -> None:
    """Fill x from natural parameters strictly inside the bounds: the inverse of `_natural`."""
    x[0] = theta[0]
    x[1] = math.log(theta[1])
    slack = 1.0 - theta[2] - 0.5 * theta[3] - theta[4]
    if leverage:
        x[2] = math.log(0.5 * theta[2] / slack)
        x[3] = math.log(0.5 * (theta[2] + theta[3]) / slack)
    else:
        x[2] = math.log(theta[2] / slack)
        x[3] = 0.0
    x[4] = math.log(theta[4] / slack)
    x[5] = 0.0
    if student:
        share = (1.0 / theta[5] - _LEAST_INVERSE_NU) / (_MOST_INVERSE_NU - _LEAST_INVERSE_NU)
        x[5] = math.log(share / (1.0 - share))


@compiled
def _invert(matrix: FloatArray, inverse: FloatArray) -> bool:
    """Fill the inverse of a small matrix, which is spoilt, by Gauss-Jordan with pivots; False if there is none."""
    k = len(matrix)
    for i in range(k):
        for j in range(k):
            inverse[i, j] = 1.0 if i == j else 0.0
    for column in range(k):
        pivot = column
        for row in range(column + 1, k):
            if abs(matrix[row, column]) > abs(matrix[pivot, column]):
                pivot = row
        size = matrix[pivot, column]
        if not 1e-300 < abs(size) < math.inf:
            return False
        for j in range(k):
            matrix[column, j], matrix[pivot, j] = matrix[pivot, j], matrix[column, j]
            inverse[column, j], inverse[pivot, j] = inverse[pivot, j], inverse[column, j]
        _eliminate(matrix, inverse, column)
    return True


@compiled
def _eliminate(matrix: FloatArray, inverse: FloatArray, column: int) -> None:
    """Divide a row by its pivot, and take it from the others such that they have nothing in its column."""
    k = len(matrix)
    size = matrix[column, column]
    for j in range(k):
        matrix[column, j] /= size
        inverse[column, j] /= size
    for row in range(k):
        times = matrix[row, column]
        if row != column:
            for j in range(k):
                matrix[row, j] -= times * matrix[column, j]
                inverse[row, j] -= times * inverse[column, j]


@compiled
def _free_places(leverage: bool, student: bool) -> IntArray:
    """Give the places of the parameters that a model has."""
    places = np.empty(6, dtype=np.int64)
    k = 0
    for i in range(6):
        if (i != GAMMA or leverage) and (i != NU or student):
            places[k] = i
            k += 1
    return places[:k]


@compiled
def _copy(source: FloatArray, target: FloatArray) -> None:
    for i in range(len(source)):
        target[i] = source[i]


@compiled
def _standardised(returns: FloatArray, mean: float, scale: float) -> FloatArray:
    values = np.empty(len(returns))
    for t in range(len(returns)):
        values[t] = (returns[t] - mean) / scale
    return values


@compiled
def _by_free(jacobian: FloatArray, gradient: FloatArray, free: IntArray, n: int, slope: FloatArray) -> None:
    """Fill the gradient of the mean by x from that of the sum of n by the natural parameters."""
    for i in range(len(free)):
        slope[i] = 0.0
        for p in range(6):
            slope[i] += jacobian[p, free[i]] * gradient[p] / n


@compiled
def _first_inverse(jacobian: FloatArray, outer: FloatArray, free: IntArray, n: int, inverse: FloatArray) -> bool:
    """Fill the inverse curvature of the mean by x from the outer product of n scores; False if none."""
    k = len(free)
    _mirror(outer)
    curvature = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            total = 0.0
            for p in range(6):
                for q in range(6):
                    total += jacobian[p, free[i]] * outer[p, q] * jacobian[q, free[j]]
            curvature[i, j] = total / n
        curvature[i, i] += 1e-6
    return _invert(curvature, inverse)


@compiled
def _direction(inverse: FloatArray, slope: FloatArray, step: FloatArray) -> tuple[float, float]:
    """Fill the step to take, give by how much it climbs at first and how far its longest part reaches.

    If the curvature has gone bad, it is forgotten, and the step leads straight up.
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
def _move(x: FloatArray, free: IntArray, step: FloatArray, length: float, trial: FloatArray) -> None:
    for i in range(len(free)):
        trial[free[i]] = x[free[i]] + length * step[i]


@compiled
def _shorten(step: FloatArray, length: float) -> None:
    for i in range(len(step)):
        step[i] *= length


@compiled
def _largest(values: FloatArray) -> float:
    """Give the largest absolute value."""
    largest = 0.0
    for value in values:
        largest = max(largest, abs(value))
    return largest


@compiled
def _steepest(jacobian: FloatArray, slope: FloatArray, free: IntArray) -> float:
    """Give the largest slope that is left.

    Near a bound, where x runs flat, a slope away from the bound counts by the parameter itself, a hundredth of it. At
    the bound it does not: no step would lead away (see `_lift`).
    """
    steepest = _largest(slope)
    for i in range(len(free)):
        moves = jacobian[free[i], free[i]]
        if OMEGA <= free[i] <= BETA and slope[i] > 0.0 and moves > 1e-6:
            steepest = max(steepest, 0.01 * slope[i] / moves)
    return steepest


@compiled
def _renew(inverse: FloatArray, moved: FloatArray, slope: FloatArray, new_slope: FloatArray) -> None:
    """Update the inverse curvature by BFGS from a move in x and the slopes before and after it."""
    k = len(moved)
    changed = np.zeros(k)
    inner, quadratic = 0.0, 0.0
    for i in range(k):
        inner += moved[i] * (slope[i] - new_slope[i])
        for j in range(k):
            changed[i] += inverse[i, j] * (slope[j] - new_slope[j])
        quadratic += (slope[i] - new_slope[i]) * changed[i]
    if inner > 1e-14:  # curved upwards otherwise: nothing to learn
        for i in range(k):
            for j in range(k):
                inverse[i, j] += (1.0 + quadratic / inner) * moved[i] * moved[j] / inner
                inverse[i, j] -= (changed[i] * moved[j] + moved[i] * changed[j]) / inner


@compiled
def _climb(
    returns: FloatArray, backcast: float, x: FloatArray, leverage: bool, student: bool, known: float, theta: FloatArray
) -> tuple[float, bool]:
    """Climb from x to a maximum; fill theta with its natural parameters, give (log-likelihood, converged).

    It is given up, at −∞, where close to its top that is foreseen to be no higher than what is `known`.
    """
    n = len(returns)
    free = _free_places(leverage, student)
    k = len(free)
    gradient, outer, jacobian = np.empty(6), np.empty((6, 6)), np.empty((6, 6))
    slope, new_slope, step, inverse = np.empty(k), np.empty(k), np.empty(k), np.empty((k, k))
    trial = np.empty(6)
    _copy(x, trial)
    value = math.nan
    fresh = False
    learnt = False
    for _ in range(_STEPS):
        if not learnt:
            _natural(x, leverage, student, theta, jacobian)
            value = _scores(returns, backcast, theta, student, gradient, outer, 2) / n
            _by_free(jacobian, gradient, free, n, slope)
            if not math.isfinite(value) or not _first_inverse(jacobian, outer, free, n, inverse):
                return value * n, False
            fresh = learnt = True
        if _steepest(jacobian, slope, free) < _GRADIENT_TOLERANCE:
            return value * n, True
        rise, longest = _direction(inverse, slope, step)
        left = 0.5 * rise * n  # to gain, by the curvature
        if left < _CLOSE and value * n + 2.0 * left < known + _HIGHER:
            return -math.inf, False
        length = min(1.0, 1.5 / longest)  # further at once, and a share may land where its softmax is flat
        new_value = -math.inf
        for _ in range(_HALVINGS):
            _move(x, free, step, length, trial)
            _natural(trial, leverage, student, theta, jacobian)
            new_value = _scores(returns, backcast, theta, student, gradient, outer, 1) / n
            if math.isfinite(new_value) and new_value >= value + 1e-4 * length * rise:
                break
            new_value = -math.inf
            length *= 0.3
        if new_value - value < _ROUNDING:
            # No step upwards can be told from rounding. If the curvature was just taken, what slope is left decides
            # whether this is the top; if it was learnt on the way, it may have gone bad, and is taken anew.
            if fresh:
                _natural(x, leverage, student, theta, jacobian)
                return value * n, bool(_largest(slope) < _SLIGHT)
            learnt = False
            continue
        _shorten(step, length)
        _by_free(jacobian, gradient, free, n, new_slope)
        _renew(inverse, step, slope, new_slope)
        value = new_value
        _copy(new_slope, slope)
        _copy(trial, x)
        fresh = False
    return value * n, False


@compiled
def _lift(theta: FloatArray, leverage: bool, student: bool) -> bool:
    """Lift natural parameters off the bounds that they are at; False if they are at none."""
    shares = np.array([0.5 * theta[2], 0.5 * (theta[2] + theta[3]), theta[4], 0.0])
    shares[3] = 1.0 - shares[0] - shares[1] - shares[2]
    inverse_nu = 1.0 / theta[5]
    least, most = _LEAST_INVERSE_NU, _MOST_INVERSE_NU
    span = most - least
    at_bound = min(theta[1], shares[0], shares[1], shares[2], shares[3]) < _AT_BOUND
    if student:
        at_bound |= min(inverse_nu - least, most - inverse_nu) < _AT_BOUND * span
        theta[5] = 1.0 / min(max(inverse_nu, least + _OFF_BOUND * span), most - _OFF_BOUND * span)
    theta[1] = max(theta[1], _OFF_BOUND)
    total = 0.0
    for i in range(4):
        shares[i] = max(shares[i], _OFF_BOUND)
        total += shares[i]
    theta[2] = 2.0 * shares[0] / total
    theta[3] = 2.0 * (shares[1] - shares[0]) / total if leverage else 0.0
    theta[4] = shares[2] / total
    return bool(at_bound)


@compiled
def _scale(returns: FloatArray) -> tuple[int, float, float]:
    """Give whether a series can be fitted, as a status, and its mean and standard deviation."""
    n = len(returns)
    if n < _SHORTEST:
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
    """Fit one series; fill theta, give (status, log-likelihood) in the series' own units."""
    for i in range(6):
        theta[i] = math.nan
    status, mean, scale = _scale(returns)
    if status != CONVERGED:
        return status, math.nan
    scaled = _standardised(returns, mean, scale)
    backcast = max(_backcast(scaled, 0.0), 1e-8)
    likely, leverages = _likely_starts(scaled, backcast, leverage, student)
    likeliest = likely[_place_of_largest(likely, 0, len(likely))]
    far = _FAR_WITH_LEVERAGE if leverage else _FAR
    best = -math.inf
    done = False
    x, natural, found = np.zeros(6), np.zeros(6), np.empty(6)
    for half in range(2):
        s = _place_of_largest(likely, half * _PERSISTENT, _PERSISTENT if half == 0 else len(likely))
        if likely[s] < likeliest - far and (done or half == 0):
            continue
        _start(s, leverages[s], student, natural)
        reached = -math.inf
        for _ in range(_LIFTS):
            _free(natural, leverage, student, x)
            # Not once it is lifted: near a bound the curvature is that of what runs flat there.
            known = best if reached == -math.inf else -math.inf
            value, converged = _climb(scaled, backcast, x, leverage, student, known, found)
            higher = value > reached + _HIGHER
            reached = value
            if math.isfinite(value) and value > best + 1e-6:
                best = value
                done = converged
                _copy(found, theta)
            _copy(found, natural)
            if not (converged and higher and _lift(natural, leverage, student)):
                break
    theta[0] = mean + scale * theta[0]
    theta[1] *= scale * scale
    return (CONVERGED if done else NOT_CONVERGED), best - len(returns) * math.log(scale)


@compiled
def _place_of_largest(values: FloatArray, first: int, last: int) -> int:
    """Give where the largest of the values from `first` up to `last` is."""
    place = first
    for other in range(first, last):
        if values[other] > values[place]:
            place = other
    return place


@compiled
def _likely_starts(scaled: FloatArray, backcast: float, leverage: bool, student: bool) -> tuple[FloatArray, FloatArray]:
    """Give the log-likelihood of each start, and the leverage it is best taken with."""
    starts = len(_STARTS)
    likely, leverages = np.empty(starts), np.zeros(starts)
    gradient, outer, natural = np.empty(6), np.empty((6, 6)), np.zeros(6)
    for s in range(starts):
        for skew in range(2 if leverage else 1):
            _start(s, skew * _LEVERAGE_OF_START, student, natural)
            value = _scores(scaled, backcast, natural, student, gradient, outer, 0)
            if skew == 0 or value > likely[s]:
                likely[s], leverages[s] = value, skew * _LEVERAGE_OF_START
    return likely, leverages


@compiled
def _start(s: int, leverage: float, student: bool, natural: FloatArray) -> None:
    """Fill the natural parameters of a start, in units of the series' own variance.

    `leverage` is by what share a rise counts less, and a fall more, than on the average: the persistence is the same.
    """
    alpha, beta = _STARTS[s, 0], _STARTS[s, 1]
    natural[0] = 0.0
    natural[1] = 1.0 - alpha - beta
    natural[2] = alpha * (1.0 - leverage)
    natural[3] = 2.0 * alpha * leverage
    natural[4] = beta
    natural[5] = _NU_OF_START if student else math.inf


def fit_batch(
    values: FloatArray, begins: IntArray, leverage: bool, student: bool
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Fit every series and give their parameters, statuses and log-likelihoods.

    This loop alone is not compiled: it costs a microsecond a series, and to compile it two seconds.

    Parameters
    ----------
    values
        All series end to end: log returns, oldest first, in any unit.
    begins
        Where each series begins in `values`, and last the length of `values`.
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
def conditional_variances(returns: FloatArray, theta: FloatArray) -> FloatArray:
    """Give h[0] … h[n] of a series under given parameters: the variance of each return, and of the one to come.

    Each depends on the returns before it alone, but for the start of the recursion, which the first 75 make.
    """
    n = len(returns)
    h = np.empty(n + 1)
    persistence = theta[2] + 0.5 * theta[3] + theta[4]
    h[0] = theta[1] + persistence * _backcast(returns, theta[0])
    for t in range(n):
        e = returns[t] - theta[0]
        weight = theta[2] + (theta[3] if e < 0.0 else 0.0)
        h[t + 1] = theta[1] + weight * e * e + theta[4] * h[t]
    return h


@compiled
def _symmetrise(matrix: FloatArray) -> None:
    for i in range(len(matrix)):
        for j in range(i):
            mean = 0.5 * (matrix[i, j] + matrix[j, i])
            matrix[i, j], matrix[j, i] = mean, mean


@compiled
def robust_errors(returns: FloatArray, theta: FloatArray, leverage: bool) -> FloatArray:
    """Give the robust standard error of each parameter, NaN for those the model does not have.

    H⁻¹·G·H⁻¹ with G the outer product of the scores and H the Hessian, by central differences of the analytic
    gradient (Bollerslev and Wooldridge 1992, Quasi-maximum likelihood estimation, Econometric Reviews 11).
    """
    student = math.isfinite(theta[5])
    free = _free_places(leverage, student)
    k = len(free)
    errors = np.empty(6)
    for i in range(6):
        errors[i] = math.nan
    _, mean, scale = _scale(returns)
    scaled = _standardised(returns, mean, scale)
    backcast = _backcast(scaled, 0.0)
    point, moved = np.empty(6), np.empty(6)
    _copy(theta, point)
    point[0] = (theta[0] - mean) / scale
    point[1] = theta[1] / (scale * scale)
    up, down, outer = np.empty(6), np.empty(6), np.empty((6, 6))
    hessian, inverse = np.empty((k, k)), np.empty((k, k))
    for i in range(k):
        _copy(point, moved)
        width = 1e-5 * max(abs(point[free[i]]), 1e-2)
        moved[free[i]] = point[free[i]] + width
        _scores(scaled, backcast, moved, student, up, outer, 1)
        moved[free[i]] = point[free[i]] - width
        _scores(scaled, backcast, moved, student, down, outer, 1)
        for j in range(k):
            hessian[i, j] = (up[free[j]] - down[free[j]]) / (2.0 * width)
    _symmetrise(hessian)
    if not _invert(hessian, inverse):
        return errors
    _scores(scaled, backcast, point, student, up, outer, 2)
    _mirror(outer)
    for i in range(k):
        variance = 0.0
        for j in range(k):
            for m in range(k):
                variance += inverse[i, j] * outer[free[j], free[m]] * inverse[m, i]
        if variance > 0.0:
            errors[free[i]] = math.sqrt(variance)
    errors[0] *= scale
    errors[1] *= scale * scale
    return errors
