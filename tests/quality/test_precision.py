from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.quality.precision import decimals_of, unit_of


@given(st.lists(st.tuples(st.integers(1, 10**7), st.integers(0, 8)), min_size=1, max_size=20))
def test_the_decimals_are_those_of_the_longest_number_as_it_is_written(parts: list[tuple[int, int]]) -> None:
    written = [Decimal(digits).scaleb(-places) for digits, places in parts]
    longest = max(max(0, -int(number.normalize().as_tuple().exponent)) for number in written)
    assert decimals_of(np.array([float(number) for number in written])) == longest


@pytest.mark.parametrize("values", [[1e-9], [1.0, 3e-10], [0.5**60], [1 / 3], [4.7e-97, 9.4e-97]])
def test_more_than_eight_decimals_are_not_counted(values: list[float]) -> None:
    assert decimals_of(np.array(values)) is None
    assert unit_of(np.array(values)) == 0.0


def test_numbers_that_are_not_finite_or_zero_need_no_decimals() -> None:
    assert decimals_of(np.array([np.nan, np.inf, 0.0])) == 0
    assert unit_of(np.array([0.0, 12.25])) == 0.01
