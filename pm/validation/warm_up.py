"""Compile what backtests compile, by simulating a portfolio of one ticker."""

from __future__ import annotations

import numpy as np

from pm.validation.simulation import simulate_portfolio

__all__ = ["warm_up"]


def warm_up() -> None:
    """Simulate two sessions, so that later simulations find all functions compiled."""
    prices = np.ones((2, 1))
    simulate_portfolio(prices, prices, np.array([0], dtype=np.int64), np.ones((1, 1)), start=1.0, cost=0.001)
