"""Compiled operations on small square matrices, in place.

Numpy's linear algebra would take longer to compile than the whole GARCH fit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pm.compiled import compiled

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["clear", "copy_lower_triangle", "invert", "symmetrise"]


@compiled
def clear(matrix: FloatArray) -> None:
    """Set every element to 0."""
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            matrix[i, j] = 0.0


@compiled
def copy_lower_triangle(matrix: FloatArray) -> None:
    """Copy the lower triangle to the upper one."""
    for i in range(len(matrix)):
        for j in range(i):
            matrix[j, i] = matrix[i, j]


@compiled
def symmetrise(matrix: FloatArray) -> None:
    """Replace every pair of mirrored elements by their mean."""
    for i in range(len(matrix)):
        for j in range(i):
            mean = 0.5 * (matrix[i, j] + matrix[j, i])
            matrix[i, j], matrix[j, i] = mean, mean


@compiled
def invert(matrix: FloatArray, inverse: FloatArray) -> bool:
    """Compute the inverse by Gauss-Jordan elimination with partial pivoting.

    Parameters
    ----------
    matrix
        Matrix to invert; overwritten.
    inverse
        Filled with the inverse.

    Returns
    -------
    Whether there is an inverse: False if the matrix is singular or not finite.
    """
    k = len(matrix)
    for i in range(k):
        for j in range(k):
            inverse[i, j] = 1.0 if i == j else 0.0
    for column in range(k):
        pivot = column
        for row in range(column + 1, k):
            if abs(matrix[row, column]) > abs(matrix[pivot, column]):
                pivot = row
        size = matrix[pivot, column]
        if not 1e-300 < abs(size) < math.inf:
            return False
        for j in range(k):
            matrix[column, j], matrix[pivot, j] = matrix[pivot, j], matrix[column, j]
            inverse[column, j], inverse[pivot, j] = inverse[pivot, j], inverse[column, j]
        _eliminate(matrix, inverse, column)
    return True


@compiled
def _eliminate(matrix: FloatArray, inverse: FloatArray, column: int) -> None:
    """Divide the pivot's row by the pivot, and subtract it from the others so that their `column` becomes 0."""
    k = len(matrix)
    size = matrix[column, column]
    for j in range(k):
        matrix[column, j] /= size
        inverse[column, j] /= size
    for row in range(k):
        factor = matrix[row, column]
        if row != column:
            for j in range(k):
                matrix[row, j] -= factor * matrix[column, j]
                inverse[row, j] -= factor * inverse[column, j]
