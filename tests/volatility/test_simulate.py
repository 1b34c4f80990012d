from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import norm

from pm.seeding import ticker_generator
from pm.tables.quantiles import QUANTILES
from pm.volatility.base import VolatilityEstimate
from pm.volatility.garch import garch_model
from pm.volatility.simulate import latin_hypercube, simulate_cumulative_returns

if TYPE_CHECKING:
    from numpy.typing import NDArray


def estimate(
    residuals: NDArray[np.float64], *, alpha: float, beta: float, gamma: float = 0.0, variance: float = 1e-4
) -> VolatilityEstimate:
    omega = (1 - alpha - 0.5 * gamma - beta) * 1e-4
    return VolatilityEstimate("gjr", 0.0, omega, alpha, gamma, beta, None, variance, residuals, None)


def simulate(fit: VolatilityEstimate, horizon: int, simulations: int, seed: int) -> NDArray[np.float64]:
    return simulate_cumulative_returns([fit], latin_hypercube(horizon, simulations, np.random.default_rng(seed)))


def test_constant_variance_and_normal_residuals_give_normal_quantiles() -> None:
    residuals = norm.ppf((np.arange(5000) + 0.5) / 5000)
    quantiles = np.quantile(simulate(estimate(residuals, alpha=0.0, beta=0.9), 20, 40_000, 1), QUANTILES, axis=1).T
    sigma = 0.01 * np.sqrt(np.arange(1, 21))
    expected = sigma[:, None] * norm.ppf(QUANTILES)
    np.testing.assert_allclose(quantiles[0], expected[0], atol=2e-3 * sigma[0])
    np.testing.assert_allclose(quantiles / sigma[:, None], expected / sigma[:, None], atol=0.04)


def test_quantiles_equal_those_of_a_simulation_by_arch(sp500_percent: NDArray[np.float64]) -> None:
    from arch import arch_model

    fitted = arch_model(sp500_percent, mean="Constant", vol="GARCH", p=1, q=1).fit(disp="off")
    residuals = (fitted.std_resid - fitted.std_resid.mean()) / fitted.std_resid.std()
    draw = np.random.default_rng(5)
    reference = fitted.forecast(
        horizon=20,
        method="simulation",
        simulations=50_000,
        reindex=False,
        rng=lambda size: draw.choice(residuals, size),
    )
    simulated = reference.simulations.values
    assert simulated is not None
    paths = np.cumsum(simulated[-1] - fitted.params["mu"], axis=1)
    expected = np.quantile(paths, QUANTILES, axis=0).T / 100

    fit = garch_model("garch").fit({"X": sp500_percent / 100})["X"]
    assert isinstance(fit, VolatilityEstimate)
    ours = np.quantile(simulate(fit, 20, 50_000, 4), QUANTILES, axis=1).T
    sigma = np.sqrt(np.cumsum(fit.forecast_variance(20)))[:, None]
    # Four standard errors of the difference of two 5% quantiles from 50,000 paths.
    np.testing.assert_allclose(ours / sigma, expected / sigma, atol=0.05)


def test_simulated_variance_equals_the_closed_form() -> None:
    residuals = np.random.default_rng(8).standard_t(6, 1500) + 0.1
    fit = estimate(residuals, alpha=0.08, beta=0.9, variance=4e-4)
    paths = simulate(fit, 30, 100_000, 0)
    np.testing.assert_allclose(paths.var(axis=1), np.cumsum(fit.forecast_variance(30)), rtol=0.03)
    np.testing.assert_allclose(paths.mean(axis=1) / paths.std(axis=1), 0, atol=0.01)


def test_every_residual_is_drawn_equally_often() -> None:
    residuals = np.random.default_rng(2).standard_t(3, 250)
    paths = simulate(estimate(residuals, alpha=0.1, beta=0.8), 1, 1000, 0)
    standardised = (np.sort(residuals) - residuals.mean()) / residuals.std()
    # The mean is summed in another order: an error of at most 250 eps of a residual, also beside a residual near 0.
    bound = 0.01 * 250 * np.finfo(float).eps * np.abs(residuals).max()
    np.testing.assert_allclose(np.sort(paths[0]), np.repeat(standardised, 4) * 0.01, rtol=0, atol=bound)


def test_steps_are_drawn_independently() -> None:
    residuals = np.random.default_rng(2).normal(size=500)
    paths = simulate(estimate(residuals, alpha=0.0, beta=0.9), 5, 20_000, 3)
    steps = np.diff(paths, axis=0, prepend=0)
    correlation = np.corrcoef(steps) - np.eye(5)
    assert np.abs(correlation).max() < 0.03


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    alpha=st.floats(0, 0.3),
    rest=st.floats(0, 0.99),
    variance=st.floats(3e-5, 3e-4),
    freedom=st.floats(2.5, 30),
    count=st.integers(20, 800),
    seed=st.integers(0, 2**32),
)
def test_quantiles_do_not_cross_and_intervals_widen(
    alpha: float, rest: float, variance: float, freedom: float, count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    fit = estimate(rng.standard_t(freedom, count), alpha=alpha, beta=rest * (1 - alpha), variance=variance)
    quantiles = np.quantile(simulate(fit, 20, 4000, seed), QUANTILES, axis=1).T
    assert (np.diff(quantiles, axis=1) > 0).all()
    width = quantiles[:, -1] - quantiles[:, 0]
    assert (width[5:] > width[:-5]).all()


def test_generator_depends_on_seed_and_name_alone() -> None:
    code = "from pm.seeding import ticker_generator; print(ticker_generator(7, 'BRK.B').integers(2**62))"
    drawn = set()
    for salt in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        drawn.add(int(done.stdout))
    assert drawn == {int(ticker_generator(7, "BRK.B").integers(2**62))}
    others = [ticker_generator(7, "BRK.A"), ticker_generator(8, "BRK.B"), ticker_generator(71, "")]
    assert drawn.isdisjoint(int(other.integers(2**62)) for other in others)


@pytest.mark.parametrize("simulations", [500, 501, 4000])
def test_paths_have_the_shape_of_their_positions(simulations: int) -> None:
    fit = estimate(np.random.default_rng(0).normal(size=30), alpha=0.1, beta=0.8)
    paths = simulate(fit, 3, simulations, 0)
    assert paths.shape == (3, simulations)
    assert np.isfinite(paths).all()
