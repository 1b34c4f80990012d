from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.volatility.likelihood import to_free_parameters
from pm.volatility.maximiser import maximise, move_off_bounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Fat = Callable[..., NDArray[np.float64]]

START = np.array([0.0, 0.05, 0.05, 0.0, 0.9, math.inf])


def search(returns: NDArray[np.float64], known: float) -> tuple[float, bool]:
    x = np.empty(6)
    to_free_parameters(START, False, False, x)
    return maximise(returns, 1.0, x, False, False, known, np.empty(6))


def test_a_search_stops_early_if_it_cannot_end_above_a_known_maximum(fat_tailed: Fat) -> None:
    returns = fat_tailed(7, 800) * np.exp(0.5 * np.sin(np.arange(800) / 12))
    highest, converged = search(returns, -math.inf)
    assert converged
    assert search(returns, highest - 1) == (highest, True)
    assert search(returns, highest + 1) == (-math.inf, False)


@pytest.mark.parametrize("at_bound", [1, 2, 4])
def test_parameters_are_moved_off_their_bounds_only_if_one_is_at_a_bound(at_bound: int) -> None:
    theta = np.array([0.0, 0.2, 0.1, 0.0, 0.7, math.inf])
    inside = theta.copy()
    assert not move_off_bounds(inside, False, False)
    np.testing.assert_allclose(inside[:5], theta[:5])
    theta[at_bound] = 0.0
    assert move_off_bounds(theta, False, False)
    assert theta[at_bound] > 1e-3
    assert theta[2] + theta[4] < 1
