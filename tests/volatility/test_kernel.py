from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import digamma
from scipy.stats import norm
from scipy.stats import t as student_t

from pm.volatility import kernel
from pm.volatility.garch import GARCH_MODELS, PERCENT, GarchModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODELS = list(GARCH_MODELS.values())
MOST = {  # natural parameters of each model, in units of the series' own variance
    "garch": [0.05, 0.04, 0.08, 0.0, 0.88, math.inf],
    "gjr": [0.05, 0.04, 0.03, 0.1, 0.88, math.inf],
    "garch_t": [-0.02, 0.03, 0.07, 0.0, 0.9, 5.5],
    "gjr_t": [-0.02, 0.03, 0.09, -0.05, 0.9, 7.0],
}


def fat_tailed(seed: int, length: int = 400) -> NDArray[np.float64]:
    returns = np.random.default_rng(seed).standard_t(5, length)
    return np.asarray(returns / returns.std())


def variances_one_by_one(returns: NDArray[np.float64], theta: NDArray[np.float64], centre: float) -> list[float]:
    """The recursion from its definition; `centre` is what the backcast's shocks are about."""
    mu, omega, alpha, gamma, beta, _ = theta
    weights = [0.94**age for age in range(min(75, len(returns)))]
    backcast = sum(w * (r - centre) ** 2 for w, r in zip(weights, returns, strict=False)) / sum(weights)
    h = [omega + (alpha + gamma / 2 + beta) * backcast]
    for value in returns:
        shock = value - mu
        h.append(omega + (alpha + (gamma if shock < 0 else 0)) * shock**2 + beta * h[-1])
    return h


def log_likelihood(returns: NDArray[np.float64], theta: NDArray[np.float64]) -> float:
    """By scipy's densities."""
    h = np.array(variances_one_by_one(returns, theta, float(returns.mean())))[:-1]
    shocks, nu = returns - theta[0], float(theta[5])
    if math.isinf(nu):
        return float(norm.logpdf(shocks, scale=np.sqrt(h)).sum())
    return float(student_t.logpdf(shocks, nu, scale=np.sqrt(h * (nu - 2) / nu)).sum())


def scores(
    returns: NDArray[np.float64], theta: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    gradient, outer = np.empty(6), np.empty((6, 6))
    backcast = kernel._backcast(returns, float(returns.mean()))
    value = kernel._scores(returns, backcast, theta, math.isfinite(theta[5]), gradient, outer, 2)
    return value, gradient, outer


def fit(
    series: list[NDArray[np.float64]], model: GarchModel
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    begins = np.concatenate([[0], np.cumsum([len(values) for values in series])])
    return kernel.fit_batch(np.concatenate(series), begins, model.leverage, model.student)


@pytest.mark.parametrize("name", MOST)
@pytest.mark.parametrize("length", [12, 74, 76, 400])
def test_likelihood_and_variances_equal_the_recursion_written_out(name: str, length: int) -> None:
    returns, theta = fat_tailed(length, length), np.array(MOST[name])
    assert scores(returns, theta)[0] == pytest.approx(log_likelihood(returns, theta), rel=1e-12)
    expected = variances_one_by_one(returns, theta, float(theta[0]))
    np.testing.assert_allclose(kernel.conditional_variances(returns, theta), expected, rtol=1e-12)


@pytest.mark.parametrize("name", MOST)
def test_gradient_equals_differences_of_the_twin(name: str) -> None:
    returns, theta = fat_tailed(1), np.array(MOST[name])
    free = np.flatnonzero([True, True, True, "gjr" in name, True, "_t" in name])

    def twin(point: NDArray[np.float64]) -> float:
        moved = theta.copy()
        moved[free] = point
        return log_likelihood(returns, moved)

    _, gradient, _ = scores(returns, theta)
    central = 0.5 * (approx_fprime(theta[free], twin, 1e-6) + approx_fprime(theta[free], twin, -1e-6))
    np.testing.assert_allclose(gradient[free], central, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("name", MOST)
def test_outer_product_is_the_sum_of_each_observations(name: str) -> None:
    """The score of an observation is the gradient with it less the gradient without it."""
    returns, theta = fat_tailed(2, 60), np.array(MOST[name])
    backcast, student = 1.1, "_t" in name
    gradients, spare = np.zeros((61, 6)), np.empty((6, 6))
    for known in range(1, 61):
        kernel._scores(returns[:known], backcast, theta, student, gradients[known], spare, 1)
    each = np.diff(gradients, axis=0)
    outer = np.empty((6, 6))
    kernel._scores(returns, backcast, theta, student, np.empty(6), outer, 2)
    np.testing.assert_allclose(np.tril(outer), np.tril(each.T @ each), rtol=1e-8, atol=1e-8)


@hypothesis_settings(deadline=None)
@given(
    x=st.lists(st.floats(-6, 6), min_size=6, max_size=6),
    leverage=st.booleans(),
    student=st.booleans(),
)
def test_every_x_is_inside_the_bounds_and_has_its_way_back(x: list[float], leverage: bool, student: bool) -> None:
    place, theta, jacobian, back = np.array(x), np.empty(6), np.empty((6, 6)), np.zeros(6)
    kernel._natural(place, leverage, student, theta, jacobian)
    mu, omega, alpha, gamma, beta, nu = theta
    assert omega > 0
    assert alpha >= 0
    assert alpha + gamma >= 0
    assert beta >= 0
    assert alpha + gamma / 2 + beta < 1
    assert (2.05 < nu < 500) if student else math.isinf(nu)
    assert mu == x[0]
    kernel._free(theta, leverage, student, back)
    own = [i for i in range(6) if (i != 3 or leverage) and (i != 5 or student)]
    np.testing.assert_allclose(back[own], place[own], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_jacobian_equals_differences(model: GarchModel) -> None:
    x = np.array([0.1, -3.0, -1.2, -0.4, 2.0, -0.7])

    def natural(place: NDArray[np.float64]) -> NDArray[np.float64]:
        theta = np.empty(6)
        kernel._natural(place, model.leverage, model.student, theta, np.empty((6, 6)))
        return theta if model.student else theta[:5]

    jacobian = np.empty((6, 6))
    kernel._natural(x, model.leverage, model.student, np.empty(6), jacobian)
    rows = 6 if model.student else 5
    np.testing.assert_allclose(jacobian[:rows], approx_fprime(x, natural, 1e-7), rtol=1e-5, atol=1e-5)


@hypothesis_settings(deadline=None)
@given(st.floats(1e-3, 1e4))
def test_digamma_is_scipys(x: float) -> None:
    assert kernel._digamma(x) == pytest.approx(float(digamma(x)), rel=1e-11, abs=1e-11)


@hypothesis_settings(deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 6))
def test_inverse_is_numpys(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(size, size))
    matrix[0, 0] = 0.0 if size > 1 else 1.0  # so that it must pivot
    inverse = np.empty((size, size))
    expected = np.linalg.inv(matrix)
    assert kernel._invert(matrix.copy(), inverse)
    np.testing.assert_allclose(inverse, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())


def test_a_singular_matrix_has_no_inverse() -> None:
    assert not kernel._invert(np.zeros((3, 3)), np.empty((3, 3)))
    assert not kernel._invert(np.full((2, 2), math.nan), np.empty((2, 2)))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_no_neighbour_is_likelier(model: GarchModel) -> None:
    """What was found is a top of the twin's likelihood."""
    returns = fat_tailed(7, 800) * np.exp(0.5 * np.sin(np.arange(800) / 12))
    (theta,), (status,), (likelihood,) = fit([returns], model)
    assert status == kernel.CONVERGED
    assert likelihood == pytest.approx(log_likelihood(returns, theta), abs=1e-7)
    for place in range(5 if not model.student else 6):
        if place == 3 and not model.leverage:
            continue
        for side in (-1, 1):
            moved = theta.copy()
            moved[place] += side * 1e-3 * max(abs(theta[place]), 0.1)
            if moved[2] >= 0 and moved[2] + moved[3] >= 0 and moved[2] + moved[3] / 2 + moved[4] < 1:
                assert log_likelihood(returns, moved) < likelihood + 1e-6


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_company_order_and_length_change_no_bit(model: GarchModel) -> None:
    series = [fat_tailed(seed, length) for seed, length in ((1, 300), (2, 10), (3, 555), (4, 251))]
    together = fit(series, model)
    for place, values in enumerate(series):
        for whole, alone in zip(together, fit([values], model), strict=True):
            np.testing.assert_array_equal(whole[place], alone[0])
    for whole, turned in zip(together, fit(series[::-1], model), strict=True):
        np.testing.assert_array_equal(whole, turned[::-1])


def test_units_do_not_matter() -> None:
    returns = fat_tailed(3, 700)
    gjr = GARCH_MODELS["gjr"]
    (theta,), _, (likelihood,) = fit([returns], gjr)
    (small,), _, (shifted,) = fit([returns * 2.0**-20], gjr)
    np.testing.assert_allclose(small[[2, 3, 4]], theta[[2, 3, 4]], rtol=1e-12)
    assert small[1] == pytest.approx(theta[1] * 2.0**-40, rel=1e-12)
    assert shifted == pytest.approx(likelihood + 20 * math.log(2) * 700, rel=1e-12)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_statuses_of_what_cannot_be_fitted(model: GarchModel) -> None:
    good = fat_tailed(5, 300)
    holed, endless = good.copy(), good.copy()
    holed[17], endless[200] = math.nan, math.inf
    series = [good, good[:9], good[:0], np.full(50, 0.3), np.zeros(300), holed, endless, good * 1e200, good]
    parameters, statuses, likelihoods = fit(series, model)
    assert statuses.tolist() == [
        kernel.CONVERGED,
        kernel.TOO_SHORT,
        kernel.TOO_SHORT,
        kernel.CONSTANT,
        kernel.CONSTANT,
        kernel.NOT_FINITE,
        kernel.NOT_FINITE,
        kernel.NOT_FINITE,
        kernel.CONVERGED,
    ]
    assert np.isnan(parameters[1:8]).all()
    assert np.isnan(likelihoods[1:8]).all()
    np.testing.assert_array_equal(parameters[0], parameters[8])


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, -1.0]), min_size=0, max_size=60),
    model=st.sampled_from(MODELS),
)
def test_anything_gets_an_answer(values: list[float], model: GarchModel) -> None:
    (theta,), (status,), (likelihood,) = fit([np.array(values)], model)
    assert status in range(5)
    if status == kernel.CONVERGED:
        assert np.isfinite(theta[:5]).all()
        assert math.isfinite(likelihood)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_robust_errors_are_those_of_arch(model: GarchModel, sp500_percent: NDArray[np.float64]) -> None:
    from arch import arch_model

    theirs = arch_model(sp500_percent, o=int(model.leverage), dist="t" if model.student else "normal").fit(
        disp="off", cov_type="robust"
    )
    (theta,), _, _ = fit([sp500_percent], model)
    ours = kernel.robust_errors(sp500_percent, theta, model.leverage)
    own = np.isfinite(ours)
    assert own.tolist() == [True, True, True, model.leverage, True, model.student]
    at_bound = model.leverage  # α is 0 there, and arch's one-sided differences of it are rough
    np.testing.assert_allclose(ours[own], theirs.std_err.to_numpy(), rtol=0.06 if at_bound else 0.02)
    smaller = kernel.robust_errors(sp500_percent / PERCENT, theta / [PERCENT, PERCENT**2, 1, 1, 1, 1], model.leverage)
    np.testing.assert_allclose(smaller[own] * np.array([PERCENT, PERCENT**2, 1, 1, 1, 1])[own], ours[own], rtol=1e-6)
