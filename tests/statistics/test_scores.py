from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from pm.statistics.scores import crps_quantiles, pinball, quantile_weights
from pm.tables.quantiles import QUANTILES

NUMBERS = st.floats(-50, 50)


@pytest.mark.parametrize("level", [0.05, 0.3, 0.5, 0.95])
def test_mean_pinball_loss_is_smallest_at_the_quantile(level: float) -> None:
    sample = np.random.default_rng(1).normal(size=4001)
    candidates = np.linspace(-3, 3, 601)
    losses = pinball(candidates[:, np.newaxis], sample, level).mean(axis=1)
    assert candidates[np.argmin(losses)] == pytest.approx(np.quantile(sample, level), abs=0.02)
    assert pinball(1.0, 3.0, level) == pytest.approx(2 * level)
    assert pinball(3.0, 1.0, level) == pytest.approx(2 * (1 - level))


def all_pairs_crps(sample: list[float], outcome: float) -> float:
    """Compute equation (21) of Gneiting and Raftery (2007), pair by pair."""
    n = len(sample)
    to_outcome = sum(abs(x - outcome) for x in sample) / n
    among = sum(abs(x - other) for x in sample for other in sample) / n**2
    return to_outcome - among / 2


@given(sample=st.lists(NUMBERS, min_size=1, max_size=30), outcome=NUMBERS)
def test_crps_of_order_statistics_is_that_of_all_pairs(sample: list[float], outcome: float) -> None:
    slow = all_pairs_crps(sample, outcome)
    levels = [(i + 0.5) / len(sample) for i in range(len(sample))]
    # The score is a difference of sums of up to 900 terms of up to 100: 900 · 100 · 1e-16 is 1e-11.
    assert crps_quantiles(sorted(sample), outcome, levels) == pytest.approx(slow, abs=1e-9)


def normal_crps(outcome: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Compute ∫ (Φ(x/σ) − 1{x ≥ y})² dx in closed form.

    With z = y/σ it is σ(∫_{−∞}^z Φ² + ∫_z^∞ (1−Φ)²), and ∫Φ² = zΦ² + 2φΦ − Φ(√2·z)/√π (differentiate to verify), so
    that the sum is σ(z(2Φ(z) − 1) + 2φ(z) − 1/√π).
    """
    z = outcome / sigma
    return np.asarray(sigma * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)))


def test_the_closed_form_equals_the_integral_that_defines_the_score() -> None:
    grid = np.linspace(-12, 12, 240_001)
    for outcome in (-1.5, 0.0, 2.2):
        integrand = (norm.cdf(grid) - (grid >= outcome)) ** 2
        assert normal_crps(np.array(outcome)) == pytest.approx(np.trapezoid(integrand, grid), abs=1e-4)


def test_crps_of_a_normal_distribution_from_its_quantiles() -> None:
    outcomes = np.linspace(-3, 3, 25)
    fine = (np.arange(2000) + 0.5) / 2000
    quantiles = np.broadcast_to(norm.ppf(fine, scale=2.0), (25, 2000))
    np.testing.assert_allclose(crps_quantiles(quantiles, outcomes, list(fine)), normal_crps(outcomes, 2.0), rtol=2e-3)
    # Levels that are denser on one side make no difference, because each has the weight of its interval.
    uneven = np.concatenate([np.linspace(0.0005, 0.2, 1500), np.linspace(0.201, 0.9995, 800)])
    quantiles = np.broadcast_to(norm.ppf(uneven, scale=2.0), (25, 2300))
    np.testing.assert_allclose(crps_quantiles(quantiles, outcomes, list(uneven)), normal_crps(outcomes, 2.0), rtol=2e-3)


def test_the_stored_quantiles_give_the_crps_within_three_percent_on_average() -> None:
    outcomes = np.random.default_rng(2).normal(size=100_000)
    quantiles = np.broadcast_to(norm.ppf(QUANTILES), (100_000, len(QUANTILES)))
    assert crps_quantiles(quantiles, outcomes, QUANTILES).mean() == pytest.approx(
        normal_crps(outcomes).mean(), rel=0.03
    )


def test_quantile_weights_are_the_lengths_of_the_intervals_between_midpoints() -> None:
    np.testing.assert_allclose(quantile_weights([0.1, 0.3, 0.5, 0.7, 0.9]), 0.2)
    np.testing.assert_allclose(quantile_weights([0.05, 0.5, 0.9]), [0.275, 0.425, 0.3])
    for wrong in ([], [0.0, 0.5], [0.5, 1.0], [0.5, 0.5], [0.6, 0.4]):
        with pytest.raises(ValueError, match="increase strictly"):
            quantile_weights(wrong)
