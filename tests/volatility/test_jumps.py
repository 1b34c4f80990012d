from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.volatility.jumps import unit_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Simulate = Callable[..., NDArray[np.float64]]

DAYS, SERIES = 800, 60


def fat_tailed(rng: np.random.Generator, length: int = DAYS) -> NDArray[np.float64]:
    """Return Student t returns of 4 degrees of freedom, 1.5% a day."""
    return np.asarray(0.015 * rng.standard_t(4, length) / np.sqrt(2))


@pytest.mark.parametrize("ratio", [4, 1 / 2, 1 / 10])
@pytest.mark.parametrize("after", [10, 300])
def test_most_splits_are_found_once_ten_sessions_have_followed(
    simulate_garch: Simulate, ratio: float, after: int
) -> None:
    rng, found_splits = np.random.default_rng(1), 0
    for _ in range(SERIES):
        returns = simulate_garch(rng, DAYS, omega=4.5e-6, alpha=0.08, beta=0.9)
        returns[-1 - after] += np.log(ratio)
        found = unit_changes(returns)
        found_splits += int(found[-1 - after])
        assert found.sum() == found[-1 - after]
        assert ratio == 1 / 10 or not unit_changes(returns[:-after]).any()
    assert found_splits >= 0.75 * SERIES


@pytest.mark.parametrize(("unrest", "most"), [(1.0, 0.3), (2.0, 0.12)])
def test_few_crashes_are_taken_for_splits(unrest: float, most: float) -> None:
    rng, mistaken = np.random.default_rng(2), 0
    for _ in range(SERIES):
        returns = fat_tailed(rng)
        returns[-29:] *= unrest
        returns[-30] = np.log(rng.uniform(0.25, 0.6))
        mistaken += int(unit_changes(returns).any())
        assert not unit_changes(returns[:-20]).any()  # only nine sessions have followed the crash
    assert mistaken <= most * SERIES


@pytest.mark.parametrize("wrong", [1, 5])
@pytest.mark.parametrize("factor", [4, 0.3, 1000])
def test_both_returns_of_a_wrong_quote_are_found(factor: float, wrong: int) -> None:
    rng, only_one = np.random.default_rng(3), 0
    for _ in range(SERIES):
        returns = fat_tailed(rng)
        returns[500] += np.log(factor)
        returns[500 + wrong] -= np.log(factor)
        found = unit_changes(returns)
        only_one += int(found[500] != found[500 + wrong])
        assert found.sum() <= 2
    assert only_one <= 0.04 * SERIES


def test_no_return_of_a_real_series_is_a_unit_change(real_returns: dict[str, NDArray[np.float64]]) -> None:
    for returns in real_returns.values():
        for end in range(300, len(returns), 41):
            assert not unit_changes(returns[max(0, end - 1000) : end]).any()


@pytest.mark.parametrize("returns", [[], [0.0, 0.0], [0.01, -0.01] * 40, [0.0] * 50 + [0.3] + [0.0] * 50])
def test_series_without_a_usual_move_have_no_unit_changes(returns: list[float]) -> None:
    assert not unit_changes(np.array(returns)).any()
