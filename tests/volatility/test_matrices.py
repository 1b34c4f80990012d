from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.volatility.matrices import copy_lower_triangle, invert, symmetrise


@hypothesis_settings(deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 6))
def test_inverse_equals_numpys(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(size, size))
    matrix[0, 0] = 0.0 if size > 1 else 1.0  # so that the first row cannot be the pivot
    inverse = np.empty((size, size))
    expected = np.linalg.inv(matrix)
    assert invert(matrix.copy(), inverse)
    # The relative error of an inverse is of the order of size × eps × condition number; pivots can add a growth factor.
    bound = 100 * size * np.finfo(float).eps * np.linalg.cond(matrix)
    np.testing.assert_allclose(inverse, expected, rtol=0, atol=bound * np.abs(expected).max())


def test_a_singular_matrix_has_no_inverse() -> None:
    assert not invert(np.zeros((3, 3)), np.empty((3, 3)))
    assert not invert(np.full((2, 2), math.nan), np.empty((2, 2)))


def test_both_ways_to_symmetrise() -> None:
    matrix = np.arange(9.0).reshape(3, 3)
    lower, mean = matrix.copy(), matrix.copy()
    copy_lower_triangle(lower)
    symmetrise(mean)
    np.testing.assert_array_equal(lower, np.tril(matrix) + np.tril(matrix, -1).T)
    np.testing.assert_array_equal(mean, (matrix + matrix.T) / 2)
