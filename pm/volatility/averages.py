"""Exponentially weighted means of a series, which start without a past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["exponential_mean"]


def exponential_mean(values: FloatArray, mean_age: float) -> FloatArray:
    """Return the weighted mean of each value and those before it, with weights ∝ (1 − α)^age, α = 1/(1 + mean_age).

    Parameters
    ----------
    values
        Values, oldest first.
    mean_age
        Mean age of the weights of a long series, in values.
    """
    from scipy.signal import lfilter  # scipy.signal takes 0.3 s to import

    decay = mean_age / (1.0 + mean_age)
    weights = lfilter([1.0], [1.0, -decay], np.ones(len(values)))
    return np.asarray(lfilter([1.0], [1.0, -decay], values) / weights)
