"""How many singular values of a matrix are signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["GAVISH_DONOHO", "RankRule", "choose_rank", "numerical_rank", "rank_by_energy", "rank_by_gavish_donoho"]

GAVISH_DONOHO: Literal["gavish_donoho"] = "gavish_donoho"

RankRule: TypeAlias = int | float | Literal["gavish_donoho"]
"""A number of components (int), a share of energy (float, in (0, 1]), or the threshold of Gavish and Donoho."""


def choose_rank(singular_values: FloatArray, shape: tuple[int, int], rule: RankRule) -> int:
    """Give the rank by a rule, never more than the matrix numerically has, and 0 for a matrix of zeros.

    Parameters
    ----------
    singular_values
        All of them, largest first.
    shape
        Of the matrix.
    rule
        See `RankRule`.

    Raises
    ------
    ValueError
        A given number is negative, or a share is outside (0, 1].
    """
    most = numerical_rank(singular_values, shape)
    if isinstance(rule, int):
        if rule < 0:
            raise ValueError(f"a rank cannot be {rule}")
        return min(rule, most)
    chosen = (
        rank_by_energy(singular_values, rule)
        if isinstance(rule, float)
        else rank_by_gavish_donoho(singular_values, shape)
    )
    return min(chosen, most)


def numerical_rank(singular_values: FloatArray, shape: tuple[int, int]) -> int:
    """Count the singular values that are more than rounding: above ε · max(shape) · the largest."""
    if not singular_values.size:
        return 0
    floor = np.finfo(np.float64).eps * max(shape) * singular_values[0]
    return int(np.count_nonzero(singular_values > floor))


def rank_by_energy(singular_values: FloatArray, share: float = 0.90) -> int:
    """Give the fewest components that hold this share of the sum of squares; 0 for a matrix of zeros.

    Raises
    ------
    ValueError
        The share is outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of energy lies in (0, 1], not at {share}")
    energy = np.cumsum(np.square(singular_values))
    if not energy.size or energy[-1] <= 0:
        return 0
    return min(int(np.searchsorted(energy, share * energy[-1])) + 1, energy.size)


def rank_by_gavish_donoho(singular_values: FloatArray, shape: tuple[int, int]) -> int:
    """Count the singular values above ω(b) times their median, ω(b) = .56b³ − .95b² + 1.82b + 1.43.

    b is the shorter side over the longer. Above it a component of a matrix with white noise of unknown variance lowers
    the squared error by being kept; pure noise keeps none.

    References
    ----------
    Gavish and Donoho (2014), The optimal hard threshold for singular values is 4/√3, IEEE Trans. Information Theory
    60(8), section II D (unknown noise level).
    """
    if not singular_values.size:
        return 0
    ratio = min(shape) / max(shape)
    omega = 0.56 * ratio**3 - 0.95 * ratio**2 + 1.82 * ratio + 1.43
    return int(np.count_nonzero(singular_values > omega * np.median(singular_values)))
