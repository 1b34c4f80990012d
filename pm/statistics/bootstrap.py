"""Stationary bootstrap of dependent observations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["stationary_bootstrap"]


def stationary_bootstrap(n: int, *, block: float, reps: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Draw bootstrap samples of the positions of a series, in blocks; shape (reps, n).

    Blocks start anywhere in the series, have geometrically distributed lengths, and wrap around at its end.

    Parameters
    ----------
    n
        Length of the series.
    block
        Mean length of a block, in observations.
    reps
        Number of bootstrap samples.
    generator
        Random generator.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap, J. American Statistical Association 89.
    """
    starts = generator.integers(0, n, (reps, n))
    begins_block = generator.random((reps, n)) < 1.0 / block
    begins_block[:, 0] = True
    position = np.arange(n)
    block_start = np.maximum.accumulate(np.where(begins_block, position, 0), axis=1)
    return (np.take_along_axis(starts, block_start, axis=1) + position - block_start) % n
