"""Differences between the losses of two forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["ROUNDING", "loss_differential"]

ROUNDING = 1e-9
"""Losses closer than this share of the larger are equal: what is left is rounding, not skill."""


def loss_differential(benchmark: FloatArray, losses: FloatArray) -> FloatArray:
    """Give how much less was lost than by the benchmark; exactly zero where the two differ by rounding alone."""
    difference = benchmark - losses
    size = np.maximum(np.abs(benchmark), np.abs(losses))
    return np.where(np.abs(difference) > ROUNDING * size, difference, 0.0)
