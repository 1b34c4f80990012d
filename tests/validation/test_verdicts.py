"""Verdicts: what is proven, what is not and why, and series that prove nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.signal import lfilter

from pm.tables.vocabulary import Proof
from pm.validation.snooping import block_length, sharpe_interval, superior_ability
from pm.validation.verdicts import judge_trials

if TYPE_CHECKING:
    from pm.typing import FloatArray

DAYS = 1250


def noise(columns: int, days: int = DAYS, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).normal(0, 0.01, (days, columns))


def with_ratio(ratio: float, days: int = DAYS, seed: int = 2) -> FloatArray:
    """Return returns whose Sharpe ratio per year is exactly this."""
    drawn = noise(1, days, seed)[:, 0]
    standard = (drawn - drawn.mean()) / drawn.std(ddof=1)
    return np.asarray(0.01 * (standard + ratio / math.sqrt(252)))


def test_a_ratio_far_beyond_luck_is_proven_and_its_neighbours_are_not() -> None:
    excess = np.column_stack([with_ratio(3.0), noise(9)])
    found = judge_trials(excess, [0, 5], trials=10, seed=3)
    assert [own.verdict for own in found.of] == [Proof.PROVEN, Proof.NOT_PROVEN]
    assert found.of[0].reasons == ()
    assert found.of[0].annual_sharpe == pytest.approx(3.0, rel=0.15)  # Lo's correction moves it a little
    assert found.of[0].lower < 3.0 < found.of[0].upper
    assert found.of[0].is_superior
    assert not found.of[1].is_superior


def test_what_is_proven_alone_is_not_proven_as_the_best_of_thousands() -> None:
    excess = with_ratio(1.6)[:, np.newaxis]
    alone = judge_trials(excess, [0], trials=1, seed=3).of[0]
    assert alone.verdict is Proof.PROVEN
    of_many = judge_trials(excess, [0], trials=5000, seed=3).of[0]
    assert of_many.verdict is Proof.NOT_PROVEN
    assert "luckiest of 5,000 trials" in of_many.reasons[0]
    assert of_many.probabilistic == alone.probabilistic  # which knows nothing of the others


def test_luck_is_larger_where_returns_follow_each_other() -> None:
    """The best of 100 series without skill, of which 99 were tried elsewhere, with autocorrelation."""
    passed = 0
    for search in range(100):
        drawn = lfilter([1], [1, -0.3], noise(100, 600, seed=500 + search), axis=0)[100:]
        best = int((drawn.mean(axis=0) / drawn.std(axis=0)).argmax())
        passed += judge_trials(drawn[:, [best]], [0], trials=100, reps=2, seed=search).of[0].deflated > 0.95
    assert passed <= 5


def test_a_series_that_swings_has_no_annual_ratio_and_its_reasons_have_numbers() -> None:
    swings = np.tile([0.01, -0.0099], 200)[:, np.newaxis]
    found = judge_trials(swings, [0], trials=7, seed=3).of[0]
    assert math.isnan(found.annual_sharpe)
    assert found.verdict is Proof.NOT_PROVEN
    assert "nan" not in " ".join(found.reasons)


def test_a_mean_below_the_benchmark_is_worse_than_it() -> None:
    found = judge_trials(with_ratio(-1.5)[:, np.newaxis], [0], trials=1, seed=3).of[0]
    assert found.verdict is Proof.WORSE
    assert "standard errors" in found.reasons[0]


def test_a_mean_a_little_below_the_benchmark_is_not_called_better_by_chance() -> None:
    excess = np.random.default_rng(2).normal(0.0, 0.01, (500, 1))
    excess -= excess.mean() + 1e-5
    alone = judge_trials(excess, [0], trials=5, seed=3).of[0]
    assert alone.verdict is Proof.NOT_PROVEN
    assert "Its mean return is not above that of the benchmark." in alone.reasons
    above = judge_trials(excess + 3e-5, [0], trials=5, seed=3).of[0]
    assert any(reason.startswith("That it is better than the benchmark may be chance") for reason in above.reasons)
    for found in (alone, above):
        assert any("those of 4 were not compared" in reason for reason in found.reasons)


def test_without_costs_nothing_is_proven() -> None:
    found = judge_trials(with_ratio(3.0)[:, np.newaxis], [0], trials=1, without_costs=[0], seed=3).of[0]
    assert found.verdict is Proof.NOT_PROVEN
    assert "without costs" in found.reasons[0]


@pytest.mark.parametrize(
    ("excess", "words"),
    [
        (np.full((100, 1), np.nan), "made no trade"),
        (np.full((100, 1), 0.001), "never differed"),
        (np.zeros((100, 1)), "never differed"),
        (np.full((1, 1), 0.01), "1 return"),
        (noise(1, 29), "29 returns"),
    ],
)
def test_returns_that_prove_nothing(excess: FloatArray, words: str) -> None:
    found = judge_trials(excess, [0], trials=1, seed=3).of[0]
    assert found.verdict is Proof.NOT_PROVEN
    assert words in found.reasons[0]
    assert math.isnan(found.sharpe.ratio)  # and not 0
    assert math.isnan(found.deflated)


def test_copies_of_a_trial_are_named() -> None:
    one = with_ratio(0.5)
    found = judge_trials(np.column_stack([one, one, noise(2)]), [0], trials=4, seed=3)
    assert "1 of 4 trials repeats" in " ".join(found.of[0].reasons)
    assert found.effective_trials < 3.5


def test_a_trial_that_made_no_trade_counts_and_leaves_the_others_alone() -> None:
    excess = np.column_stack([with_ratio(3.0), np.full(DAYS, np.nan)])
    found = judge_trials(excess, [0, 1], trials=2, seed=3)
    assert math.isfinite(found.superior_p)
    assert [own.verdict for own in found.of] == [Proof.PROVEN, Proof.NOT_PROVEN]


def test_blocks_grow_with_autocorrelation() -> None:
    drawn = noise(1, 3000)[:, 0]
    slow = np.convolve(drawn, np.ones(20) / 20, "valid")
    assert block_length(drawn[:, np.newaxis]) < 5 < block_length(slow[:, np.newaxis])


def test_the_interval_of_independent_returns_is_about_that_of_their_standard_error() -> None:
    returns = with_ratio(1.0, 2500)
    low, high = sharpe_interval(returns, 1.0, reps=2000, seed=5)
    half = 1.96 / math.sqrt(2500)  # of a normal variable with a small ratio
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)


def test_strategies_that_equal_the_benchmark_are_not_better() -> None:
    found = superior_ability(np.zeros((200, 3)), seed=1)
    assert found.p_value == 1.0
    assert not found.superior.any()
    assert math.isnan(superior_ability(noise(3, 20), seed=1).p_value)


@pytest.mark.slow
def test_the_best_of_a_hundred_noise_strategies_is_hardly_ever_proven() -> None:
    """Of 400 searches over 100 strategies of nothing but noise, at most 5% find one that is proven."""
    proven = 0
    for search in range(400):
        excess = noise(100, 1000, seed=10_000 + search)
        best = int((excess.mean(axis=0) / excess.std(axis=0)).argmax())
        found = judge_trials(excess, [best], trials=100, reps=300, seed=search)
        proven += found.of[0].verdict is Proof.PROVEN
    assert proven <= 20
