"""An autoregression of a residual series, its order chosen and its stability made sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pm.forecast.spectral.recurrence import companion_radius
from pm.typing import FloatArray  # noqa: TC001 - an annotation of a dataclass's field

__all__ = ["Autoregression", "fit_autoregression"]

LARGEST_ROOT = 0.99
"""Largest modulus of a root that counts as stable: a shock has lost half its size after 69 bars."""

ROWS_PER_LAG = 10
"""Observations needed for every order that is tried."""


@dataclass(frozen=True)
class Autoregression:
    """The process x[t] = Σ φ[i]·x[t−1−i] + e[t], without a constant.

    Attributes
    ----------
    coefficients
        φ, shape (p,), newest lag first; p may be 0.
    variance
        Of e, in the series' own unit, squared.
    """

    coefficients: FloatArray
    variance: float

    @property
    def order(self) -> int:
        """Number of lags, p."""
        return int(self.coefficients.size)

    def forecast(self, history: FloatArray, horizon: int) -> FloatArray:
        """Give the expected path after each history, shape (horizon, histories).

        Parameters
        ----------
        history
            Shape (p or more rows, histories), oldest first.
        horizon
            Steps ahead.
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
    """Fit AR(p) by least squares, p from 0 to `max_order` by the Bayesian information criterion.

    All orders are compared on the same observations, n·ln(RSS/n) + p·ln(n), and all come out of one QR: with the lags
    as columns from the newest on, order p takes the first p of them. An order with a root outside the circle of radius
    .99 is passed over for the next lower one; AR(1) is drawn in to it.

    Parameters
    ----------
    residual
        Shape (n,), oldest first, of mean about zero.
    max_order
        Highest order; lowered where there are fewer than ten observations for each.
    """
    most = max(0, min(max_order, residual.size // ROWS_PER_LAG))
    target = residual[most:]
    total = float(target @ target)
    if most == 0 or total <= 0:
        return Autoregression(np.empty(0), total / max(target.size, 1))
    lags = np.column_stack([residual[most - lag : residual.size - lag] for lag in range(1, most + 1)])
    q, r = np.linalg.qr(lags)
    pieces = q.T @ target
    count = target.size
    # A residual that is no more than rounding has no dynamics worth the name; the floor keeps the logarithm finite.
    rss = np.maximum(total - np.concatenate([[0.0], np.cumsum(pieces**2)]), np.finfo(np.float64).eps * total)
    criterion = count * np.log(rss / count) + np.arange(most + 1) * np.log(count)
    independent = np.abs(np.diag(r)) > np.finfo(np.float64).eps * count * np.abs(r[0, 0])
    usable = most if independent.all() else int(np.argmin(independent))
    order = int(np.argmin(criterion[: usable + 1]))
    while order > 0:
        coefficients = np.linalg.solve(r[:order, :order], pieces[:order])
        if companion_radius(coefficients) <= LARGEST_ROOT:
            return Autoregression(coefficients, float(rss[order]) / count)
        if order == 1:
            return Autoregression(np.clip(coefficients, -LARGEST_ROOT, LARGEST_ROOT), float(rss[1]) / count)
        order -= 1
    return Autoregression(np.empty(0), total / count)
