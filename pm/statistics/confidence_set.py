"""Model confidence set of Hansen, Lunde and Nason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.losses import RELATIVE_ROUNDING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.typing import FloatArray

__all__ = ["CONFIDENCE_SET_SIZE", "model_confidence_set"]

CONFIDENCE_SET_SIZE = 0.1
"""Significance level α of the confidence sets that are reported: a model is in the set if its p-value exceeds this."""


def model_confidence_set(losses: FloatArray, resampled: NDArray[np.intp]) -> FloatArray:
    """Return the p-value of each model's membership in the model confidence set, shape (models,).

    The set with confidence level 1 − α consists of the models whose p-value is above α. Models are eliminated one by
    one, starting with the one that has the largest loss compared with any other. In each round the range statistic, the
    largest t statistic of any difference of mean losses L̄_i − L̄_j, is compared with its bootstrap distribution under
    equal accuracy. The p-value of an eliminated model is the largest p-value up to its round; that of the last model
    is 1.

    Parameters
    ----------
    losses
        Shape (origins, models).
    resampled
        Positions drawn by `stationary_bootstrap`, shape (reps, origins). Blocks should be at least as long as the
        number of consecutive origins whose forecast windows overlap.

    Notes
    -----
    Two models with equal losses have a t statistic of 0 against each other, and are eliminated one after the other.

    References
    ----------
    Hansen, Lunde and Nason (2011), The model confidence set, Econometrica 79, section 3.1.2 (T_R).
    """
    origins, models = losses.shape
    mean = losses.mean(axis=0)
    cells = np.arange(len(resampled))[:, np.newaxis] * origins + resampled
    counts = np.bincount(cells.ravel(), minlength=len(resampled) * origins).reshape(len(resampled), origins)
    centred = counts @ (losses - mean) / origins
    differences = mean[:, np.newaxis] - mean
    draws = centred[:, :, np.newaxis] - centred[:, np.newaxis, :]
    standard_error = np.sqrt((draws**2).mean(axis=0))
    # If two losses differ by the same amount at every origin, the standard error is zero but for rounding: t is then
    # infinite, or 0 if the losses are equal.
    rounding = RELATIVE_ROUNDING * float(np.abs(mean).max())
    constant = standard_error <= rounding
    t = differences / np.where(constant, 1.0, standard_error)
    t[constant & (np.abs(differences) <= rounding)] = 0.0
    t[constant & (differences > rounding)] = np.inf
    t[constant & (differences < -rounding)] = -np.inf
    draws /= np.where(constant, np.inf, standard_error)

    p_values = np.ones(models)
    remaining = np.arange(models)
    p_value = 0.0
    while remaining.size > 1:
        current = t[np.ix_(remaining, remaining)]
        statistic = current.max()
        simulated = draws[:, remaining[:, np.newaxis], remaining].max(axis=(1, 2))
        p_value = max(p_value, float((simulated >= statistic).mean()))
        worst = int(np.argmax(current.max(axis=1)))
        p_values[remaining[worst]] = p_value
        remaining = np.delete(remaining, worst)
    return p_values
