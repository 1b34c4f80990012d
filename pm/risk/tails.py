"""Losses beyond the levels that scenarios reach: peaks over a threshold with a generalised Pareto tail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.errors import InputError

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["ParetoTail", "fit_tail"]

MIN_EXCESSES = 30
"""Minimum number of losses beyond the threshold."""
_LARGEST_SHAPE = 0.95
"""Largest shape that is fitted: from 1 on the expected shortfall is infinite."""


@dataclass(frozen=True)
class ParetoTail:
    """A loss beyond a threshold u exceeds it by more than y with probability (1 + ξ·y/β)^(−1/ξ).

    Attributes
    ----------
    threshold
        u.
    shape, scale
        ξ and β; ξ = 0 is an exponential tail.
    probability
        Probability of a loss beyond the threshold.
    """

    threshold: float
    shape: float
    scale: float
    probability: float

    def value_at_risk(self, level: float) -> float:
        """Return u + β/ξ·(((1 − level) / P(L > u))^(−ξ) − 1).

        Raises
        ------
        ValueError
            The level is below that of the threshold.
        """
        ratio = (1.0 - level) / self.probability
        if ratio > 1.0:
            raise ValueError(f"level {level} is below the threshold's, {1.0 - self.probability}")
        if abs(self.shape) < 1e-9:
            return self.threshold - self.scale * math.log(ratio)
        return self.threshold + self.scale / self.shape * math.expm1(-self.shape * math.log(ratio))

    def expected_shortfall(self, level: float) -> float:
        """Return VaR/(1 − ξ) + (β − ξ·u)/(1 − ξ)."""
        return (self.value_at_risk(level) + self.scale - self.shape * self.threshold) / (1.0 - self.shape)


def fit_tail(losses: FloatArray, probabilities: FloatArray, *, level: float) -> ParetoTail:
    """Fit a generalised Pareto tail to the losses beyond a quantile, by weighted maximum likelihood.

    Parameters
    ----------
    losses
        Loss in each scenario.
    probabilities
        Probability of each scenario.
    level
        Probability of a loss up to the threshold, such as 0.95.

    Raises
    ------
    InputError
        Fewer than 30 different losses are beyond the threshold.

    References
    ----------
    McNeil and Frey (2000), Estimation of tail-related risk measures for heteroscedastic financial time series, J.
    Empirical Finance 7.
    Embrechts, Klüppelberg and Mikosch (1997), Modelling Extremal Events, section 6.5.
    """
    from scipy.optimize import minimize

    order = np.argsort(losses, kind="stable")
    place = int(np.searchsorted(np.cumsum(probabilities[order]), level - 1e-12))
    threshold = float(losses[order[min(place, len(order) - 1)]])
    beyond = losses > threshold
    excesses, weights = losses[beyond] - threshold, probabilities[beyond]
    if len(np.unique(excesses)) < MIN_EXCESSES:
        raise InputError(
            f"Only {len(np.unique(excesses))} losses are beyond the {level:.4g} quantile; a tail needs {MIN_EXCESSES}.",
            where="risk.tail_threshold",
            hint="lower risk.tail_threshold, or raise risk.window",
        )
    share = weights / weights.sum()
    mean = float(share @ excesses)
    scaled = excesses / mean
    largest = float(scaled.max())

    def negative_log_likelihood(parameters: FloatArray) -> float:
        shape, scale = float(parameters[0]), math.exp(min(float(parameters[1]), 50.0))
        if shape > _LARGEST_SHAPE or 1.0 + shape * largest / scale <= 0.0:
            return math.inf
        if abs(shape) < 1e-9:
            return math.log(scale) + float(share @ scaled) / scale
        return math.log(scale) + (1.0 + 1.0 / shape) * float(share @ np.log1p(shape * scaled / scale))

    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4_000}
    best = minimize(negative_log_likelihood, np.array([0.1, 0.0]), method="Nelder-Mead", options=options)
    return ParetoTail(
        threshold, float(best.x[0]), math.exp(float(best.x[1])) * mean, float(probabilities[beyond].sum())
    )
