"""Whether probabilities are calibrated: the Brier score, its parts, and reliability by isotonic regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["BrierParts", "Reliability", "brier_parts", "reliability"]


@dataclass(frozen=True)
class BrierParts:
    """The Brier score and Murphy's parts: score = reliability − resolution + uncertainty.

    Attributes
    ----------
    score
        Mean squared difference between probability and outcome; smaller is better.
    reliability
        Mean squared difference between each probability and the frequency of the event where it was given; 0 is right.
    resolution
        Variance of those frequencies; larger is better.
    uncertainty
        Variance of the outcome: the score of always giving its frequency.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float


def brier_parts(probabilities: FloatArray, outcomes: FloatArray) -> BrierParts:
    """Return the Brier score with Murphy's parts, one group for each different probability.

    Parameters
    ----------
    probabilities
        Probability of the event, shape (forecasts,). For probabilities that hardly ever repeat, `reliability` groups
        them by isotonic regression instead.
    outcomes
        1 where it happened, 0 where not.

    References
    ----------
    Murphy, A. (1973), A new vector partition of the probability score, Journal of Applied Meteorology 12.

    Examples
    --------
    >>> parts = brier_parts(np.array([0.1, 0.1, 0.8]), np.array([0.0, 0.0, 1.0]))
    >>> round(parts.score, 4)
    0.02
    """
    values, groups, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    frequencies = np.bincount(groups, weights=outcomes) / counts
    base = float(outcomes.mean())
    shares = counts / len(outcomes)
    return BrierParts(
        float(((probabilities - outcomes) ** 2).mean()),
        float(shares @ (values - frequencies) ** 2),
        float(shares @ (frequencies - base) ** 2),
        base * (1 - base),
    )


@dataclass(frozen=True)
class Reliability:
    """The reliability diagram of probabilities, by isotonic regression (CORP).

    Attributes
    ----------
    probabilities
        Different probabilities that were given, ascending, shape (groups,).
    counts
        Number of forecasts with each.
    frequencies
        Frequency of the event for each, by isotonic regression: it never falls as the probability rises.
    score
        Mean Brier score.
    miscalibration, discrimination, uncertainty
        score = miscalibration − discrimination + uncertainty. Miscalibration is what the score would gain if each
        probability were replaced by its frequency; discrimination, what these frequencies gain over one for all.
    """

    probabilities: FloatArray
    counts: FloatArray
    frequencies: FloatArray
    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float


def reliability(probabilities: FloatArray, outcomes: FloatArray) -> Reliability:
    """Return the reliability diagram and its parts, without bins that someone would have to choose.

    Raises
    ------
    ValueError
        There is no forecast.

    References
    ----------
    Dimitriadis, T., Gneiting, T. and Jordan, A. (2021), Stable reliability diagrams for probabilistic classifiers,
    PNAS 118(8).
    """
    from scipy.optimize import isotonic_regression

    if not len(probabilities):
        raise ValueError("there is no forecast")
    values, groups, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    means = np.bincount(groups, weights=outcomes) / counts
    fitted = isotonic_regression(means, weights=counts.astype(np.float64)).x
    base = float(outcomes.mean())
    score = float(((probabilities - outcomes) ** 2).mean())
    recalibrated = float(((fitted[groups] - outcomes) ** 2).mean())
    uncertainty = base * (1 - base)
    return Reliability(
        values, counts.astype(np.float64), fitted, score, score - recalibrated, uncertainty - recalibrated, uncertainty
    )
