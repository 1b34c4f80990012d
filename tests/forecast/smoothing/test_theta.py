from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from pm.forecast.smoothing.theta import (
    ALPHA,
    LARGEST_ALPHA,
    LEVEL,
    SKIPPED_ERRORS,
    SMALLEST_ALPHA,
    SQUARES,
    WEIGHT,
    fit_theta,
    forecast_theta,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Windows = Callable[[int], list[NDArray[np.float64]]]


def by_definition(
    y: NDArray[np.float64], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the errors of l[0] = 0 and w = 0, and what l[0] and w take off them: lines are fitted by numpy."""
    level, base, by_level, by_weight = alpha * y[0], [], [], []
    for t in range(2, len(y) + 1):
        slope, intercept = np.polyfit(np.arange(1, t), y[: t - 1], 1) if t > 2 else (0.0, y[0])
        base.append(y[t - 1] - level)
        by_level.append((1 - alpha) ** (t - 1))
        by_weight.append((1 - alpha) ** (t - 1) * intercept + (1 - (1 - alpha) ** t) / alpha * slope)
        level = alpha * y[t - 1] + (1 - alpha) * level
    kept = slice(SKIPPED_ERRORS - 1, None)
    return np.array(base)[kept], np.array(by_level)[kept], np.array(by_weight)[kept]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_fit_is_the_best_of_a_fine_grid_by_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.concatenate([[0.0], np.cumsum(rng.normal(0.1 * seed, 1, 40) + np.array([0.0, 0.7, -0.7])[seed - 1])])
    y = y + rng.normal(0, 0.8, 41) * (seed > 1)
    y -= y[0]
    best = (np.inf, 0.0, 0.0)
    for alpha in np.linspace(SMALLEST_ALPHA, LARGEST_ALPHA, 45):
        base, by_level, by_weight = by_definition(y, alpha)
        solved = lsq_linear(np.column_stack([by_level, by_weight]), base, ([-np.inf, 0.0], [np.inf, 1.0]), tol=1e-14)
        best = min(best, (2 * solved.cost, alpha, solved.x[1]))
    ours = fit_theta(y)
    # The grid has steps of 0.02, and the sum of squares is flat near its minimum.
    assert ours[SQUARES] <= best[0] * (1 + 1e-9)
    assert ours[SQUARES] == pytest.approx(best[0], rel=1e-3)
    assert ours[ALPHA] == pytest.approx(best[1], abs=0.02)
    assert ours[WEIGHT] == pytest.approx(best[2], abs=0.02)
    base, by_level, by_weight = by_definition(y, ours[ALPHA])
    squares = np.sum((base - ours[LEVEL] * by_level - ours[WEIGHT] * by_weight) ** 2)
    assert ours[SQUARES] == pytest.approx(squares, rel=1e-9)


def test_squares_and_forecasts_equal_those_of_statsforecast_with_the_same_parameters(windows: Windows) -> None:
    from statsforecast._lib import theta as library

    for y in windows(14):
        alpha, level, weight, squares = fit_theta(y)
        theta = 1 / (1 - weight) if weight < 1 else np.inf
        origins = np.array([len(y) // 2, len(y) - 1])
        ours = forecast_theta(y, fit_theta(y), origins, 25)
        for origin, means in zip(origins, ours, strict=True):
            past = y[: origin + 1]
            _, errors, states, _ = library.pegels_resid(past, library.ModelType.DOTM, level, alpha, theta, 3)
            theirs = np.empty(25)
            library.forecast(states, len(past), library.ModelType.DOTM, theirs, alpha, theta)
            np.testing.assert_allclose(means, theirs, rtol=1e-9, atol=1e-9)
        # Of the last origin. A level that one early error determines alone is large, and so is its rounding.
        assert squares == pytest.approx(errors[SKIPPED_ERRORS:] @ errors[SKIPPED_ERRORS:], rel=1e-6)


def worse_than_the_library(windows: list[NDArray[np.float64]]) -> int:
    """Return for how many windows the sum of squares is above the one that statsforecast finds."""
    from statsforecast.models import DynamicOptimizedTheta

    worse = 0
    for y in windows:
        errors = DynamicOptimizedTheta(season_length=1).fit(y).model_["residuals"][SKIPPED_ERRORS:]
        worse += bool(fit_theta(y)[SQUARES] > (errors @ errors) * (1 + 1e-6))
    return worse


def test_fits_of_real_windows_are_at_least_as_good_as_those_of_statsforecast(windows: Windows) -> None:
    assert worse_than_the_library(windows(40)) == 0


@pytest.mark.slow
def test_fits_of_many_real_windows_are_at_least_as_good_as_those_of_statsforecast(windows: Windows) -> None:
    assert worse_than_the_library(windows(1000)) <= 10


def test_a_straight_line_is_continued() -> None:
    y = np.arange(50.0)
    assert forecast_theta(y, fit_theta(y), np.array([49]), 5)[0] == pytest.approx(np.arange(50.0, 55.0), abs=1e-3)
