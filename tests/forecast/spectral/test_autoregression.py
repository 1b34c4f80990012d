from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.signal import lfilter

from pm.forecast.spectral.autoregression import MAX_ROOT_MODULUS, Autoregression, fit_autoregression
from pm.forecast.spectral.recurrence import companion_radius

if TYPE_CHECKING:
    from pm.typing import FloatArray


def simulated(phi: list[float], count: int, seed: int) -> FloatArray:
    shocks = np.random.default_rng(seed).normal(size=count + 200)
    return np.asarray(lfilter([1.0], [1.0, *(-value for value in phi)], shocks)[200:])


@pytest.mark.parametrize("phi", [[], [0.6], [0.5, -0.4], [0.3, 0.2, 0.3]])
def test_the_simulated_order_and_coefficients_are_estimated(phi: list[float]) -> None:
    fitted = fit_autoregression(simulated(phi, 5000, seed=2), 8)
    assert fitted.order == len(phi)
    np.testing.assert_allclose(fitted.coefficients, phi, atol=0.05)
    assert fitted.variance == pytest.approx(1, abs=0.06)


def test_order_and_coefficients_equal_those_of_statsmodels() -> None:
    from statsmodels.tsa.ar_model import AutoReg, ar_select_order

    for seed in range(5):
        series = simulated([0.4, -0.2, 0.15], 400, seed)
        chosen = ar_select_order(series, maxlag=8, ic="bic", trend="n")
        ours = fit_autoregression(series, 8)
        assert list(range(1, ours.order + 1)) == (chosen.ar_lags or [])
        # Both use the observations after the first eight. The lags are nearly uncorrelated: with a condition number
        # below 10, rounding errors are about 400·ε·10 = 1e-12.
        theirs = AutoReg(series, ours.order, trend="n", hold_back=8).fit()
        np.testing.assert_allclose(ours.coefficients, theirs.params, atol=1e-10)


def test_forecasts_follow_the_recursion() -> None:
    fitted = Autoregression(np.array([0.5, -0.25]), 1.0)
    path = fitted.forecast(np.array([[9.0, 9.0], [1.0, 0.0], [2.0, 4.0]]), 3)
    np.testing.assert_allclose(path, [[0.75, 2.0], [-0.125, 0.0], [-0.25, -0.5]])


def test_an_autoregression_of_order_0_forecasts_zeros() -> None:
    assert not Autoregression(np.empty(0), 1.0).forecast(np.ones((4, 2)), 3).any()


@pytest.mark.parametrize("seed", range(6))
def test_unstable_autoregressions_are_made_stable(seed: int) -> None:
    walk = np.cumsum(np.random.default_rng(seed).normal(size=300))
    assert companion_radius(fit_autoregression(walk, 6).coefficients) <= MAX_ROOT_MODULUS
    growing = 1.02 ** np.arange(300.0)
    assert fit_autoregression(growing, 6).coefficients.tolist() == [MAX_ROOT_MODULUS]


@pytest.mark.parametrize("series", [np.zeros(100), np.empty(0), np.ones(5), 1e-17 * np.ones(40)])
def test_constant_and_short_series_give_finite_forecasts(series: FloatArray) -> None:
    fitted = fit_autoregression(series, 5)
    assert np.isfinite(fitted.coefficients).all()
    assert np.isfinite(fitted.forecast(np.ones((6, 1)), 50)).all()


def test_a_short_series_gets_a_low_order() -> None:
    assert fit_autoregression(simulated([0.5, -0.4], 19, seed=1), 8).order <= 1
