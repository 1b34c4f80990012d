"""The compiled likelihood of GARCH(1,1), GJR and Student t: recursion, derivatives, and parameters without bounds.

The parameters of a model are always the six (μ, ω, α, γ, β, ν); a model without leverage has γ = 0, one with normal
shocks has ν = ∞:

    r[t] = μ + e[t],  e[t] = √h[t]·z[t],  h[t+1] = ω + (α + γ·1[e[t] < 0])·e[t]² + β·h[t]

with z normal or Student t of unit variance. The recursion starts from h[0] = ω + (α + γ/2 + β)·b, where the backcast b
is the exponentially weighted mean of the first 75 squared shocks, as in `arch`.

The likelihood is maximised over x, which has no bounds: x₀ = μ; ω = exp x₁; the shares (α/2, (α + γ)/2, β, slack) are a
softmax of (x₂, x₃, x₄, 0), so that α ≥ 0, α + γ ≥ 0, β ≥ 0 and α + γ/2 + β < 1 hold everywhere; 1/ν is a logistic
function of x₅ between 1/500 and 1/2.05. The gradient is analytic and is computed in the same pass as the recursion
(Fiorentini, Calzolari and Panattoni 1996, Analytic derivatives and the computation of GARCH estimates, J. Applied
Econometrics 11).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled
from pm.volatility.base import BACKCAST_RETURNS
from pm.volatility.matrices import clear

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray

__all__ = [
    "ALPHA",
    "BETA",
    "GAMMA",
    "LARGEST_INVERSE_NU",
    "MU",
    "NU",
    "OMEGA",
    "SMALLEST_INVERSE_NU",
    "backcast",
    "conditional_variances",
    "digamma",
    "estimated_parameters",
    "gradient_by_free_parameters",
    "log_likelihood",
    "mean_conditional_variances",
    "to_free_parameters",
    "to_natural_parameters",
]

MU, OMEGA, ALPHA, GAMMA, BETA, NU = range(6)
"""Places of the parameters in every array of parameters."""

_BACKCAST_DECAY = 0.94
SMALLEST_INVERSE_NU = 1.0 / 500.0
LARGEST_INVERSE_NU = 1.0 / 2.05

_LOG_2PI = math.log(2.0 * math.pi)


@compiled
def digamma(x: float) -> float:
    """Return ψ(x) for x > 0, to about 1e-12: the recurrence up to x ≥ 8, then the asymptotic series."""
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
def backcast(returns: FloatArray, mean: float) -> float:
    """Return the exponentially weighted mean of the first 75 squared deviations from `mean`."""
    total = 0.0
    weights = 0.0
    weight = 1.0
    for t in range(min(BACKCAST_RETURNS, len(returns))):
        total += weight * (returns[t] - mean) ** 2
        weights += weight
        weight *= _BACKCAST_DECAY
    return total / weights


@compiled
def _log_density_at_zero(nu: float, student: bool) -> tuple[float, float]:
    """Return the log-density of a standardised shock of 0, and its derivative by ν."""
    if not student:
        return -0.5 * _LOG_2PI, 0.0
    log_density = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))
    return log_density, 0.5 * (digamma(0.5 * (nu + 1.0)) - digamma(0.5 * nu) - 1.0 / (nu - 2.0))


@compiled
def log_likelihood(
    returns: FloatArray,
    start: float,
    theta: FloatArray,
    student: bool,
    gradient: FloatArray,
    outer: FloatArray,
    order: int,
) -> float:
    """Return the log-likelihood, and fill its derivatives by the natural parameters.

    Parameters
    ----------
    returns
        Returns, oldest first.
    start
        Variance that the recursion starts from: see `backcast`.
    theta
        Natural parameters.
    student
        Whether shocks are Student t.
    gradient
        Filled with the gradient if `order` is at least 1; shape (6,).
    outer
        Lower triangle filled with the outer product of the scores, summed over observations, if `order` is 2; shape
        (6, 6).
    order
        0 for the log-likelihood alone, 1 for the gradient too, 2 for the outer product of the scores too.
    """
    mu, omega, alpha, gamma, beta, nu = theta[0], theta[1], theta[2], theta[3], theta[4], theta[5]
    h = omega + (alpha + 0.5 * gamma + beta) * start
    d_mu, d_omega, d_alpha, d_gamma, d_beta = 0.0, 1.0, start, 0.5 * start, start
    constant, d_nu = _log_density_at_zero(nu, student)
    g_mu, g_omega, g_alpha, g_gamma, g_beta, g_nu = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    clear(outer)
    # One logarithm of a product replaces many; it is taken before the product leaves the range of floats.
    variances, tails, log_variances, log_tails, squares = 1.0, 1.0, 0.0, 0.0, 0.0
    inverse_freedom = 1.0 / (nu - 2.0) if student else 0.0
    for t in range(len(returns)):
        e = returns[t] - mu
        inverse = 1.0 / h
        standard = e * e * inverse
        squares += standard
        tail, pull = 1.0, 1.0
        if student:
            tail = 1.0 + standard * inverse_freedom
            pull = (nu + 1.0) * inverse_freedom / tail
            tails *= tail
            if not tails < 1e100:
                log_tails += math.log(tails)
                tails = 1.0
        variances *= h
        if not 1e-100 < variances < 1e100:
            log_variances += math.log(variances)
            variances = 1.0
        weight = alpha + (gamma if e < 0.0 else 0.0)
        if order >= 1:
            by_h = 0.5 * inverse * (pull * standard - 1.0)
            by_mu = pull * e * inverse + by_h * d_mu
            by_nu = 0.5 * pull * standard * inverse_freedom
            g_mu += by_mu
            g_omega += by_h * d_omega
            g_alpha += by_h * d_alpha
            g_gamma += by_h * d_gamma
            g_beta += by_h * d_beta
            g_nu += by_nu
            if order == 2:
                if student:
                    by_nu += d_nu - 0.5 * math.log(tail)
                _add_outer_product((by_mu, by_h * d_omega, by_h * d_alpha, by_h * d_gamma, by_h * d_beta, by_nu), outer)
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
def _add_outer_product(score: tuple[float, float, float, float, float, float], outer: FloatArray) -> None:
    """Add the outer product of an observation's score with itself to the lower triangle."""
    for i in range(6):
        for j in range(i + 1):
            outer[i, j] += score[i] * score[j]


@compiled
def to_natural_parameters(
    x: FloatArray, leverage: bool, student: bool, theta: FloatArray, jacobian: FloatArray
) -> None:
    """Fill the natural parameters that x means, and their derivatives by x: jacobian[natural, free]."""
    clear(jacobian)
    theta[0] = x[0]
    jacobian[0, 0] = 1.0
    theta[1] = math.exp(x[1])
    jacobian[1, 1] = theta[1]
    # Softmax against a slack whose logit is 0; without leverage the two shares of the shock are one.
    largest = max(0.0, x[2], x[3], x[4]) if leverage else max(0.0, x[2], x[4])
    a = math.exp(x[2] - largest)
    g = math.exp(x[3] - largest) if leverage else 0.0
    b = math.exp(x[4] - largest)
    total = a + g + b + math.exp(-largest)
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
        inverse = SMALLEST_INVERSE_NU + (LARGEST_INVERSE_NU - SMALLEST_INVERSE_NU) * share
        theta[5] = 1.0 / inverse
        jacobian[5, 5] = -(LARGEST_INVERSE_NU - SMALLEST_INVERSE_NU) * share * (1.0 - share) / (inverse * inverse)
    else:
        theta[5] = math.inf


@compiled
def to_free_parameters(theta: FloatArray, leverage: bool, student: bool, x: FloatArray) -> None:
    """Fill x from natural parameters strictly inside the bounds: the inverse of `to_natural_parameters`."""
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
        share = (1.0 / theta[5] - SMALLEST_INVERSE_NU) / (LARGEST_INVERSE_NU - SMALLEST_INVERSE_NU)
        x[5] = math.log(share / (1.0 - share))


@compiled
def estimated_parameters(leverage: bool, student: bool) -> IntArray:
    """Return the places of the parameters that a model estimates."""
    places = np.empty(6, dtype=np.int64)
    k = 0
    for i in range(6):
        if (i != GAMMA or leverage) and (i != NU or student):
            places[k] = i
            k += 1
    return places[:k]


@compiled
def gradient_by_free_parameters(
    jacobian: FloatArray, gradient: FloatArray, estimated: IntArray, n: int, slope: FloatArray
) -> None:
    """Fill the gradient by x of the mean log-likelihood of n observations.

    Parameters
    ----------
    jacobian
        Derivatives of the natural parameters by x.
    gradient
        Gradient of the log-likelihood by the natural parameters.
    estimated
        Places of the estimated parameters.
    n
        Number of observations.
    slope
        Filled; an element for each estimated parameter.
    """
    for i in range(len(estimated)):
        slope[i] = 0.0
        for p in range(6):
            slope[i] += jacobian[p, estimated[i]] * gradient[p] / n


@compiled
def conditional_variances(returns: FloatArray, theta: FloatArray) -> FloatArray:
    """Return h[0] … h[n] under given parameters: the variance of each of n returns, and of the next one.

    Each variance depends on earlier returns only, except that the recursion starts from the first 75.
    """
    n = len(returns)
    h = np.empty(n + 1)
    persistence = theta[2] + 0.5 * theta[3] + theta[4]
    h[0] = theta[1] + persistence * backcast(returns, theta[0])
    for t in range(n):
        e = returns[t] - theta[0]
        weight = theta[2] + (theta[3] if e < 0.0 else 0.0)
        h[t + 1] = theta[1] + weight * e * e + theta[4] * h[t]
    return h


@compiled
def mean_conditional_variances(returns: FloatArray, fits: FloatArray) -> FloatArray:
    """Return the mean of the variances of several fits, h[0] … h[n]; see `conditional_variances`.

    Parameters
    ----------
    returns
        Returns of a series.
    fits
        Parameters μ, ω, α, γ, β of each fit, shape (fits, 5).
    """
    mean = np.zeros(len(returns) + 1)
    for fit in range(len(fits)):
        mu, omega, alpha, gamma, beta = fits[fit, 0], fits[fit, 1], fits[fit, 2], fits[fit, 3], fits[fit, 4]
        h = omega + (alpha + 0.5 * gamma + beta) * backcast(returns, mu)
        mean[0] += h / len(fits)
        for t in range(len(returns)):
            e = returns[t] - mu
            weight = alpha + (gamma if e < 0.0 else 0.0)
            h = omega + weight * e * e + beta * h
            mean[t + 1] += h / len(fits)
    return mean
