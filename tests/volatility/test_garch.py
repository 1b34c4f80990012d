from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.volatility.base import Refusal, VolatilityEstimate
from pm.volatility.garch import garch_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def fit(returns: NDArray[np.float64]) -> VolatilityEstimate:
    outcome = garch_model("garch").fit({"X": returns})["X"]
    assert isinstance(outcome, VolatilityEstimate)
    return outcome


def test_published_fit_of_the_sp500(sp500_percent: NDArray[np.float64]) -> None:
    estimate = fit(sp500_percent / 100)
    assert estimate.log_likelihood == pytest.approx(-6936.718, abs=1e-3)
    assert estimate.mu * 100 == pytest.approx(0.056353, abs=2e-6)
    assert estimate.omega * 100**2 == pytest.approx(0.017507, abs=2e-6)
    assert estimate.alpha == pytest.approx(0.10215, abs=2e-5)
    assert estimate.beta == pytest.approx(0.885206, abs=2e-5)


def test_variance_path_is_that_of_arch(sp500_percent: NDArray[np.float64]) -> None:
    from arch import arch_model

    estimate = fit(sp500_percent / 100)
    ours = [estimate.mu * 100, estimate.omega * 100**2, estimate.alpha, estimate.beta]
    fixed = arch_model(sp500_percent, mean="Constant", vol="GARCH", p=1, q=1).fix(ours)
    analytic = fixed.forecast(horizon=60, reindex=False).variance.to_numpy()[-1]
    np.testing.assert_allclose(estimate.forecast_variance(60) * 100**2, analytic, rtol=1e-9)


def test_residuals_satisfy_the_recursion(sp500_percent: NDArray[np.float64]) -> None:
    returns = sp500_percent[-1000:] / 100
    estimate = fit(returns)
    shocks = returns - estimate.mu
    variance = (shocks / estimate.residuals) ** 2
    expected = estimate.omega + estimate.alpha * shocks**2 + estimate.beta * variance
    np.testing.assert_allclose(variance[1:], expected[:-1], rtol=1e-9)
    assert estimate.next_variance == pytest.approx(expected[-1], rel=1e-9)


def test_finds_the_parameters_that_simulated_the_data(simulate_garch: Callable[..., NDArray[np.float64]]) -> None:
    returns = simulate_garch(np.random.default_rng(5), 20_000, omega=4e-6, alpha=0.08, beta=0.88, mu=5e-4)
    estimate = fit(returns)
    assert estimate.alpha == pytest.approx(0.08, abs=0.015)
    assert estimate.beta == pytest.approx(0.88, abs=0.025)
    assert estimate.omega == pytest.approx(4e-6, rel=0.3)
    assert estimate.mu == pytest.approx(5e-4, abs=3e-4)


def test_forecast_variance_tends_to_its_level() -> None:
    estimate = VolatilityEstimate("garch", 0.0, 1e-6, 0.1, 0.0, 0.8, None, 4e-5, np.zeros(1), None)
    path = estimate.forecast_variance(400)
    assert path[0] == 4e-5
    assert path[1] == pytest.approx(1e-6 + 0.9 * 4e-5)
    assert path[-1] == pytest.approx(1e-6 / (1 - 0.9))


def test_refuses_a_variance_without_a_level() -> None:
    rng = np.random.default_rng(2)
    regimes = np.concatenate([rng.normal(0, 0.05, 400), rng.normal(0, 0.001, 400)])
    outcome = garch_model("garch").fit({"X": regimes})["X"]
    assert isinstance(outcome, Refusal)
    assert outcome.reason == "not_stationary"


def test_refuses_a_likelihood_without_a_top() -> None:
    """Where nine of ten returns are zero, Student's t can be made likelier without bound; `arch` stops anywhere."""
    rng = np.random.default_rng(146)
    returns = np.where(rng.random(300) < 0.9, 0.0, rng.normal(0, 0.01, 300))
    outcome = garch_model("garch_t").fit({"X": returns})["X"]
    assert isinstance(outcome, Refusal)
    assert outcome.reason == "not_converged"


def test_one_bad_series_leaves_the_batch_alone(sp500_percent: NDArray[np.float64]) -> None:
    good = sp500_percent[-500:] / 100
    batch = garch_model("garch").fit({"BAD": np.full(500, 1e-9), "GOOD": good})
    assert isinstance(batch["BAD"], Refusal)
    assert isinstance(batch["GOOD"], VolatilityEstimate)
    assert batch["GOOD"].next_variance == fit(good).next_variance
