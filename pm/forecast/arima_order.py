"""Which ARMA order a series of changes asks for: every small one tried, by conditional least squares.

A log price is differenced once and no more. That it has a unit root is what markets teach, and the search of the
M-competitions (KPSS tests, then differences) asked for exactly one difference on each of 120 windows of real prices; a
second one would extrapolate the last weeks' slope for ever. So an order is (p, q, mean) of an ARMA on the changes

    z[t] = c + Σ φ[i]·z[t−i] + e[t] + Σ θ[j]·e[t−j],    i ≤ p ≤ 2,  j ≤ q ≤ 2,  c = μ·(1 − Σ φ[i])

and there are 18 of them, few enough to try all. Starting values come from two regressions (Hannan and Rissanen: a long
autoregression stands in for the errors e), the least Σ e² from damped Gauss-Newton steps with exact derivatives.

Orders are ranked by −2·log-likelihood + penalty. A lag costs ln n (Schwarz), for eight combinations of them are tried
and Akaike's 2 would find one in every second random walk; the mean, a single alternative, costs 2·ln ln n (Hannan and
Quinn). Either price is consistent. `benchmarks/arima.py` prints what this and Akaike's criterion cost out of sample.

References
----------
Box, Jenkins, Reinsel and Ljung (2015), Time Series Analysis, 5th ed., sections 7.1 and 7.2 (conditional least squares).
Hannan and Rissanen (1982), Recursive estimation of mixed autoregressive-moving average order, Biometrika 69.
Hannan and Quinn (1979), The determination of the order of an autoregression, J. Royal Statistical Society B 41.
Schwarz (1978), Estimating the dimension of a model, Annals of Statistics 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["LARGEST", "Order", "conditional_squares", "is_admissible", "penalty", "rank_orders"]

LARGEST = 2
"""Largest p and largest q. A third of either won on 1,000 bars now and then and forecast no better."""

_NEAREST_ROOT = 1.01
"""Roots of 1 − Σ φ[i]·x^i and 1 + Σ θ[j]·x^j nearer the unit circle than this are artefacts of the sample."""

_STARTING_ROOT = 1.05
_STEPS = 30
_GAIN = 1e-7
"""A relative gain in Σ e² that ends the descent: of −2·log-likelihood it leaves 1e-4 on 1,000 bars."""

_LEAST_DAMPING, _MOST_DAMPING = 1e-12, 1e6


@dataclass(frozen=True)
class Order:
    """An order, with the estimates that it was judged by.

    Attributes
    ----------
    ar, ma
        p and q.
    mean
        Whether there is a μ; without one the price has no drift.
    criterion
        By which orders are ranked, from the conditional sum of squares and but for a constant; less is better.
    phi, theta, mu
        Estimates, shapes (p,), (q,) and scalar; μ in the units of the changes, 0 where there is none.
    """

    ar: int
    ma: int
    mean: bool
    criterion: float
    phi: FloatArray
    theta: FloatArray
    mu: float


def rank_orders(changes: FloatArray, *, means: tuple[bool, ...] = (False, True)) -> list[Order]:
    """Give the orders whose estimates are admissible, best first.

    Parameters
    ----------
    changes
        Shape (n,), finite and not all equal; n at least 30.
    means
        Try orders without a mean, with one, or both. The order without lags is always admissible.
    """
    moments, cross = _regressors(changes)
    used = changes.size - LARGEST  # every order is judged on the same observations
    found = []
    for mean in means:
        for ar in range(LARGEST + 1):
            for ma in range(LARGEST + 1):
                columns = [*range(int(mean)), *range(1, 1 + ar), *range(1 + LARGEST, 1 + LARGEST + ma)]
                solution = np.linalg.lstsq(moments[np.ix_(columns, columns)], cross[columns], rcond=None)
                start = solution[0].astype(np.float64)
                start[mean + ar :] = _moved_out(start[mean + ar :])
                squares, estimate = _descend(changes, ar, ma, int(mean), start)
                phi, theta = estimate[mean : mean + ar], estimate[mean + ar :]
                if not (np.isfinite(squares) and is_admissible(phi, theta)):
                    continue
                criterion = float(used * np.log(squares / used)) + penalty(ar + ma, used, mean=mean)
                mu = float(estimate[0] / (1.0 - phi.sum())) if mean else 0.0
                found.append(Order(ar, ma, mean, criterion, phi, theta, mu))
    return sorted(found, key=lambda order: order.criterion)


def penalty(lags: int, n: int, *, mean: bool) -> float:
    """Give what an order with this many lags must gain in −2·log-likelihood on n changes to be preferred to none."""
    return float(lags * np.log(n) + mean * 2.0 * np.log(np.log(n)))


def is_admissible(phi: FloatArray, theta: FloatArray) -> bool:
    """Tell whether an ARMA is stationary and invertible, with a little room to spare."""
    return min(_nearest_root(-phi), _nearest_root(theta)) > _NEAREST_ROOT


def conditional_squares(
    changes: FloatArray, phi: FloatArray, theta: FloatArray, constant: float | None = None
) -> tuple[float, FloatArray, FloatArray]:
    """Give Σ e², half its gradient and half its Gauss-Newton curvature, at (c, φ, θ); c only where it is given.

    e is 0 up to the first LARGEST changes, which only condition the rest.
    """
    head = [] if constant is None else [constant]
    at = np.concatenate([head, phi, theta])
    squares, gradient, curvature = _squares(changes, phi.size, theta.size, len(head), at)
    return squares, gradient, curvature


def _nearest_root(coefficients: FloatArray) -> float:
    """Give the least modulus of the roots of 1 + Σ a[i]·x^i, of degree 2 at most; infinite for a constant."""
    first, second = [*coefficients.tolist(), 0.0, 0.0][:LARGEST]
    if second == 0.0:
        return float(1.0 / abs(first)) if first else np.inf
    spread = np.sqrt(complex(first * first - 4.0 * second))
    return float(min(abs((-first + spread) / (2.0 * second)), abs((-first - spread) / (2.0 * second))))


def _moved_out(theta: FloatArray) -> FloatArray:
    """Give a θ whose roots are far enough outside the unit circle to start from, moved along their rays if need be."""
    shrink = min(1.0, _nearest_root(theta) / _STARTING_ROOT)
    return np.asarray(theta * shrink ** np.arange(1, theta.size + 1))


def _regressors(changes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give X'X and X'z for X = (1, lags of z, lags of e), where e are the errors of a long autoregression."""
    n = changes.size
    long = min(int(10 * np.log10(n)), n // 4)
    lagged = np.column_stack([np.ones(n - long), *(changes[long - i : n - i] for i in range(1, long + 1))])
    errors = np.zeros(n)
    errors[long:] = changes[long:] - lagged @ np.linalg.lstsq(lagged, changes[long:], rcond=None)[0]
    first = long + LARGEST
    lags = range(1, LARGEST + 1)
    design = np.column_stack(
        [np.ones(n - first), *(changes[first - i : n - i] for i in lags), *(errors[first - j : n - j] for j in lags)]
    )
    return design.T @ design, design.T @ changes[first:]


@compiled
def _squares(z, p, q, c, at):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled
    """Give Σ e², Σ e·∂e and Σ ∂e·∂e' at (c, φ, θ); the derivatives follow the recursion of e itself."""
    n, k = len(z), c + p + q
    e = np.zeros(n)
    slope = np.zeros((n, k))
    gradient, curvature = np.zeros(k), np.zeros((k, k))
    total = 0.0
    for t in range(LARGEST, n):
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
def _descend(z, p, q, c, start):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled
    """Go down from a start by Levenberg and Marquardt's steps; give the least Σ e² found, and where."""
    at = start.copy()
    total, gradient, curvature = _squares(z, p, q, c, at)
    damping = 1e-4
    for _ in range(_STEPS):
        damped = curvature.copy()
        for m in range(len(at)):
            damped[m, m] += damping * curvature[m, m] + 1e-300
        there = at - np.linalg.solve(damped, gradient)
        total_there, gradient_there, curvature_there = _squares(z, p, q, c, there)
        if total_there < total:
            gain = total - total_there
            at, total, gradient, curvature = there, total_there, gradient_there, curvature_there
            damping = max(0.2 * damping, _LEAST_DAMPING)
            if gain < _GAIN * total:
                break
        else:
            damping *= 10.0
            if damping > _MOST_DAMPING:
                break
    return total, at
