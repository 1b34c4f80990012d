"""Adaptive conformal inference on levels: which level of a forecast distribution has held the share it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.typing import FloatArray, IntArray

__all__ = ["REGIMES", "adaptive_levels", "volatility_regimes"]

REGIMES = ("low", "middle", "high")
"""Thirds of a ticker's volatility, by its own recent past."""

_REGIME_SESSIONS = 250
_REGIME_LEAST = 60
_LENT = 0.3
"""How much an outcome of one regime teaches the other two, against its own: too little, and a regime that was rare of
late has learnt nothing; all of it, and there are no regimes."""

_EDGE = 0.002


def volatility_regimes(sigma: FloatArray, places: IntArray) -> IntArray:
    """Give the regime of some sessions, as an index of `REGIMES`: the third of the 250 before it that its sigma is in.

    One with fewer than 60 before it is in the middle.
    """
    from pm.volatility.paths import shares_below  # numba takes 0.5 s to import

    shares = shares_below(sigma, places, _REGIME_SESSIONS, _REGIME_LEAST)
    return np.asarray(np.minimum((3 * shares).astype(np.int64), len(REGIMES) - 1))


def adaptive_levels(
    outcomes: FloatArray,
    regimes: IntArray,
    regime: int,
    targets: Sequence[float],
    *,
    rate: float,
    stride: int,
) -> FloatArray:
    """Give the levels at which to read a distribution so that its quantiles hold what they say, shape (steps, targets).

    The level θ for target p starts at p and after every outcome, whose own level in its distribution was u, moves by
    θ ← θ + η·(p − 1[u ≤ θ]), η = rate·√(stride/step): where outcomes fell below it more often than p, it is lowered.
    Overlapping windows of a long step repeat one another, which is why they move it less.

    There is a θ for each regime of volatility; an outcome moves those of other regimes 0.3 as far. Of one regime that
    is lent nothing, and away from the edges at .002 and .998, the long-run error is bounded by 1/(η·outcomes) whatever
    the outcomes are; with the loans and at the edges there is no such promise.

    Parameters
    ----------
    outcomes
        The level of each outcome in the distribution that was forecast for it, shape (origins, steps), oldest first;
        NaN where it has not come yet, which is passed over.
    regimes
        Of each origin.
    regime
        Of today.
    targets
        Levels wanted, ascending.
    rate
        How fast to learn; 0 gives the targets.
    stride
        Sessions from one origin to the next. An outcome teaches once it is known, so that the order of a step's
        outcomes is the order of their origins.

    References
    ----------
    Gibbs and Candès (2021), Adaptive conformal inference under distribution shift, NeurIPS 34.
    Angelopoulos, Candès and Tibshirani (2023), Conformal PID control for time series prediction, NeurIPS 36 (the
    quantile tracker).
    """
    from pm.volatility.paths import track_levels  # numba takes 0.5 s to import

    learning = rate * stride**0.5 / np.sqrt(np.arange(1, outcomes.shape[1] + 1))
    theta = track_levels(outcomes, regimes, np.asarray(targets, dtype=np.float64), learning, _LENT, _EDGE)
    return np.asarray(np.sort(theta[regime], axis=1))
