"""Compile all that the risk of portfolios compiles, by simulating a few paths."""

from __future__ import annotations

import numpy as np

from pm.risk.simulation import fill_joint_paths

__all__ = ["warm_up"]


def warm_up() -> None:
    """Simulate two paths of one ticker, so that later simulations find all functions compiled."""
    draws = np.zeros((2, 2), dtype=np.int64)
    residuals, dynamics = np.ones((3, 1)), np.full((5, 1), 0.1)
    fill_joint_paths(np.empty((1, 2, 1)), np.array([2]), draws, residuals, dynamics)
