from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from pm.forecast.smoothing import ets
from pm.forecast.smoothing.ets import (
    ALPHA,
    CRITERION,
    DAMPED,
    FLAT,
    GROWTH,
    LEVEL,
    LINE,
    PHI,
    SHARE,
    fit_ets,
    fit_trend,
    forecast_ets,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Windows = Callable[[int], list[NDArray[np.float64]]]

KINDS = {FLAT: ("ANN", False), LINE: ("AAN", False), DAMPED: ("AAN", True)}
"""Kind of trend → name of the model in statsforecast, and whether it is damped there."""


def squares_by_definition(y: NDArray[np.float64], parameters: NDArray[np.float64]) -> float:
    alpha, share, phi, level, growth = parameters
    total = 0.0
    for value in y:
        mean = level + phi * growth
        error = value - mean
        total += error**2
        level, growth = mean + alpha * error, phi * growth + share * alpha * error
    return total


def trended(seed: int, length: int = 80) -> NDArray[np.float64]:
    """Return a series whose trend changes slowly, observed with noise."""
    rng = np.random.default_rng(seed)
    growth = 0.3 + np.cumsum(rng.normal(0, 0.1, length))
    y = np.cumsum(growth) + rng.normal(0, 1, length)
    return np.asarray(y - y[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_derivatives_are_those_of_the_sum_of_squares(kind: int) -> None:
    y = trended(1)
    phi = {FLAT: 0.0, LINE: 1.0, DAMPED: 0.9}[kind]
    at = np.array([0.4, 0.0 if kind == FLAT else 0.3, phi, 0.5, 0.0 if kind == FLAT else 0.2])
    gradient, curvature = np.empty(5), np.zeros((5, 5))
    ets._normal_equations(y, at, kind, gradient, curvature)
    estimated = {FLAT: [ALPHA, LEVEL], LINE: [ALPHA, SHARE, LEVEL, GROWTH], DAMPED: list(range(5))}[kind]
    numerical = approx_fprime(at, lambda there: squares_by_definition(y, there), 1e-7)
    np.testing.assert_allclose(2 * gradient[estimated], numerical[estimated], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_no_parameters_of_a_dense_sample_are_better_than_the_fit(kind: int, seed: int) -> None:
    y = trended(seed)
    found = np.empty(5)
    squares = fit_trend(y, kind, found)
    assert squares == pytest.approx(squares_by_definition(y, found), rel=1e-12)
    rng = np.random.default_rng(seed)
    states = np.empty(2)
    for alpha, share, phi in rng.uniform([1e-4, 1e-4, 0.8], [0.9999, 1, 0.98], (1000, 3)):
        phi_of_kind = {FLAT: 0.0, LINE: 1.0, DAMPED: phi}[kind]
        other = ets._linear_squares(y, alpha, 0.0 if kind == FLAT else share, phi_of_kind, states)
        assert other >= squares * (1 - 1e-9)


def test_the_sum_given_the_smoothing_is_the_smallest_of_all_initial_states() -> None:
    y, states = trended(3, 40), np.empty(2)
    squares = ets._linear_squares(y, 0.3, 0.2, 0.9, states)
    at = np.array([0.3, 0.2, 0.9, *states])
    assert squares == pytest.approx(squares_by_definition(y, at), rel=1e-9)
    for place in (LEVEL, GROWTH):
        for side in (-0.01, 0.01):
            moved = at.copy()
            moved[place] += side
            assert squares_by_definition(y, moved) > squares


def test_squares_criterion_and_forecasts_equal_those_of_statsforecast_with_the_same_parameters(
    windows: Windows,
) -> None:
    from statsforecast._lib import ets as library
    from statsforecast.distributions import aic_bic_aicc
    from statsforecast.ets import pegelsresid_C, switch

    for y in windows(14):
        found = fit_ets(y)
        alpha, share, phi, level, growth, criterion = found
        kind = FLAT if phi == 0 else LINE if phi == 1 else DAMPED
        trend, start = ("N", [level]) if kind == FLAT else ("A", [level, growth])
        origins = np.array([len(y) // 2, len(y) - 1])
        ours = forecast_ets(y, found, origins, 25)
        for origin, means in zip(origins, ours, strict=True):
            _, _, states, likelihood = pegelsresid_C(
                y[: origin + 1], 1, np.array(start), "A", trend, "N", kind == DAMPED, alpha, alpha * share, 0.0, phi, 3
            )
            # The library's means of a damped trend beyond the first step count φ twice. Its own update does not.
            now, change = [*states[-1], 0.0][:2]
            damping = phi if kind == DAMPED else 1.0
            one, seasonal = np.empty(1), np.zeros(24)
            for mean in means:
                library.forecast(one, now, change, seasonal, 1, switch(trend), switch("N"), damping, 1)
                assert mean == pytest.approx(one[0], rel=1e-9, abs=1e-9)
                now, change = library.update(
                    seasonal, now, change, now, change, seasonal, 1, switch(trend), switch("N"),
                    alpha, alpha * share, 0.0, damping, one[0],
                )  # fmt: skip
        *_, expected = aic_bic_aicc(likelihood, (3, 5, 6)[kind], len(y))
        assert criterion == pytest.approx(expected, rel=1e-9)


def worse_than_the_library(windows: list[NDArray[np.float64]], model: str, *, damped: bool | None) -> int:
    """Return for how many windows the criterion is above the one that statsforecast finds, by more than 0.001."""
    from statsforecast.models import AutoETS

    kind = {(name, damp): kind for kind, (name, damp) in KINDS.items()}.get((model, bool(damped)))
    found = np.empty(5)
    worse = 0
    for y in windows:
        theirs = AutoETS(season_length=1, model=model, damped=damped).fit(y).model_
        if kind is None:
            worse += bool(fit_ets(y)[CRITERION] > theirs["aicc"] + 1e-3)
        else:
            worse += bool(len(y) * math.log(fit_trend(y, kind, found)) > -2 * theirs["loglik"] + 1e-3)
    return worse


def test_fits_of_real_windows_are_at_least_as_good_as_those_of_statsforecast(windows: Windows) -> None:
    assert worse_than_the_library(windows(40), "AZN", damped=None) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("model", "damped"), [*KINDS.values(), ("AZN", None)])
def test_fits_of_many_real_windows_are_at_least_as_good_as_those_of_statsforecast(
    windows: Windows, model: str, damped: bool | None
) -> None:
    assert worse_than_the_library(windows(1000), model, damped=damped) <= 10


def test_a_straight_line_is_continued() -> None:
    y = np.arange(50.0)
    found = fit_ets(y)
    assert found[PHI] == 1.0
    assert forecast_ets(y, found, np.array([49]), 5)[0] == pytest.approx(np.arange(50.0, 55.0), abs=1e-6)
