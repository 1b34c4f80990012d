from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.volatility.jumps import clean_returns, known_as_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Simulate = Callable[..., NDArray[np.float64]]

DAYS, SERIES = 800, 60


def unit_changes(returns: NDArray[np.float64]) -> NDArray[np.bool_]:
    return clean_returns(returns).changes


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
            # A large first return is left out, since nothing before it shows whether the first price is right.
            assert not unit_changes(returns[max(0, end - 1000) : end])[1:].any()


def test_the_returns_of_march_2020_are_kept() -> None:
    """Closes of the S&P 500: its fall of 12 March and its rise of 13 March are 10% and 9%, among others as large."""
    closes = [3373.23, 3337.75, 3225.89, 3128.21, 3116.39, 2978.76, 2954.22, 3090.23, 3003.37, 3130.12, 3023.94]
    closes += [2972.37, 2746.56, 2882.23, 2741.38, 2480.64, 2711.02, 2386.13, 2529.19, 2398.10, 2409.39, 2304.92]
    panic = np.diff(np.log(closes))
    for seed in range(SERIES):
        calm = np.random.default_rng(seed).normal(0, 0.0065, DAYS)
        for known in range(1, len(panic) + 1):
            assert not unit_changes(np.concatenate([calm, panic[:known]])).any()


@pytest.mark.parametrize("returns", [[], [0.0, 0.0], [0.01, -0.01] * 40, [0.0] * 50 + [0.3] + [0.0] * 50])
def test_series_without_a_usual_move_have_no_unit_changes(returns: list[float]) -> None:
    assert not unit_changes(np.array(returns)).any()


@pytest.mark.parametrize(
    ("first", "then", "found"),
    [(-0.38, 0.50, True), (0.50, -0.38, True), (-0.45, 0.50, False), (-0.50, 0.50, False)],
)
def test_a_fall_and_its_rebound_are_left_out_together_or_kept_together(first: float, then: float, found: bool) -> None:
    for seed in range(SERIES):
        returns = np.random.default_rng(seed).normal(0, 0.008, DAYS)
        returns[[500, 501]] = np.log1p([first, then])
        assert np.flatnonzero(unit_changes(returns)).tolist() == ([500, 501] if found else [])


def test_a_wrong_quote_is_found_in_a_short_series() -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, 60)
    returns[[30, 31]] += np.array([-1, 1]) * np.log(4)
    assert np.flatnonzero(unit_changes(returns)).tolist() == [30, 31]


@pytest.mark.parametrize(("unrest", "least", "most"), [(1.0, 0.95, 1.0), (2.0, 0.8, 1.0), (4.0, 0.0, 0.1)])
def test_a_large_split_may_be_followed_by_twice_the_unrest(unrest: float, least: float, most: float) -> None:
    """A return of -74.5%, 93 robust standard deviations, near 4:1; a crash of that size makes a market wilder still."""
    found = 0
    for seed in range(SERIES):
        returns = np.random.default_rng(seed).normal(0, 0.0147, DAYS)
        returns[600] = np.log(1 - 0.745)
        returns[601:] *= unrest
        changes = np.flatnonzero(unit_changes(returns[:620])).tolist()
        assert changes in ([], [600])
        found += len(changes)
    assert least * SERIES <= found <= most * SERIES


@pytest.mark.parametrize("factor", [0.75, 0.85, 1.2, 1.3, 0.38, 4.0, 1e-3, 1e9])
def test_a_price_is_as_if_a_wrong_quote_that_was_undone_had_not_been_made(factor: float) -> None:
    missed = 0
    for seed in range(SERIES):
        right = np.random.default_rng(seed).normal(0, 0.01, 300)
        place = 1 + seed * 298 // SERIES
        wrong = right.copy()
        wrong[[place, place + 1]] += np.array([1, -1]) * np.log(factor)
        clean = clean_returns(wrong)
        if not clean.changes.any():
            missed += 1
            continue
        assert np.flatnonzero(clean.changes).tolist() == [place, place + 1]
        assert np.flatnonzero(clean.unknown).tolist() == [place]
        levels, expected = np.cumsum(clean.returns), np.cumsum(right)
        np.testing.assert_allclose(np.delete(levels, place), np.delete(expected, place), atol=1e-9)
    assert missed <= 0.05 * SERIES


def test_a_spike_among_others_is_kept() -> None:
    for between in range(1, 11):
        returns = np.random.default_rng(between).normal(0, 0.01, 300)
        returns[[150, 151]] = [-0.2, 0.2]
        assert np.flatnonzero(unit_changes(returns)).tolist() == [150, 151]
        returns[151 + between] = -0.15
        assert not unit_changes(returns).any()


def test_spikes_that_are_many_are_moves_of_the_market() -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, 1000)
    places = np.arange(50, 1000, 50)
    returns[places], returns[places + 1] = 0.2, -0.2
    assert not unit_changes(returns).any()
    few = returns[:90]
    assert np.flatnonzero(unit_changes(few)).tolist() == [50, 51]


@pytest.mark.parametrize("factor", [-0.3, 0.3, 1.4, 7.0])
def test_a_first_price_that_does_not_fit_the_next_is_left_out(factor: float) -> None:
    returns = np.random.default_rng(2).normal(0, 0.01, 300)
    returns[0] = factor
    clean = clean_returns(returns)
    assert np.flatnonzero(clean.changes).tolist() == [0]
    assert clean.returns[0] == 0


@pytest.mark.parametrize("flips", [1, 2, 3, 9, 20])
def test_pence_and_pounds_that_alternate_are_found_however_often(flips: int) -> None:
    returns = np.random.default_rng(flips).normal(0, 0.01, 400)
    places = np.random.default_rng(flips).choice(np.arange(1, 400), flips, replace=False)
    expected = np.cumsum(returns)
    returns[np.sort(places)] += np.log(100) * (-1.0) ** np.arange(flips)
    clean = clean_returns(returns)
    assert np.flatnonzero(clean.changes).tolist() == np.sort(places).tolist()
    # What is lost is at most the market's own moves on those days.
    assert np.abs(np.cumsum(clean.returns) - expected).max() < 0.04 * flips


def test_what_is_known_of_a_wrong_quote_and_a_split_on_each_day() -> None:
    returns = np.random.default_rng(3).normal(0, 0.01, 300)
    returns[[100, 103]] += [np.log(0.3), -np.log(0.3)]
    returns[200] = np.log(0.5)
    counts = list(range(60, 301))
    known = known_as_now(returns, counts)
    # Two hundred and one returns include the split; ten more show that it was one.
    doubted = [*range(101, 104), *range(201, 211)]
    assert [count for count, same in zip(counts, known, strict=True) if not same] == doubted
