from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.volatility import estimation
from pm.volatility.garch import GARCH_MODELS, GarchModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Fat = Callable[..., NDArray[np.float64]]
    LogDensities = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]

MODELS = list(GARCH_MODELS.values())


def fit(
    series: list[NDArray[np.float64]], model: GarchModel
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    begins = np.concatenate([[0], np.cumsum([len(values) for values in series])])
    return estimation.fit_batch(np.concatenate(series), begins, model.leverage, model.student)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_fit_is_a_maximum_of_the_likelihood_written_out(
    model: GarchModel, fat_tailed: Fat, log_densities: LogDensities
) -> None:
    returns = fat_tailed(7, 800) * np.exp(0.5 * np.sin(np.arange(800) / 12))
    (theta,), (status,), (likelihood,) = fit([returns], model)
    assert status == estimation.CONVERGED
    # Rounding of a sum of 800 log-densities of order 1 is about 1e-12.
    assert likelihood == pytest.approx(log_densities(returns, theta).sum(), abs=1e-7)
    for place in range(5 if not model.student else 6):
        if place == 3 and not model.leverage:
            continue
        for side in (-1, 1):
            moved = theta.copy()
            moved[place] += side * 1e-3 * max(abs(theta[place]), 0.1)
            if moved[2] >= 0 and moved[2] + moved[3] >= 0 and moved[2] + moved[3] / 2 + moved[4] < 1:
                assert log_densities(returns, moved).sum() < likelihood + 1e-6


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_fit_does_not_depend_on_the_other_series_of_the_batch_or_their_order(
    model: GarchModel, fat_tailed: Fat
) -> None:
    series = [fat_tailed(seed, length) for seed, length in ((1, 300), (2, 10), (3, 555), (4, 251))]
    together = fit(series, model)
    for place, values in enumerate(series):
        for whole, alone in zip(together, fit([values], model), strict=True):
            np.testing.assert_array_equal(whole[place], alone[0])
    for whole, reversed_ in zip(together, fit(series[::-1], model), strict=True):
        np.testing.assert_array_equal(whole, reversed_[::-1])


def test_returns_in_another_unit_have_the_same_fit(fat_tailed: Fat) -> None:
    """Scaled by a power of two, every number of the fit is scaled exactly."""
    returns = fat_tailed(3, 700)
    gjr = GARCH_MODELS["gjr"]
    (theta,), _, (likelihood,) = fit([returns], gjr)
    (small,), _, (shifted,) = fit([returns * 2.0**-20], gjr)
    np.testing.assert_array_equal(small, theta * [2.0**-20, 2.0**-40, 1, 1, 1, 1])
    # The logarithm of the standard deviation, of which there are 700, is rounded.
    shift = 700 * 20 * math.log(2)
    assert shifted == pytest.approx(likelihood + shift, abs=4 * np.finfo(float).eps * (abs(likelihood) + shift))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_series_that_cannot_be_fitted_have_a_status(model: GarchModel, fat_tailed: Fat) -> None:
    good = fat_tailed(5, 300)
    with_nan, with_infinity = good.copy(), good.copy()
    with_nan[17], with_infinity[200] = math.nan, math.inf
    series = [good, good[:9], good[:0], np.full(50, 0.3), np.zeros(300), with_nan, with_infinity, good * 1e200, good]
    parameters, statuses, likelihoods = fit(series, model)
    assert statuses.tolist() == [
        estimation.CONVERGED,
        estimation.TOO_SHORT,
        estimation.TOO_SHORT,
        estimation.CONSTANT,
        estimation.CONSTANT,
        estimation.NOT_FINITE,
        estimation.NOT_FINITE,
        estimation.NOT_FINITE,
        estimation.CONVERGED,
    ]
    assert np.isnan(parameters[1:8]).all()
    assert np.isnan(likelihoods[1:8]).all()
    np.testing.assert_array_equal(parameters[0], parameters[8])


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, -1.0]), min_size=0, max_size=60),
    model=st.sampled_from(MODELS),
)
def test_any_series_has_a_status_and_finite_parameters_if_converged(values: list[float], model: GarchModel) -> None:
    (theta,), (status,), (likelihood,) = fit([np.array(values)], model)
    assert status in range(5)
    if status == estimation.CONVERGED:
        assert np.isfinite(theta[:5]).all()
        assert math.isfinite(likelihood)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_robust_errors_equal_those_of_arch(model: GarchModel, sp500_percent: NDArray[np.float64]) -> None:
    from arch import arch_model

    theirs = arch_model(sp500_percent, o=int(model.leverage), dist="t" if model.student else "normal").fit(
        disp="off", cov_type="robust"
    )
    (theta,), _, _ = fit([sp500_percent], model)
    ours = estimation.robust_errors(sp500_percent, theta, model.leverage)
    own = np.isfinite(ours)
    assert own.tolist() == [True, True, True, model.leverage, True, model.student]
    at_bound = model.leverage  # α is 0 there, and arch's one-sided differences of it are inaccurate
    np.testing.assert_allclose(ours[own], theirs.std_err.to_numpy(), rtol=0.06 if at_bound else 0.02)
    # Scaled by a power of two, every number on the way is scaled exactly.
    units = np.array([2.0**-7, 2.0**-14, 1, 1, 1, 1])
    smaller = estimation.robust_errors(sp500_percent * 2.0**-7, theta * units, model.leverage)
    np.testing.assert_array_equal(smaller, ours * units)
