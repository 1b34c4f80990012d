"""The model confidence set of Hansen, Lunde and Nason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.losses import ROUNDING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.typing import FloatArray

__all__ = ["model_confidence_set"]


def model_confidence_set(losses: FloatArray, resampled: NDArray[np.intp]) -> FloatArray:
    """Give each model's p-value of belonging to the model confidence set; the set at level 1 − α holds those above α.

    Models are eliminated one by one, the one that does worst against some other first. At each turn the range
    statistic, the largest t of any difference of mean losses L̄_i − L̄_j, is held against its bootstrapped distribution
    under equal accuracy; a model's p-value is the largest so far, and that of the last one 1.

    Parameters
    ----------
    losses
        Shape (origins, models).
    resampled
        From `stationary_bootstrap`: shape (reps, origins). Blocks should be no shorter than forecast windows overlap.

    Notes
    -----
    Two models with the same losses have a t of 0 against each other, and leave one after the other.

    References
    ----------
    Hansen, Lunde and Nason (2011), The model confidence set, Econometrica 79, section 3.1.2 (T_R).
    """
    origins, models = losses.shape
    mean = losses.mean(axis=0)
    counts = np.zeros((len(resampled), origins))
    np.add.at(counts, (np.arange(len(resampled))[:, np.newaxis], resampled), 1.0)
    centred = counts @ (losses - mean) / origins
    gaps = mean[:, np.newaxis] - mean
    draws = centred[:, :, np.newaxis] - centred[:, np.newaxis, :]
    spread = np.sqrt((draws**2).mean(axis=0))
    # Where the difference is the same at every origin there is no spread to divide by, or one of rounding: t is then
    # infinite, or 0 if the losses are equal too.
    rounding = ROUNDING * float(np.abs(mean).max())
    constant = spread <= rounding
    t = gaps / np.where(constant, 1.0, spread)
    t[constant & (np.abs(gaps) <= rounding)] = 0.0
    t[constant & (gaps > rounding)] = np.inf
    t[constant & (gaps < -rounding)] = -np.inf
    draws /= np.where(constant, np.inf, spread)

    p_values = np.ones(models)
    alive = np.arange(models)
    highest = 0.0
    while alive.size > 1:
        current = t[np.ix_(alive, alive)]
        statistic = current.max()
        simulated = draws[:, alive[:, np.newaxis], alive].max(axis=(1, 2))
        highest = max(highest, float((simulated >= statistic).mean()))
        worst = int(np.argmax(current.max(axis=1)))
        p_values[alive[worst]] = highest
        alive = np.delete(alive, worst)
    return p_values
