"""Rules for the number of singular values of a matrix that are signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["GAVISH_DONOHO", "RankRule", "choose_rank", "numerical_rank", "rank_by_energy", "rank_by_gavish_donoho"]

GAVISH_DONOHO: Literal["gavish_donoho"] = "gavish_donoho"
"""Name of the rule of Gavish and Donoho; see `rank_by_gavish_donoho`."""

RankRule: TypeAlias = int | float | Literal["gavish_donoho"]
"""A number of components (int), a fraction of the energy (float in (0, 1]), or the threshold of Gavish and Donoho."""


def choose_rank(singular_values: FloatArray, shape: tuple[int, int], rule: RankRule) -> int:
    """Return the rank by a rule, at most the numerical rank of the matrix, and 0 for a matrix of zeros.

    Parameters
    ----------
    singular_values
        All singular values, largest first.
    shape
        Shape of the matrix.
    rule
        See `RankRule`.

    Raises
    ------
    ValueError
        A number of components is negative, or a fraction is outside (0, 1].
    """
    available = numerical_rank(singular_values, shape)
    if isinstance(rule, int):
        if rule < 0:
            raise ValueError(f"the rank must not be negative, got {rule}")
        return min(rule, available)
    chosen = (
        rank_by_energy(singular_values, rule)
        if isinstance(rule, float)
        else rank_by_gavish_donoho(singular_values, shape)
    )
    return min(chosen, available)


def numerical_rank(singular_values: FloatArray, shape: tuple[int, int]) -> int:
    """Return the number of singular values above rounding: above ε · max(shape) times the largest one."""
    if not singular_values.size:
        return 0
    rounding = np.finfo(np.float64).eps * max(shape) * singular_values[0]
    return int(np.count_nonzero(singular_values > rounding))


def rank_by_energy(singular_values: FloatArray, share: float = 0.90) -> int:
    """Return the smallest number of components with a given share of the sum of squares; 0 for a matrix of zeros.

    Raises
    ------
    ValueError
        The share is outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share of energy must be in (0, 1], got {share}")
    energy = np.cumsum(np.square(singular_values))
    if not energy.size or energy[-1] <= 0:
        return 0
    return min(int(np.searchsorted(energy, share * energy[-1])) + 1, energy.size)


def rank_by_gavish_donoho(singular_values: FloatArray, shape: tuple[int, int]) -> int:
    """Return the number of singular values above ω(b) times their median, ω(b) = 0.56b³ − 0.95b² + 1.82b + 1.43.

    b is the ratio of the matrix's shorter to its longer side. In a matrix with white noise of unknown variance, keeping
    a component above this threshold reduces the squared error. In pure noise no component is above it.

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
