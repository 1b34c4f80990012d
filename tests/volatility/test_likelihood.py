"""The compiled likelihood beside one written out from its definition."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import digamma as scipy_digamma

from pm.volatility import likelihood
from pm.volatility.garch import GARCH_MODELS, GarchModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Fat = Callable[..., NDArray[np.float64]]
    LogDensities = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
    Variances = Callable[[NDArray[np.float64], NDArray[np.float64], float], list[float]]

EPS = np.finfo(float).eps
MODELS = list(GARCH_MODELS.values())
THETAS = {  # natural parameters of each model, in units of the series' own variance
    "garch": [0.05, 0.04, 0.08, 0.0, 0.88, math.inf],
    "gjr": [0.05, 0.04, 0.03, 0.1, 0.88, math.inf],
    "garch_t": [-0.02, 0.03, 0.07, 0.0, 0.9, 5.5],
    "gjr_t": [-0.02, 0.03, 0.09, -0.05, 0.9, 7.0],
}


def derivatives(
    returns: NDArray[np.float64], theta: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the log-likelihood, its gradient and the outer product of the scores."""
    gradient, outer = np.empty(6), np.empty((6, 6))
    start = likelihood.backcast(returns, float(returns.mean()))
    value = likelihood.log_likelihood(returns, start, theta, math.isfinite(theta[5]), gradient, outer, 2)
    return value, gradient, outer


@pytest.mark.parametrize("name", THETAS)
@pytest.mark.parametrize("length", [12, 74, 76, 400])
def test_likelihood_and_variances_equal_the_recursion_written_out(
    name: str, length: int, fat_tailed: Fat, log_densities: LogDensities, variances_one_by_one: Variances
) -> None:
    returns, theta = fat_tailed(length, length), np.array(THETAS[name])
    # All terms of the recursion are positive, so that errors do not cancel but add up: a few eps for each of the 75
    # squares of the start, and for each step.
    relative = 16 * (75 + length) * EPS
    expected = variances_one_by_one(returns, theta, float(theta[0]))
    np.testing.assert_allclose(likelihood.conditional_variances(returns, theta), expected, rtol=relative)
    # The derivative of a log-density by log h is at most (1 + z²)/2; beside that there is the rounding of the sum.
    densities = log_densities(returns, theta)
    squares = (returns - theta[0]) ** 2 / np.array(variances_one_by_one(returns, theta, float(returns.mean())))[:-1]
    bound = relative * (np.sum(1 + squares) / 2 + np.sum(np.abs(densities)))
    assert derivatives(returns, theta)[0] == pytest.approx(densities.sum(), rel=0, abs=bound)


def test_the_mean_of_variances_is_that_of_each_fit(fat_tailed: Fat) -> None:
    returns, thetas = fat_tailed(3, 400), np.array([THETAS["garch"], THETAS["gjr"], THETAS["gjr_t"]])
    expected = np.mean([likelihood.conditional_variances(returns, theta) for theta in thetas], axis=0)
    found = likelihood.mean_conditional_variances(returns, np.ascontiguousarray(thetas[:, :5]))
    np.testing.assert_allclose(found, expected, rtol=8 * EPS)


@pytest.mark.parametrize("name", THETAS)
def test_gradient_equals_central_differences(name: str, fat_tailed: Fat, log_densities: LogDensities) -> None:
    returns, theta = fat_tailed(1), np.array(THETAS[name])
    estimated = np.flatnonzero([True, True, True, "gjr" in name, True, "_t" in name])

    def value(point: NDArray[np.float64]) -> float:
        moved = theta.copy()
        moved[estimated] = point
        return float(log_densities(returns, moved).sum())

    _, gradient, _ = derivatives(returns, theta)
    central = 0.5 * (approx_fprime(theta[estimated], value, 1e-6) + approx_fprime(theta[estimated], value, -1e-6))
    np.testing.assert_allclose(gradient[estimated], central, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("name", THETAS)
def test_outer_product_is_the_sum_over_observations(name: str, fat_tailed: Fat) -> None:
    """The score of an observation is the gradient with it less the gradient without it."""
    returns, theta = fat_tailed(2, 60), np.array(THETAS[name])
    start, student = 1.1, "_t" in name
    gradients, unused = np.zeros((61, 6)), np.empty((6, 6))
    for known in range(1, 61):
        likelihood.log_likelihood(returns[:known], start, theta, student, gradients[known], unused, 1)
    scores = np.diff(gradients, axis=0)
    outer = np.empty((6, 6))
    likelihood.log_likelihood(returns, start, theta, student, np.empty(6), outer, 2)
    # A difference of gradients has an error of some eps of the gradient, which times a score is far below 1e-8.
    np.testing.assert_allclose(np.tril(outer), np.tril(scores.T @ scores), rtol=1e-8, atol=1e-8)


@hypothesis_settings(deadline=None)
@given(
    x=st.lists(st.floats(-6, 6), min_size=6, max_size=6),
    leverage=st.booleans(),
    student=st.booleans(),
)
def test_free_parameters_are_inside_the_bounds_and_can_be_recovered(
    x: list[float], leverage: bool, student: bool
) -> None:
    free, theta, jacobian, recovered = np.array(x), np.empty(6), np.empty((6, 6)), np.zeros(6)
    likelihood.to_natural_parameters(free, leverage, student, theta, jacobian)
    mu, omega, alpha, gamma, beta, nu = theta
    assert omega > 0
    assert alpha >= 0
    assert alpha + gamma >= 0
    assert beta >= 0
    assert alpha + gamma / 2 + beta < 1
    assert (2.05 < nu < 500) if student else math.isinf(nu)
    assert mu == x[0]
    likelihood.to_free_parameters(theta, leverage, student, recovered)
    own = likelihood.estimated_parameters(leverage, student)
    # Shares are recovered from differences of sums, with an error of some eps; the smallest is about exp(-12) of the
    # largest, and x is the logarithm of their ratio.
    np.testing.assert_allclose(recovered[own], free[own], rtol=0, atol=32 * math.exp(12) * EPS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_jacobian_equals_differences(model: GarchModel) -> None:
    x = np.array([0.1, -3.0, -1.2, -0.4, 2.0, -0.7])

    def natural(free: NDArray[np.float64]) -> NDArray[np.float64]:
        theta = np.empty(6)
        likelihood.to_natural_parameters(free, model.leverage, model.student, theta, np.empty((6, 6)))
        return theta if model.student else theta[:5]

    jacobian = np.empty((6, 6))
    likelihood.to_natural_parameters(x, model.leverage, model.student, np.empty(6), jacobian)
    rows = 6 if model.student else 5
    np.testing.assert_allclose(jacobian[:rows], approx_fprime(x, natural, 1e-7), rtol=1e-5, atol=1e-5)


@hypothesis_settings(deadline=None)
@given(st.floats(1e-3, 1e4))
def test_digamma_equals_scipys(x: float) -> None:
    # The first term that the series leaves out is below 4e-13 for x ≥ 8; the recurrence adds 8 roundings of 1/x.
    assert likelihood.digamma(x) == pytest.approx(float(scipy_digamma(x)), abs=1e-12 + 8 * EPS / x)
