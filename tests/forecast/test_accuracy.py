from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from pm.statistics.accuracy import directional_accuracy, mae, mase, naive_scale, rmse, smape
from pm.statistics.proportions import wilson
from pm.statistics.scores import crps_quantiles, pinball, quantile_weights
from pm.tables.quantiles import QUANTILES

NUMBERS = st.floats(-50, 50)


def test_point_losses_by_hand() -> None:
    forecast, actual = np.array([110.0, 90.0, 100.0]), np.array([100.0, 100.0, 100.0])
    assert rmse(forecast - actual) == pytest.approx(math.sqrt(200 / 3))
    assert mae(forecast - actual) == pytest.approx(20 / 3)
    assert smape(forecast, actual) == pytest.approx((2 * 10 / 210 + 2 * 10 / 190 + 0) / 3)
    assert smape(forecast * 7, actual * 7) == pytest.approx(smape(forecast, actual))
    assert smape(np.array([1e-9]), np.array([1e9])) == pytest.approx(2.0)


def test_mase_of_the_naive_forecast_in_sample_is_one() -> None:
    series = np.random.default_rng(0).normal(size=500).cumsum()
    assert naive_scale(np.array([1.0, 3.0, 2.0])) == 1.5
    assert mase(np.diff(series), naive_scale(series)) == pytest.approx(1.0)
    # A scale for each origin, many steps from each.
    errors, scales = np.array([[1.0, 3.0], [8.0, -8.0]]), np.array([[2.0], [4.0]])
    assert mase(errors, scales) == pytest.approx((0.5 + 1.5 + 2 + 2) / 4)
    assert math.isnan(mase(errors, np.array([[2.0], [0.0]])))


@pytest.mark.parametrize("level", [0.05, 0.3, 0.5, 0.95])
def test_pinball_is_least_at_the_quantile(level: float) -> None:
    sample = np.random.default_rng(1).normal(size=4001)
    places = np.linspace(-3, 3, 601)
    losses = pinball(places[:, np.newaxis], sample, level).mean(axis=1)
    assert places[np.argmin(losses)] == pytest.approx(np.quantile(sample, level), abs=0.02)
    assert pinball(1.0, 3.0, level) == pytest.approx(2 * level)
    assert pinball(3.0, 1.0, level) == pytest.approx(2 * (1 - level))


def all_pairs_crps(sample: list[float], outcome: float) -> float:
    """Gneiting and Raftery's (21), pair by pair."""
    n = len(sample)
    to_outcome = sum(abs(x - outcome) for x in sample) / n
    among = sum(abs(x - other) for x in sample for other in sample) / n**2
    return to_outcome - among / 2


@given(sample=st.lists(NUMBERS, min_size=1, max_size=30), outcome=NUMBERS)
def test_crps_of_the_orders_of_a_sample_is_that_of_all_pairs(sample: list[float], outcome: float) -> None:
    slow = all_pairs_crps(sample, outcome)
    levels = [(i + 0.5) / len(sample) for i in range(len(sample))]
    assert crps_quantiles(sorted(sample), outcome, levels) == pytest.approx(slow, abs=1e-9)


def normal_crps(outcome: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Give ∫ (Φ(x/σ) − 1{x ≥ y})² dx in closed form.

    With z = y/σ: σ(∫_{−∞}^z Φ² + ∫_z^∞ (1−Φ)²), and ∫Φ² = zΦ² + 2φΦ − Φ(√2·z)/√π (differentiate to see it), so that
    the sum is σ(z(2Φ(z) − 1) + 2φ(z) − 1/√π).
    """
    z = outcome / sigma
    return np.asarray(sigma * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)))


def test_the_closed_form_is_the_integral_that_defines_the_score() -> None:
    grid = np.linspace(-12, 12, 240_001)
    for outcome in (-1.5, 0.0, 2.2):
        integrand = (norm.cdf(grid) - (grid >= outcome)) ** 2
        assert normal_crps(np.array(outcome)) == pytest.approx(np.trapezoid(integrand, grid), abs=1e-4)


def test_crps_of_a_normal_from_quantiles() -> None:
    outcomes = np.linspace(-3, 3, 25)
    fine = (np.arange(2000) + 0.5) / 2000
    quantiles = np.broadcast_to(norm.ppf(fine, scale=2.0), (25, 2000))
    np.testing.assert_allclose(crps_quantiles(quantiles, outcomes, list(fine)), normal_crps(outcomes, 2.0), rtol=2e-3)
    # Levels crowded on one side change nothing: each weighs what it speaks for.
    uneven = np.concatenate([np.linspace(0.0005, 0.2, 1500), np.linspace(0.201, 0.9995, 800)])
    quantiles = np.broadcast_to(norm.ppf(uneven, scale=2.0), (25, 2300))
    np.testing.assert_allclose(crps_quantiles(quantiles, outcomes, list(uneven)), normal_crps(outcomes, 2.0), rtol=2e-3)


def test_the_stored_quantiles_give_the_crps_within_three_percent_on_average() -> None:
    outcomes = np.random.default_rng(2).normal(size=100_000)
    quantiles = np.broadcast_to(norm.ppf(QUANTILES), (100_000, len(QUANTILES)))
    assert crps_quantiles(quantiles, outcomes, QUANTILES).mean() == pytest.approx(
        normal_crps(outcomes).mean(), rel=0.03
    )


def test_quantile_weights() -> None:
    np.testing.assert_allclose(quantile_weights([0.1, 0.3, 0.5, 0.7, 0.9]), 0.2)
    np.testing.assert_allclose(quantile_weights([0.05, 0.5, 0.9]), [0.275, 0.425, 0.3])
    for wrong in ([], [0.0, 0.5], [0.5, 1.0], [0.5, 0.5], [0.6, 0.4]):
        with pytest.raises(ValueError, match="increase strictly"):
            quantile_weights(wrong)


@given(trials=st.integers(1, 500), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys(trials: int, share: float, level: float) -> None:
    hits = round(share * trials)
    theirs = binomtest(hits, trials).proportion_ci(level, method="wilson")
    assert wilson(hits, trials, level=level) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_directions() -> None:
    predicted = np.array([0.1, 0.2, -0.1, -0.3, 0.0, 0.1])
    actual = np.array([0.3, -0.1, -0.2, -0.1, 0.5, 0.0])
    found = directional_accuracy(predicted, actual)
    assert (found.share, found.trials, found.left_out) == (0.75, 4, 2)
    assert (found.lower, found.upper) == wilson(3, 4)
    overlapping = directional_accuracy(predicted, actual, overlap=2)
    assert overlapping.share == 0.75
    assert (overlapping.lower, overlapping.upper) == wilson(1.5, 2)
    naive = directional_accuracy(np.zeros(6), actual)
    assert (naive.trials, naive.left_out) == (0, 6)
    assert math.isnan(naive.share)
    assert math.isnan(naive.lower)
