"""The stationary bootstrap of dependent observations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["stationary_bootstrap"]


def stationary_bootstrap(n: int, *, block: float, reps: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Give resampled indices of a series, shape (reps, n): blocks from anywhere, of geometric length, wrapping round.

    Parameters
    ----------
    n
        Length of the series.
    block
        Mean length of a block.
    reps
        Samples.
    generator
        Source of the draws.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap, J. American Statistical Association 89.
    """
    starts = generator.integers(0, n, (reps, n))
    new = generator.random((reps, n)) < 1.0 / block
    new[:, 0] = True
    place = np.arange(n)
    begun = np.maximum.accumulate(np.where(new, place, 0), axis=1)
    return (np.take_along_axis(starts, begun, axis=1) + place - begun) % n
