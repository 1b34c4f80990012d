from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.forecast.spectral.rank import (
    GAVISH_DONOHO,
    choose_rank,
    numerical_rank,
    rank_by_energy,
    rank_by_gavish_donoho,
)

if TYPE_CHECKING:
    from pm.typing import FloatArray


def test_rank_by_energy_equals_values_computed_by_hand() -> None:
    # The squares 16, 4, 4, 1 add up to shares of 0.64, 0.80, 0.96 and 1.
    values = np.array([4.0, 2.0, 2.0, 1.0])
    assert [rank_by_energy(values, share) for share in (0.5, 0.64, 0.8, 0.9, 1.0)] == [1, 1, 2, 3, 4]


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share of energy"):
        rank_by_energy(np.ones(3), share)


def test_the_threshold_of_a_square_matrix_is_the_published_one() -> None:
    # Gavish and Donoho, table IV: 2.8582 for a square matrix (the polynomial gives 2.86).
    assert rank_by_gavish_donoho(np.array([2.87, 1.0, 0.5]), (3, 3)) == 1
    assert rank_by_gavish_donoho(np.array([2.85, 1.0, 0.5]), (3, 3)) == 0


def spectrum(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.svd(matrix, compute_uv=False), dtype=np.float64)


@pytest.mark.parametrize("shape", [(16, 62), (62, 16), (40, 40)])
def test_noise_has_rank_0_and_a_signal_of_rank_3_is_found_in_it(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=shape)
    assert rank_by_gavish_donoho(spectrum(noise), shape) == 0
    planted = noise + 2 * rng.normal(size=(shape[0], 3)) @ rng.normal(size=(3, shape[1]))
    assert rank_by_gavish_donoho(spectrum(planted), shape) == 3


def test_rounding_errors_are_not_components() -> None:
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(20, 3)) @ rng.normal(size=(3, 50))
    values = spectrum(matrix)
    assert numerical_rank(values, (20, 50)) == np.linalg.matrix_rank(matrix) == 3
    for rule in (GAVISH_DONOHO, 1.0, 20):
        assert choose_rank(values, (20, 50), rule) == 3


def test_zeros_have_rank_0() -> None:
    for rule in (GAVISH_DONOHO, 0.9, 2):
        assert choose_rank(np.zeros(5), (5, 9), rule) == 0


def test_a_negative_rank_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        choose_rank(np.ones(3), (3, 3), -1)


@given(values=st.lists(st.floats(0, 1e6), min_size=1, max_size=20), share=st.floats(0.01, 1.0))
def test_the_rank_by_energy_is_the_smallest_that_suffices(values: list[float], share: float) -> None:
    ordered = np.sort(np.array(values))[::-1]
    rank = rank_by_energy(ordered, share)
    energy = np.cumsum(ordered**2)
    if energy[-1] == 0:
        assert rank == 0
    else:
        assert energy[rank - 1] >= share * energy[-1]
        assert rank == 1 or energy[rank - 2] < share * energy[-1]
