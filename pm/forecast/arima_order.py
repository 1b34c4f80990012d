"""Order selection for ARIMA(p, 1, q): all small orders are fitted by conditional least squares and ranked.

A log price is always differenced once. Prices of markets have a unit root, and the usual search (KPSS tests, then
differences) chose exactly one difference for each of 120 windows of real prices. Two differences would extrapolate the
slope of the last weeks without end. An order is therefore (p, q, mean) of an ARMA on the changes

    z[t] = c + Σ φ[i]·z[t−i] + e[t] + Σ θ[j]·e[t−j],    i ≤ p ≤ 2,  j ≤ q ≤ 2,  c = μ·(1 − Σ φ[i])

There are 18 orders, few enough to fit all. Starting values come from two regressions (Hannan and Rissanen: the errors e
are approximated by those of a long autoregression); Σ e² is minimised by damped Gauss-Newton steps with exact
derivatives.

Orders are ranked by −2·log-likelihood + penalty. The penalty of a lag is ln n (Schwarz), because eight combinations of
lags are tried and with Akaike's penalty of 2 every second random walk would get one. The penalty of the mean, a single
alternative, is 2·ln ln n (Hannan and Quinn). Both penalties are consistent. `benchmarks/arima.py` compares the
out-of-sample errors of this criterion with those of Akaike's.

References
----------
Box, Jenkins, Reinsel and Ljung (2015), Time Series Analysis, 5th ed., sections 7.1 and 7.2 (conditional least squares).
Hannan and Rissanen (1982), Recursive estimation of mixed autoregressive-moving average order, Biometrika 69.
Hannan and Quinn (1979), The determination of the order of an autoregression, J. Royal Statistical Society B 41.
Schwarz (1978), Estimating the dimension of a model, Annals of Statistics 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["MAX_LAGS", "Order", "conditional_squares", "is_admissible", "penalty", "rank_orders"]

MAX_LAGS = 2
"""Maximum of p and of q. On 1,000 bars a third lag was chosen occasionally and did not improve forecasts."""

_MIN_ROOT_MODULUS = 1.01
"""Minimum modulus of the roots of 1 − Σ φ[i]·x^i and 1 + Σ θ[j]·x^j; roots closer to the unit circle are artefacts."""

_MIN_STARTING_MODULUS = 1.05
"""Minimum modulus of the roots of the moving-average part that the minimisation starts from."""

_MAX_STEPS = 30
"""Maximum number of steps of the minimisation."""

_RELATIVE_TOLERANCE = 1e-7
"""Relative decrease of Σ e² below which the minimisation ends: about 1e-4 of −2·log-likelihood on 1,000 bars."""

_MIN_DAMPING, _MAX_DAMPING = 1e-12, 1e6
"""Range of the damping of Gauss-Newton steps."""


@dataclass(frozen=True)
class Order:
    """An order and its conditional least-squares estimates.

    Attributes
    ----------
    ar, ma
        Numbers p and q of lags.
    mean
        Whether the changes have a mean μ; without one the price has no drift.
    criterion
        Criterion from the conditional sum of squares, up to a constant; smaller is better.
    phi, theta, mu
        Estimates, shapes (p,), (q,) and scalar; μ is in the unit of the changes, and 0 if there is no mean.
    """

    ar: int
    ma: int
    mean: bool
    criterion: float
    phi: FloatArray
    theta: FloatArray
    mu: float


def rank_orders(changes: FloatArray, *, means: tuple[bool, ...] = (False, True)) -> list[Order]:
    """Return the orders whose estimates are admissible, best first.

    Parameters
    ----------
    changes
        Shape (n,), finite and not all equal; n at least 30.
    means
        Whether to try orders without a mean (False), with one (True), or both. The order without lags is always
        admissible.
    """
    moments, cross = _moments(changes)
    used = changes.size - MAX_LAGS  # all orders are compared on the same observations
    found = []
    for mean in means:
        for ar in range(MAX_LAGS + 1):
            for ma in range(MAX_LAGS + 1):
                columns = [*range(int(mean)), *range(1, 1 + ar), *range(1 + MAX_LAGS, 1 + MAX_LAGS + ma)]
                solution = np.linalg.lstsq(moments[np.ix_(columns, columns)], cross[columns], rcond=None)
                start = solution[0].astype(np.float64)
                start[mean + ar :] = _make_invertible(start[mean + ar :])
                squares, estimate = _minimise(changes, ar, ma, int(mean), start)
                phi, theta = estimate[mean : mean + ar], estimate[mean + ar :]
                if not (np.isfinite(squares) and is_admissible(phi, theta)):
                    continue
                criterion = float(used * np.log(squares / used)) + penalty(ar + ma, used, mean=mean)
                mu = float(estimate[0] / (1.0 - phi.sum())) if mean else 0.0
                found.append(Order(ar, ma, mean, criterion, phi, theta, mu))
    return sorted(found, key=lambda order: order.criterion)


def penalty(lags: int, n: int, *, mean: bool) -> float:
    """Return the decrease of −2·log-likelihood on n changes at which an order with these lags is preferred to none."""
    return float(lags * np.log(n) + mean * 2.0 * np.log(np.log(n)))


def is_admissible(phi: FloatArray, theta: FloatArray) -> bool:
    """Return whether an ARMA is stationary and invertible, with a margin of `_MIN_ROOT_MODULUS`."""
    return min(_smallest_root_modulus(-phi), _smallest_root_modulus(theta)) > _MIN_ROOT_MODULUS


def conditional_squares(
    changes: FloatArray, phi: FloatArray, theta: FloatArray, constant: float | None = None
) -> tuple[float, FloatArray, FloatArray]:
    """Return Σ e², half its gradient and half its Gauss-Newton Hessian at (c, φ, θ), or (φ, θ) without a constant.

    The sum begins after the first MAX_LAGS changes, on which it is conditional and whose errors e are taken as 0.
    """
    head = [] if constant is None else [constant]
    at = np.concatenate([head, phi, theta])
    squares, gradient, curvature = _squares(changes, phi.size, theta.size, len(head), at)
    return squares, gradient, curvature


def _smallest_root_modulus(coefficients: FloatArray) -> float:
    """Return the smallest modulus of the roots of 1 + Σ a[i]·x^i, of degree 2 at most; infinite for a constant."""
    first, second = [*coefficients.tolist(), 0.0, 0.0][:MAX_LAGS]
    if second == 0.0:
        return float(1.0 / abs(first)) if first else np.inf
    root = np.sqrt(complex(first * first - 4.0 * second))
    return float(min(abs((-first + root) / (2.0 * second)), abs((-first - root) / (2.0 * second))))


def _make_invertible(theta: FloatArray) -> FloatArray:
    """Return θ with all its roots scaled by the same factor, if necessary, to a modulus of `_MIN_STARTING_MODULUS`."""
    shrink = min(1.0, _smallest_root_modulus(theta) / _MIN_STARTING_MODULUS)
    return np.asarray(theta * shrink ** np.arange(1, theta.size + 1))


def _moments(changes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return X'X and X'z for X = (1, lags of z, lags of e), where e are the errors of a long autoregression."""
    n = changes.size
    long = min(int(10 * np.log10(n)), n // 4)
    lagged = np.column_stack([np.ones(n - long), *(changes[long - i : n - i] for i in range(1, long + 1))])
    errors = np.zeros(n)
    errors[long:] = changes[long:] - lagged @ np.linalg.lstsq(lagged, changes[long:], rcond=None)[0]
    first = long + MAX_LAGS
    lags = range(1, MAX_LAGS + 1)
    design = np.column_stack(
        [np.ones(n - first), *(changes[first - i : n - i] for i in lags), *(errors[first - j : n - j] for j in lags)]
    )
    return design.T @ design, design.T @ changes[first:]


@compiled
def _squares(z, p, q, c, at):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled
    """Return Σ e², Σ e·∂e and Σ ∂e·∂e' at (c, φ, θ); the derivatives ∂e follow the same recursion as e."""
    n, k = len(z), c + p + q
    e = np.zeros(n)
    slope = np.zeros((n, k))
    gradient, curvature = np.zeros(k), np.zeros((k, k))
    total = 0.0
    for t in range(MAX_LAGS, n):
        error = z[t]
        if c:
            error -= at[0]
            slope[t, 0] = -1.0
        for i in range(p):
            error -= at[c + i] * z[t - 1 - i]
            slope[t, c + i] = -z[t - 1 - i]
        for j in range(q):
            error -= at[c + p + j] * e[t - 1 - j]
            slope[t, c + p + j] = -e[t - 1 - j]
        for j in range(q):
            for m in range(k):
                slope[t, m] -= at[c + p + j] * slope[t - 1 - j, m]
        e[t] = error
        total += error * error
        for m in range(k):
            gradient[m] += error * slope[t, m]
            for o in range(k):
                curvature[m, o] += slope[t, m] * slope[t, o]
    return total, gradient, curvature


@compiled
def _damped_step(curvature, gradient, damping, step):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled
    """Fill the solution of (H + damping·diag H)·step = −gradient, by Cholesky's method."""
    k = len(gradient)
    root = np.zeros((k, k))
    for i in range(k):
        total = -gradient[i]
        for j in range(i + 1):
            value = curvature[i, j] if j < i else (1.0 + damping) * curvature[i, i] + 1e-300
            for m in range(j):
                value -= root[i, m] * root[j, m]
            if j < i:
                root[i, j] = value / root[j, j]
                total -= root[i, j] * step[j]
            else:
                root[i, i] = math.sqrt(value)
        step[i] = total / root[i, i]
    for i in range(k - 1, -1, -1):
        for j in range(i + 1, k):
            step[i] -= root[j, i] * step[j]
        step[i] /= root[i, i]


@compiled
def _minimise(z, p, q, c, start):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled
    """Minimise Σ e² by Levenberg-Marquardt steps; return the smallest value found and its parameters."""
    k = len(start)
    at, step = np.empty(k), np.empty(k)
    for m in range(k):
        at[m] = start[m]
    total, gradient, curvature = _squares(z, p, q, c, at)
    damping = 1e-4
    for _ in range(_MAX_STEPS):
        _damped_step(curvature, gradient, damping, step)
        there = np.empty(k)
        for m in range(k):
            there[m] = at[m] + step[m]
        total_there, gradient_there, curvature_there = _squares(z, p, q, c, there)
        if total_there < total:
            gain = total - total_there
            at, total, gradient, curvature = there, total_there, gradient_there, curvature_there
            damping = max(0.2 * damping, _MIN_DAMPING)
            if gain < _RELATIVE_TOLERANCE * total:
                break
        else:
            damping *= 10.0
            if damping > _MAX_DAMPING:
                break
    return total, at
