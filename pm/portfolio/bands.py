"""Trade only what is far enough from its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.typing import BoolArray, FloatArray

__all__ = ["banded"]


def banded(
    target: FloatArray,
    held: FloatArray,
    *,
    band: float,
    smallest: float,
    invested: float,
) -> tuple[FloatArray, BoolArray]:
    """Return the weights to hold, and which of them are traded.

    A weight is traded only if |target − held| exceeds `band` times the larger of the two, and is at least `smallest` or
    closes the position. So a position that is opened or closed is always beyond the band. If the weights that stay
    leave less to invest than the purchases need, the purchases are made smaller in proportion.

    Parameters
    ----------
    target, held
        Weights aimed at, and held at today's prices, shape (tickers,).
    band
        Share of the larger of the two absolute weights.
    smallest
        Smallest absolute change of a weight that is an order.
    invested
        Largest sum of the weights.

    Returns
    -------
    Weights, shape (tickers,), and whether each is traded. Those that are not are exactly the ones held.
    """
    change = target - held
    far = np.abs(change) > band * np.maximum(np.abs(target), np.abs(held))
    traded = far & ((np.abs(change) >= smallest) | (target == 0)) & (change != 0)
    weights = np.where(traded, target, held)
    buys = traded & (change > 0)
    excess = float(weights.sum()) - max(invested, float(target.sum()))
    bought = float(change[buys].sum())
    if excess > 0 and bought > 0:
        kept = max(0.0, 1 - excess / bought)
        weights[buys] = held[buys] + kept * change[buys]
        small = buys & (np.abs(weights - held) < max(smallest, 1e-12))
        weights[small] = held[small]
        traded = traded & ~small
    return weights, traded
