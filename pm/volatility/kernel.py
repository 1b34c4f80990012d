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
outer product of the scores (Berndt, Hall, Hall and Hausman 1974).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pm.volatility.compiled import compiled

if TYPE_CHECKING:
    from pm.volatility.base import FloatArray, IntArray

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
    "log_likelihood",
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
_FAR = 12.0
"""Log-likelihood by which a start may be below the best and still lead to the top."""

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
def _scores(
    returns: FloatArray,
    backcast: float,
    theta: FloatArray,
    student: bool,
    gradient: FloatArray,
    outer: FloatArray,
    wanted: int,
) -> float:
    """Give the log-likelihood at natural parameters; fill its gradient (wanted ≥ 1) and the scores' outer product (2)."""
    mu, omega, alpha, gamma, beta, nu = theta[0], theta[1], theta[2], theta[3], theta[4], theta[5]
    n = len(returns)
    persistence = alpha + 0.5 * gamma + beta
    h = omega + persistence * backcast
    d_mu, d_omega, d_alpha, d_gamma, d_beta = 0.0, 1.0, backcast, 0.5 * backcast, backcast
    gradient[:] = 0.0
    if wanted == 2:
        outer[:] = 0.0
    score = np.zeros(6)
    d_nu = 0.0
    constant = -0.5 * _LOG_2PI
    if student:
        constant = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))
        d_nu = 0.5 * _digamma(0.5 * (nu + 1.0)) - 0.5 * _digamma(0.5 * nu) - 0.5 / (nu - 2.0)
    product = 1.0
    logs = 0.0
    squares = 0.0
    for t in range(n):
        e = returns[t] - mu
        inverse = 1.0 / h
        standard = e * e * inverse
        if student:
            q = standard / (nu - 2.0)
            ratio = 1.0 / (1.0 + q)
            log_q = math.log1p(q)
            squares += (nu + 1.0) * log_q
            by_h = 0.5 * inverse * ((nu + 1.0) * q * ratio - 1.0)
            by_mu = (nu + 1.0) * e * inverse / (nu - 2.0) * ratio
            by_nu = d_nu - 0.5 * log_q + 0.5 * (nu + 1.0) * q * ratio / (nu - 2.0)
        else:
            squares += standard
            by_h = 0.5 * inverse * (standard - 1.0)
            by_mu = e * inverse
            by_nu = 0.0
        product *= h
        if not 1e-100 < product < 1e100:
            logs += math.log(product)
            product = 1.0
        if wanted >= 1:
            score[0] = by_mu + by_h * d_mu
            score[1] = by_h * d_omega
            score[2] = by_h * d_alpha
            score[3] = by_h * d_gamma
            score[4] = by_h * d_beta
            score[5] = by_nu
            for i in range(6):
                gradient[i] += score[i]
            if wanted == 2:
                for i in range(6):
                    for j in range(i + 1):
                        outer[i, j] += score[i] * score[j]
        # The next variance, and its derivatives.
        below = 1.0 if e < 0.0 else 0.0
        weight = alpha + gamma * below
        if wanted >= 1:
            d_mu = beta * d_mu - 2.0 * weight * e
            d_omega = beta * d_omega + 1.0
            d_alpha = beta * d_alpha + e * e
            d_gamma = beta * d_gamma + e * e * below
            d_beta = beta * d_beta + h
        h = omega + weight * e * e + beta * h
    logs += math.log(product)
    if wanted == 2:
        for i in range(6):
            for j in range(i):
                outer[j, i] = outer[i, j]
    return n * constant - 0.5 * (logs + squares)


@compiled
def _natural(x: FloatArray, leverage: bool, student: bool, theta: FloatArray, jacobian: FloatArray) -> None:
    """Fill the natural parameters of x, and their derivatives by x: jacobian[natural, free]."""
    jacobian[:] = 0.0
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
def _climb(
    returns: FloatArray, backcast: float, x: FloatArray, leverage: bool, student: bool, theta: FloatArray
) -> tuple[float, bool]:
    """Climb from x to a maximum; fill theta with its natural parameters, give (log-likelihood, converged)."""
    n = len(returns)
    free = np.array([i for i in range(6) if (i != 3 or leverage) and (i != 5 or student)])
    k = len(free)
    gradient, outer, jacobian = np.empty(6), np.empty((6, 6)), np.empty((6, 6))
    _natural(x, leverage, student, theta, jacobian)
    value = _scores(returns, backcast, theta, student, gradient, outer, 2) / n
    slope = np.empty(k)
    curvature = np.empty((k, k))
    for i in range(k):
        slope[i] = 0.0
        for p in range(6):
            slope[i] += jacobian[p, free[i]] * gradient[p] / n
        for j in range(k):
            total = 0.0
            for p in range(6):
                for q in range(6):
                    total += jacobian[p, free[i]] * outer[p, q] * jacobian[q, free[j]]
            curvature[i, j] = total / n
        curvature[i, i] += 1e-6
    if not np.isfinite(curvature).all():
        return value * n, False
    inverse = np.linalg.inv(curvature)
    trial = x.copy()
    step, new_slope, changed = np.empty(k), np.empty(k), np.empty(k)
    for _ in range(_STEPS):
        if not math.isfinite(value):
            return value * n, False
        largest = 0.0
        for i in range(k):
            largest = max(largest, abs(slope[i]))
        if largest < _GRADIENT_TOLERANCE:
            return value * n, True
        rise = 0.0
        longest = 0.0
        for i in range(k):
            step[i] = 0.0
            for j in range(k):
                step[i] += inverse[i, j] * slope[j]
            rise += step[i] * slope[i]
            longest = max(longest, abs(step[i]))
        if rise <= 0.0 or not math.isfinite(rise):  # the curvature has gone bad: straight up, once
            rise = 0.0
            longest = 0.0
            for i in range(k):
                for j in range(k):
                    inverse[i, j] = 1.0 if i == j else 0.0
                step[i] = slope[i]
                rise += slope[i] * slope[i]
                longest = max(longest, abs(step[i]))
        length = min(1.0, 1.5 / longest)  # further at once, and a share may land where its softmax is flat
        found = False
        new_value = value
        for _ in range(_HALVINGS):
            for i in range(k):
                trial[free[i]] = x[free[i]] + length * step[i]
            _natural(trial, leverage, student, theta, jacobian)
            new_value = _scores(returns, backcast, theta, student, gradient, outer, 1) / n
            if math.isfinite(new_value) and new_value >= value + 1e-4 * length * rise:
                found = True
                break
            length *= 0.3
        if not found:
            # No step upwards can be told from rounding: what slope is left decides whether this is the top.
            _natural(x, leverage, student, theta, jacobian)
            return value * n, largest < 1e-4
        for i in range(k):
            new_slope[i] = 0.0
            for p in range(6):
                new_slope[i] += jacobian[p, free[i]] * gradient[p] / n
        # BFGS on −log-likelihood: y = old slope − new slope.
        inner = 0.0
        for i in range(k):
            inner += length * step[i] * (slope[i] - new_slope[i])
        if inner > 1e-14:
            quadratic = 0.0
            for i in range(k):
                changed[i] = 0.0
                for j in range(k):
                    changed[i] += inverse[i, j] * (slope[j] - new_slope[j])
            for i in range(k):
                quadratic += (slope[i] - new_slope[i]) * changed[i]
            for i in range(k):
                for j in range(k):
                    inverse[i, j] += (1.0 + quadratic / inner) * length * step[i] * length * step[j] / inner - (
                        changed[i] * length * step[j] + length * step[i] * changed[j]
                    ) / inner
        gained = new_value - value
        value = new_value
        for i in range(k):
            x[free[i]] = trial[free[i]]
            slope[i] = new_slope[i]
        if gained < 1e-13 and largest < 1e-4:
            return value * n, True
    return value * n, False


@compiled
def _fit_one(returns: FloatArray, leverage: bool, student: bool, theta: FloatArray) -> tuple[int, float]:
    """Fit one series; fill theta, give (status, log-likelihood) in the series' own units."""
    n = len(returns)
    theta[:] = math.nan
    if n < _SHORTEST:
        return TOO_SHORT, math.nan
    mean, squares = 0.0, 0.0
    for t in range(n):
        if not math.isfinite(returns[t]):
            return NOT_FINITE, math.nan
        mean += returns[t] / n
    for t in range(n):
        squares += (returns[t] - mean) ** 2 / n
    scale = math.sqrt(squares)
    if not scale > 1e-12 * max(1.0, abs(mean)) or not math.isfinite(scale):
        return (CONSTANT if math.isfinite(scale) else NOT_FINITE), math.nan
    scaled = (returns - mean) / scale
    backcast = max(_backcast(scaled, 0.0), 1e-8)
    starts = len(_STARTS)
    likely = np.empty(starts)
    leverages = np.zeros(starts)
    gradient, outer, natural = np.empty(6), np.empty((6, 6)), np.zeros(6)
    for s in range(starts):
        _start(s, 0.0, student, natural)
        likely[s] = _scores(scaled, backcast, natural, student, gradient, outer, 0)
        if leverage:
            _start(s, _LEVERAGE_OF_START, student, natural)
            skewed = _scores(scaled, backcast, natural, student, gradient, outer, 0)
            if skewed > likely[s]:
                likely[s], leverages[s] = skewed, _LEVERAGE_OF_START
    best = -math.inf
    done = False
    x, found = np.zeros(6), np.empty(6)
    for half in range(2):
        first, last = (0, _PERSISTENT) if half == 0 else (_PERSISTENT, starts)
        s = first + np.argmax(likely[first:last])
        if likely[s] < likely.max() - _FAR and (done or half == 0):
            continue
        _start(s, leverages[s], student, natural)
        _free(natural, leverage, student, x)
        value, converged = _climb(scaled, backcast, x, leverage, student, found)
        if math.isfinite(value) and (value > best + 1e-6 or (converged and not done)):
            best = value
            done = converged
            theta[:] = found
    theta[0] = mean + scale * theta[0]
    theta[1] *= scale * scale
    return (CONVERGED if done else NOT_CONVERGED), best - n * math.log(scale)


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


@compiled
def fit_batch(
    values: FloatArray, begins: IntArray, leverage: bool, student: bool
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Fit every series and give their parameters, statuses and log-likelihoods.

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
def log_likelihood(returns: FloatArray, theta: FloatArray) -> float:
    """Give the log-likelihood of a series under given parameters; ν = ∞ is the normal."""
    gradient, outer = np.empty(6), np.empty((6, 6))
    return _scores(returns, _backcast(returns, returns.mean()), theta, math.isfinite(theta[5]), gradient, outer, 0)


@compiled
def robust_errors(returns: FloatArray, theta: FloatArray, leverage: bool) -> FloatArray:
    """Give the robust standard error of each parameter, NaN for those the model does not have.

    H⁻¹·G·H⁻¹ with G the outer product of the scores and H the Hessian, by central differences of the analytic
    gradient (Bollerslev and Wooldridge 1992, Quasi-maximum likelihood estimation, Econometric Reviews 11).
    """
    student = math.isfinite(theta[5])
    free = np.array([i for i in range(6) if (i != 3 or leverage) and (i != 5 or student)])
    k = len(free)
    errors = np.full(6, math.nan)
    mean = returns.mean()
    scale = math.sqrt(((returns - mean) ** 2).mean())
    scaled = (returns - mean) / scale
    backcast = _backcast(scaled, 0.0)
    unit = np.array([scale, scale * scale, 1.0, 1.0, 1.0, 1.0])
    point = theta / unit
    point[0] = (theta[0] - mean) / scale
    up, down, outer, spare = np.empty(6), np.empty(6), np.empty((6, 6)), np.empty((6, 6))
    _scores(scaled, backcast, point, student, up, outer, 2)
    hessian = np.empty((k, k))
    for i in range(k):
        moved = point.copy()
        width = 1e-5 * max(abs(point[free[i]]), 1e-2)
        moved[free[i]] = point[free[i]] + width
        _scores(scaled, backcast, moved, student, up, spare, 1)
        moved[free[i]] = point[free[i]] - width
        _scores(scaled, backcast, moved, student, down, spare, 1)
        for j in range(k):
            hessian[i, j] = (up[free[j]] - down[free[j]]) / (2.0 * width)
    hessian = 0.5 * (hessian + hessian.T)
    if not np.isfinite(hessian).all() or abs(np.linalg.det(hessian)) < 1e-300:
        return errors
    inverse = np.linalg.inv(hessian)
    inner = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            inner[i, j] = outer[free[i], free[j]]
    covariance = inverse @ inner @ inverse
    for i in range(k):
        if covariance[i, i] > 0.0:
            errors[free[i]] = math.sqrt(covariance[i, i]) * unit[free[i]]
    return errors
