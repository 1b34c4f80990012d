"""Stable autoregressions of residual series, with automatic choice of the order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pm.forecast.spectral.recurrence import companion_radius
from pm.typing import FloatArray  # noqa: TC001 - an annotation of a dataclass's field

__all__ = ["Autoregression", "fit_autoregression"]

MAX_ROOT_MODULUS = 0.99
"""Maximum modulus of the roots of a stable autoregression: half of a shock remains after 69 bars."""

OBSERVATIONS_PER_LAG = 10
"""Minimum number of observations for each lag of the highest order tried."""


@dataclass(frozen=True)
class Autoregression:
    """The process x[t] = Σ φ[i]·x[t−1−i] + e[t], without a constant.

    Attributes
    ----------
    coefficients
        Coefficients φ, shape (p,), newest lag first; p may be 0.
    variance
        Variance of e, in the squared unit of the series.
    """

    coefficients: FloatArray
    variance: float

    @property
    def order(self) -> int:
        """Number p of lags."""
        return int(self.coefficients.size)

    def forecast(self, history: FloatArray, horizon: int) -> FloatArray:
        """Return the expected path after each history, shape (horizon, histories).

        Parameters
        ----------
        history
            Past values, shape (p or more, histories), oldest first.
        horizon
            Number of steps to forecast.
        """
        order = self.order
        path = np.zeros((order + horizon, history.shape[1]))
        path[:order] = history[history.shape[0] - order :]
        if order:
            oldest_first = self.coefficients[::-1]
            for step in range(horizon):
                path[order + step] = oldest_first @ path[step : order + step]
        return path[order:]


def fit_autoregression(residual: FloatArray, max_order: int) -> Autoregression:
    """Fit an AR(p) by least squares, with p from 0 to `max_order` chosen by the Bayesian information criterion.

    The criterion n·ln(RSS/n) + p·ln(n) compares all orders on the same observations. One QR decomposition of the lags,
    newest first, serves all orders: order p uses its first p columns. If an order has a root of a modulus above
    MAX_ROOT_MODULUS, the next lower one is used; the coefficient of an AR(1) is clipped instead.

    Parameters
    ----------
    residual
        Shape (n,), oldest first, with a mean of about zero.
    max_order
        Highest order to try; reduced if there are fewer than OBSERVATIONS_PER_LAG observations for each lag.
    """
    highest = max(0, min(max_order, residual.size // OBSERVATIONS_PER_LAG))
    target = residual[highest:]
    total = float(target @ target)
    if highest == 0 or total <= 0:
        return Autoregression(np.empty(0), total / max(target.size, 1))
    lags = np.column_stack([residual[highest - lag : residual.size - lag] for lag in range(1, highest + 1)])
    q, r = np.linalg.qr(lags)
    projections = q.T @ target
    count = target.size
    # The minimum keeps the logarithm finite for a residual that consists of rounding errors.
    rss = np.maximum(total - np.concatenate([[0.0], np.cumsum(projections**2)]), np.finfo(np.float64).eps * total)
    criterion = count * np.log(rss / count) + np.arange(highest + 1) * np.log(count)
    independent = np.abs(np.diag(r)) > np.finfo(np.float64).eps * count * np.abs(r[0, 0])
    usable = highest if independent.all() else int(np.argmin(independent))
    order = int(np.argmin(criterion[: usable + 1]))
    while order > 0:
        coefficients = np.linalg.solve(r[:order, :order], projections[:order])
        if companion_radius(coefficients) <= MAX_ROOT_MODULUS:
            return Autoregression(coefficients, float(rss[order]) / count)
        if order == 1:
            return Autoregression(np.clip(coefficients, -MAX_ROOT_MODULUS, MAX_ROOT_MODULUS), float(rss[1]) / count)
        order -= 1
    return Autoregression(np.empty(0), total / count)
