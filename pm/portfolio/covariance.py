"""Estimate a covariance from weighted scenarios, shrunk so that it can be inverted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.risk.scenarios import Scenarios
    from pm.typing import FloatArray

__all__ = ["scenario_covariance", "shrinkage_intensity"]


def scenario_covariance(scenarios: Scenarios) -> FloatArray:
    """Return the covariance of scenarios, its correlations shrunk towards 0 (Ledoit and Wolf).

    The variances are those of the scenarios. The intensity of the shrinkage is estimated from the standardised returns,
    with the scenarios' probabilities as weights, so that fewer scenarios than tickers still give a matrix that can be
    inverted. A ticker whose return never varies has zeros.

    Returns
    -------
    Covariance, shape (tickers, tickers).

    References
    ----------
    Ledoit, O. and Wolf, M. (2004), A well-conditioned estimator for large-dimensional covariance matrices, Journal of
    Multivariate Analysis 88(2), 365-411.
    """
    weights = scenarios.probabilities
    centred = scenarios.returns - weights @ scenarios.returns
    deviations = np.sqrt(weights @ centred**2)
    standardised = centred / np.where(deviations > 0, deviations, 1.0)
    correlation = (standardised * weights[:, None]).T @ standardised
    intensity = shrinkage_intensity(standardised, weights)
    shrunk = (1 - intensity) * correlation
    np.fill_diagonal(shrunk, 1.0)
    return np.asarray(shrunk * np.outer(deviations, deviations))


def shrinkage_intensity(standardised: FloatArray, weights: FloatArray) -> float:
    """Return the share of the identity matrix that a shrunk correlation consists of, between 0 and 1.

    Parameters
    ----------
    standardised
        Returns of mean 0 and variance 1, shape (scenarios, tickers).
    weights
        Probability of each scenario, shape (scenarios,). With equal weights this is the estimator of Ledoit and Wolf.
    """
    count = standardised.shape[1]
    correlation = (standardised * weights[:, None]).T @ standardised
    distance = float(((correlation - np.eye(count)) ** 2).sum())
    # The variance of each product about its mean, times the sum of squared weights: 1/n for equal ones.
    squared = standardised**2
    products = float((weights**2) @ squared.sum(axis=1) ** 2) - float((weights**2).sum()) * float(
        (correlation**2).sum()
    )
    return float(np.clip(products / distance, 0.0, 1.0)) if distance > 0 else 0.0
