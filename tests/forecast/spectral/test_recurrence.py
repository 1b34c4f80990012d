from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.forecast.spectral.page import page_matrix, stacked_pages, trailing_windows
from pm.forecast.spectral.recurrence import DegenerateError, Recurrence, companion_radius, fit_recurrence

if TYPE_CHECKING:
    from pm.typing import FloatArray

FITTED, AHEAD = 200, 40
EPSILON = float(np.finfo(np.float64).eps)


def pair(period: float) -> list[FloatArray]:
    t = np.arange(float(FITTED + AHEAD))
    wave = 2 * np.pi * t / period
    return [np.sin(wave), 2 * np.cos(wave) + 0.01 * t]


def rounding_bound(page: FloatArray, fitted: Recurrence, largest: float) -> float:
    """Bound the error that rounding leaves in an extrapolation of a signal without noise.

    A computed SVD is exact for a matrix that differs by about max(shape)·ε·σ₁. Without noise the gap below the signal
    is its smallest singular value σ_r, so that the subspace, and with it the recurrence, has a relative error of about
    max(shape)·ε·σ₁/σ_r. Each step of the recurrence adds an error of this relative size, which later steps multiply by
    the recurrence's impulse response.
    """
    values = np.linalg.svd(page, compute_uv=False)
    impulse = np.zeros((page.shape[0], 1))
    impulse[-1] = 1.0
    response = 1.0 + float(np.abs(fitted.forecast(impulse, AHEAD)).sum())
    condition = float(values[0] / values[fitted.rank - 1])
    return float(max(page.shape) * EPSILON * condition * response * largest)


def test_two_waves_and_a_trend_are_extrapolated_up_to_rounding() -> None:
    series = pair(23)
    page = stacked_pages([y[:FITTED] for y in series], 20)
    fitted = fit_recurrence(page, 4)
    for y in series:
        window = fitted.project(trailing_windows(y, np.array([FITTED - 1]), 20))
        bound = rounding_bound(page, fitted, float(np.abs(y).max()))
        assert bound < 1e-9
        assert np.abs(fitted.forecast(window, AHEAD)[:, 0] - y[FITTED:]).max() < bound


def test_a_period_that_divides_the_number_of_rows_is_detected() -> None:
    pages = stacked_pages([y[:FITTED] for y in pair(20)], 20)
    with pytest.raises(DegenerateError, match="a period may divide the number of rows"):
        fit_recurrence(pages, 4)


def test_windows_between_the_columns_show_a_period_that_divides_the_rows() -> None:
    # Energies are ratios of sums of 20 × 181 squares, whose rounding errors are at most 3,620·ε = 8e-13 relatively.
    ends = np.arange(19, FITTED)
    for period, least, most in ((23, 1 - 1e-11, 1), (20, 0.4, 0.6), (40, 0.4, 0.6)):
        wave = np.sin(2 * np.pi * np.arange(float(FITTED)) / period + 0.4)
        fitted = fit_recurrence(page_matrix(wave, 20))
        assert fitted.energy > 1 - 1e-11
        assert least <= fitted.energy_share(trailing_windows(wave, ends, 20)) <= most


def test_the_coefficients_are_the_least_squares_solution_of_minimum_norm() -> None:
    rng = np.random.default_rng(5)
    wave = np.sin(np.arange(600) / 3) + 0.3 * rng.normal(size=600)
    page = page_matrix(wave, 16)
    fitted = fit_recurrence(page, 2)
    left, values, right = np.linalg.svd(page, full_matrices=False)
    denoised = (left[:, :2] * values[:2]) @ right[:2]
    expected, *_ = np.linalg.lstsq(denoised[:-1].T, denoised[-1], rcond=1e-10)
    # The wave's two singular values are about equal and twice the noise's: rounding is amplified by a small factor from
    # max(shape)·ε = 8e-15.
    assert values[0] < 2 * values[1] < 2 * 2 * (values[1] - values[2])
    np.testing.assert_allclose(fitted.coefficients, expected, atol=1e-12)
    np.testing.assert_allclose(fitted.project(page), denoised, atol=1e-12)


def test_the_roots_of_a_wave_and_a_trend_have_modulus_1() -> None:
    # The trend has a double root, which moves by the square root of a perturbation of about 1e-14.
    assert fit_recurrence(stacked_pages(pair(23), 20), 4).spectral_radius() == pytest.approx(1, abs=1e-6)
    growing = fit_recurrence(page_matrix(1.05 ** np.arange(100.0), 10), 1)
    assert growing.spectral_radius() == pytest.approx(1.05)


def test_damping_reduces_the_roots_and_keeps_the_period() -> None:
    t = np.arange(200.0)
    explosive = fit_recurrence(page_matrix(1.02**t * np.sin(2 * np.pi * t / 23), 20), 2)
    damped = explosive.damped(1.0)
    assert explosive.spectral_radius() == pytest.approx(1.02)
    assert damped.spectral_radius() == pytest.approx(1)
    # The roots of the damped recurrence have modulus 1 only up to rounding, so that damping it again may change it by
    # that much.
    np.testing.assert_allclose(damped.damped(1.0).coefficients, damped.coefficients, rtol=1e-9)
    assert damped.damped(1.001) is damped
    window = np.sin(2 * np.pi * np.arange(20.0) / 23)[:, None]
    # Damping divides the coefficients by at most 1.02**19 = 1.5, so that rounding errors hardly grow; 30 steps of a
    # wave keep them near 1e-13.
    np.testing.assert_allclose(damped.forecast(window, 30)[:, 0], np.sin(2 * np.pi * np.arange(20, 50) / 23), atol=1e-9)


def test_rank_0_forecasts_zeros() -> None:
    fitted = fit_recurrence(page_matrix(np.random.default_rng(0).normal(size=900), 15))
    assert fitted.rank == 0
    windows = np.ones((15, 3))
    assert not fitted.project(windows).any()
    assert not fitted.forecast(fitted.project(windows), 4).any()
    assert (fitted.spectral_radius(), fitted.energy, fitted.energy_share(windows)) == (0, 0, 0)


def test_many_windows_are_forecast_like_single_ones() -> None:
    wave = pair(23)[1]
    fitted = fit_recurrence(page_matrix(wave, 14), 4)
    windows = trailing_windows(wave, np.array([30, 77, 150]), 14)
    together = fitted.forecast(windows, 12)
    for column in range(3):
        alone = fitted.forecast(windows[:, [column]], 12)[:, 0]
        # A product with a matrix and one with a vector may add the 13 terms in different orders, in each of 12 steps.
        np.testing.assert_allclose(together[:, column], alone, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (np.ones((1, 5)), "1 x 5"),
        (np.ones((5, 0)), "5 x 0"),
        (np.array([[1.0, np.nan], [1.0, 2.0]]), "not finite"),
        (np.diag([0.0, 0.0, 1.0]), "not determined by the others"),
    ],
)
def test_a_matrix_without_a_recurrence_is_refused_with_the_reason(page: FloatArray, reason: str) -> None:
    with pytest.raises(DegenerateError, match=reason):
        fit_recurrence(page, 0.9)


def test_companion_radius_of_known_roots() -> None:
    # Roots .5 and -.8: x[t] = -.3 x[t-1] + .4 x[t-2].
    assert companion_radius(np.array([-0.3, 0.4])) == pytest.approx(0.8)
    assert companion_radius(np.empty(0)) == 0
