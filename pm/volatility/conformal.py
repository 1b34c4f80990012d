"""Adaptive conformal inference: the levels at which a forecast distribution's quantiles held their nominal share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.tables.vocabulary import Regime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.typing import FloatArray, IntArray

__all__ = ["adaptive_levels", "volatility_regimes"]

_REGIME_SESSIONS = 250
"""Number of past sessions that a session's volatility is ranked among."""
_REGIME_MIN_SESSIONS = 60
"""Minimum number of past sessions; with fewer the regime is the middle one."""
_OTHER_REGIME_WEIGHT = 0.3
"""Weight of an outcome for the two regimes that it was not in, relative to its own. Smaller weights leave a regime that
was rare recently without any learning; a weight of 1 would be the same as having no regimes."""

_SMALLEST_LEVEL = 0.002
"""Smallest level; the largest is 1 less this."""


def volatility_regimes(sigma: FloatArray, places: IntArray) -> IntArray:
    """Return the regime of some sessions, as a place in `Regime`: the third of the 250 sessions before it.

    A session with fewer than 60 before it is in the middle regime.

    Parameters
    ----------
    sigma
        Volatility of every session, oldest first.
    places
        Places in `sigma` of the sessions.
    """
    from pm.volatility.paths import trailing_ranks  # numba takes 0.5 s to import

    ranks = trailing_ranks(sigma, places, _REGIME_SESSIONS, _REGIME_MIN_SESSIONS)
    return np.asarray(np.minimum((len(Regime) * ranks).astype(np.int64), len(Regime) - 1))


def adaptive_levels(
    outcomes: FloatArray,
    regimes: IntArray,
    regime: int,
    targets: Sequence[float],
    *,
    rate: float,
    stride: int,
) -> FloatArray:
    """Return the level at which to read each quantile so that it holds its nominal share, shape (steps, targets).

    The level θ for target p starts at p. After every outcome, whose own level in its forecast distribution was u, it
    moves by θ ← θ + η·(p − 1[u ≤ θ]), η = rate·√(stride/step): where more outcomes than a share p fell below it, it is
    lowered. Overlapping windows of a long step repeat one another, therefore each moves the level less.

    Each regime of volatility has its own θ; an outcome moves those of other regimes by 0.3 of the full move. For a
    regime that learns from its own outcomes only, and as long as levels do not reach .002 or .998, the long-run error
    is bounded by 1/(η·outcomes) whatever the outcomes are. With learning across regimes and at those limits there is no
    such bound.

    Parameters
    ----------
    outcomes
        Level of each outcome in the distribution that was forecast for it, shape (origins, steps), oldest first; NaN,
        which is passed over, where the outcome is not known yet.
    regimes
        Regime of each origin.
    regime
        Regime of the forecast's origin.
    targets
        Nominal levels, ascending.
    rate
        Learning rate; at 0 the levels are the targets.
    stride
        Sessions from one origin to the next. An outcome is learnt from once it is known, so that the order of a step's
        outcomes is the order of their origins.

    References
    ----------
    Gibbs and Candès (2021), Adaptive conformal inference under distribution shift, NeurIPS 34.
    Angelopoulos, Candès and Tibshirani (2023), Conformal PID control for time series prediction, NeurIPS 36 (the
    quantile tracker).
    """
    from pm.volatility.paths import track_levels  # numba takes 0.5 s to import

    rates = rate * stride**0.5 / np.sqrt(np.arange(1, outcomes.shape[1] + 1))
    theta = track_levels(
        outcomes,
        regimes,
        len(Regime),
        np.asarray(targets, dtype=np.float64),
        rates,
        _OTHER_REGIME_WEIGHT,
        _SMALLEST_LEVEL,
    )
    return np.asarray(np.sort(theta[regime], axis=1))
