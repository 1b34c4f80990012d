from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.forecast.spectral.page import page_matrix, stacked_pages, trailing_windows
from pm.forecast.spectral.recurrence import DegenerateError, companion_radius, fit_recurrence

if TYPE_CHECKING:
    from pm.typing import FloatArray

FITTED, AHEAD = 200, 40


def pair(period: float) -> list[FloatArray]:
    t = np.arange(float(FITTED + AHEAD))
    wave = 2 * np.pi * t / period
    return [np.sin(wave), 2 * np.cos(wave) + 0.01 * t]


def test_extrapolates_two_waves_and_a_trend_to_rounding() -> None:
    """The reference method's largest error on this case is 2.4e-13."""
    series = pair(23)
    fitted = fit_recurrence(stacked_pages([y[:FITTED] for y in series], 20), 4)
    for y in series:
        window = fitted.project(trailing_windows(y, np.array([FITTED - 1]), 20))
        assert np.abs(fitted.forecast(window, AHEAD)[:, 0] - y[FITTED:]).max() < 2.4e-13


def test_a_period_that_divides_the_rows_is_found_out() -> None:
    pages = stacked_pages([y[:FITTED] for y in pair(20)], 20)
    with pytest.raises(DegenerateError, match="a period may divide the number of rows"):
        fit_recurrence(pages, 4)


def test_windows_between_the_columns_show_a_period_that_divides_the_rows() -> None:
    ends = np.arange(19, FITTED)
    for period, least, most in ((23, 1 - 1e-12, 1), (20, 0.4, 0.6), (40, 0.4, 0.6)):
        wave = np.sin(2 * np.pi * np.arange(float(FITTED)) / period + 0.4)
        fitted = fit_recurrence(page_matrix(wave, 20))
        assert fitted.energy > 1 - 1e-12
        assert least <= fitted.energy_share(trailing_windows(wave, ends, 20)) <= most


def test_beta_is_the_least_squares_one_of_least_norm() -> None:
    rng = np.random.default_rng(5)
    wave = np.sin(np.arange(600) / 3) + 0.3 * rng.normal(size=600)
    page = page_matrix(wave, 16)
    fitted = fit_recurrence(page, 2)
    left, values, right = np.linalg.svd(page, full_matrices=False)
    denoised = (left[:, :2] * values[:2]) @ right[:2]
    expected, *_ = np.linalg.lstsq(denoised[:-1].T, denoised[-1], rcond=1e-10)
    np.testing.assert_allclose(fitted.coefficients, expected, atol=1e-12)
    np.testing.assert_allclose(fitted.project(page), denoised, atol=1e-12)


def test_the_roots_of_a_wave_and_a_trend_lie_on_the_circle() -> None:
    assert fit_recurrence(stacked_pages(pair(23), 20), 4).spectral_radius() == pytest.approx(1, abs=1e-6)
    growing = fit_recurrence(page_matrix(1.05 ** np.arange(100.0), 10), 1)
    assert growing.spectral_radius() == pytest.approx(1.05)


def test_damping_draws_the_roots_in_and_keeps_the_period() -> None:
    t = np.arange(200.0)
    explosive = fit_recurrence(page_matrix(1.02**t * np.sin(2 * np.pi * t / 23), 20), 2)
    damped = explosive.damped(1.0)
    assert explosive.spectral_radius() == pytest.approx(1.02)
    assert damped.spectral_radius() == pytest.approx(1)
    assert damped.damped(1.0) is damped
    window = np.sin(2 * np.pi * np.arange(20.0) / 23)[:, None]
    np.testing.assert_allclose(damped.forecast(window, 30)[:, 0], np.sin(2 * np.pi * np.arange(20, 50) / 23), atol=1e-9)


def test_rank_0_forecasts_zeros() -> None:
    fitted = fit_recurrence(page_matrix(np.random.default_rng(0).normal(size=900), 15))
    assert fitted.rank == 0
    windows = np.ones((15, 3))
    assert not fitted.project(windows).any()
    assert not fitted.forecast(fitted.project(windows), 4).any()
    assert (fitted.spectral_radius(), fitted.energy, fitted.energy_share(windows)) == (0, 0, 0)


def test_many_windows_are_forecast_as_one_by_one() -> None:
    wave = pair(23)[1]
    fitted = fit_recurrence(page_matrix(wave, 14), 4)
    windows = trailing_windows(wave, np.array([30, 77, 150]), 14)
    together = fitted.forecast(windows, 12)
    for place in range(3):
        alone = fitted.forecast(windows[:, [place]], 12)[:, 0]
        np.testing.assert_allclose(together[:, place], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (np.ones((1, 5)), "1 x 5"),
        (np.ones((5, 0)), "5 x 0"),
        (np.array([[1.0, np.nan], [1.0, 2.0]]), "not finite"),
        (np.diag([0.0, 0.0, 1.0]), "cannot be told by the others"),
    ],
)
def test_what_has_no_recurrence_says_why(page: FloatArray, why: str) -> None:
    with pytest.raises(DegenerateError, match=why):
        fit_recurrence(page, 0.9)


def test_companion_radius_of_known_roots() -> None:
    # Roots .5 and -.8: x[t] = -.3 x[t-1] + .4 x[t-2].
    assert companion_radius(np.array([-0.3, 0.4])) == pytest.approx(0.8)
    assert companion_radius(np.empty(0)) == 0
