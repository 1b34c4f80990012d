from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.exclusions import Exclusion
from pm.volatility.base import VolatilityEstimate
from pm.volatility.ewma import EwmaModel

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fit(returns: NDArray[np.float64]) -> VolatilityEstimate:
    outcome = EwmaModel(0.94).fit({"X": returns})["X"]
    assert isinstance(outcome, VolatilityEstimate)
    return outcome


@pytest.mark.parametrize("length", [20, 74, 75, 76, 400])
def test_variances_and_residuals_equal_the_recursion_written_out(length: int) -> None:
    returns = np.random.default_rng(length).standard_t(4, length) * 0.01
    first = returns[:75]
    weights = [0.94**age for age in range(len(first))]
    variance = sum(w * r**2 for w, r in zip(weights, first, strict=True)) / sum(weights)
    residuals = []
    for value in returns:
        residuals.append(value / variance**0.5)
        variance = 0.94 * variance + 0.06 * value**2
    estimate = fit(returns)
    # All terms of the recursion are positive, so that errors of a few eps a step add up at most.
    relative = 16 * (75 + length) * np.finfo(float).eps
    np.testing.assert_allclose(estimate.residuals, residuals, rtol=relative)
    assert estimate.next_variance == pytest.approx(variance, rel=relative)


def test_volatility_equals_that_of_arch(sp500_percent: NDArray[np.float64]) -> None:
    from arch.univariate import EWMAVariance, ZeroMean

    fitted = ZeroMean(sp500_percent, volatility=EWMAVariance(0.94)).fit(disp="off")
    estimate = fit(sp500_percent / 100)
    np.testing.assert_allclose(estimate.residuals, fitted.std_resid, rtol=1e-8)
    forecast = fitted.forecast(horizon=10, reindex=False).variance.to_numpy()[-1]
    np.testing.assert_allclose(estimate.forecast_variance(10) * 100**2, forecast, rtol=1e-8)


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        (np.random.default_rng(0).normal(0, 0.01, 19), "too_few_returns"),
        (np.zeros(100), "constant"),
        (np.concatenate([[0.05], np.zeros(900)]), "constant"),
    ],
    ids=["19 returns", "never moves", "stopped moving long ago"],
)
def test_too_short_or_constant_series_are_refused(returns: NDArray[np.float64], reason: str) -> None:
    outcome = EwmaModel(0.94).fit({"X": returns})["X"]
    assert isinstance(outcome, Exclusion)
    assert outcome.reason == reason
