from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pm.forecast.stacking import (
    _by_inverse_loss,
    _by_stacking,
    _cross_fitted_weights,
    combine,
    inverse_loss_weights,
    shrinkage,
    stacking_weights,
)
from pm.statistics.diebold_mariano import DieboldMariano, diebold_mariano

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Method = Callable[[Array, float, int], Array]

BARS, HORIZON = 1000, 20


def gram(rng: np.random.Generator, models: int) -> Array:
    errors = rng.normal(size=(30, models)) * rng.uniform(0.3, 2, models) + rng.normal(size=(30, 1))
    return np.asarray(errors.T @ errors / 30)


def test_inverse_loss_weights_equal_those_of_bates_and_granger() -> None:
    assert inverse_loss_weights(np.diag([1.0, 0.5, 1.0])) == pytest.approx([0.25, 0.5, 0.25])
    # Their equation for two uncorrelated forecasts: k = σ₂² / (σ₁² + σ₂²).
    assert inverse_loss_weights(np.diag([0.09, 0.04]))[1] == pytest.approx(0.09 / 0.13)
    assert inverse_loss_weights(np.diag([1.0, 0.0, 0.0])) == pytest.approx([0.0, 0.5, 0.5], abs=1e-8)


@hypothesis_settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), models=st.integers(2, 8), ridge=st.floats(1e-3, 10))
def test_stacking_weights_equal_a_constrained_minimisation(seed: int, models: int, ridge: float) -> None:
    products = gram(np.random.default_rng(seed), models)
    found = stacking_weights(products, ridge)
    assert found.sum() == pytest.approx(1.0)
    assert found.min() >= 0

    def objective(weights: Array) -> float:
        return float(weights @ products @ weights + ridge * np.sum((weights - 1 / models) ** 2))

    slow = minimize(
        objective,
        np.full(models, 1 / models),
        bounds=[(0, 1)] * models,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    assert objective(found) <= slow.fun + 1e-9
    np.testing.assert_allclose(found, slow.x, atol=2e-4)


def test_stacking_weights_equal_values_computed_by_hand() -> None:
    # Two uncorrelated errors of variance 1 and 3: weights 3/4 and 1/4; a strong ridge makes them equal.
    assert stacking_weights(np.diag([1.0, 3.0]), 1e-12) == pytest.approx([0.75, 0.25])
    assert stacking_weights(np.diag([1.0, 3.0]), 1e9) == pytest.approx([0.5, 0.5])
    # A model that adds noise to another's error has no weight; two identical models have equal weights.
    assert stacking_weights(np.array([[1.0, 1.0], [1.0, 1.5]]), 1e-9) == pytest.approx([1.0, 0.0], abs=1e-8)
    assert stacking_weights(np.ones((2, 2)), 1e-6) == pytest.approx([0.5, 0.5])


def test_shrinkage() -> None:
    assert shrinkage(DieboldMariano(2.0, 0.03)) == 0.75
    assert shrinkage(DieboldMariano(2.0, 0.06)) == 0.0
    assert shrinkage(DieboldMariano(-3.0, 0.99)) == 0.0
    assert shrinkage(DieboldMariano(np.inf, 0.0)) == 1.0
    assert shrinkage(DieboldMariano(np.nan, np.nan)) == 0.0


def as_products(errors: Array) -> Array:
    """Return the mean products at each origin of errors with shape (origins, models, steps)."""
    return np.asarray(np.einsum("oks,ols->okl", errors, errors) / errors.shape[2])


@given(seed=st.integers(0, 10_000), origins=st.integers(1, 20), models=st.integers(1, 6), overlap=st.integers(1, 3))
def test_weights_sum_to_one_and_do_not_depend_on_the_unit(seed: int, origins: int, models: int, overlap: int) -> None:
    rng = np.random.default_rng(seed)
    products = as_products(rng.normal(size=(origins, models, 5)) * rng.uniform(0.2, 2, (models, 1)))
    found = combine(products, overlap=overlap)
    for weights in (found.weights, *found.left_out_weights):
        assert weights.sum() == pytest.approx(1.0)
        assert weights.min() >= 0
    assert found.edge == (found.test.p_value < 0.05)
    if not found.edge:
        assert found.weights[0] == 1.0
    scaled = combine(products * 1e-4, overlap=overlap)
    np.testing.assert_allclose(scaled.weights, found.weights, atol=1e-7)


@pytest.mark.parametrize("overlap", [1, 2, 4])
@pytest.mark.parametrize("method", [_by_inverse_loss, _by_stacking])
def test_an_origin_does_not_influence_its_left_out_weights(overlap: int, method: Method) -> None:
    errors = np.random.default_rng(4).normal(size=(16, 4, 20))
    spoilt = errors.copy()
    spoilt[8, 1] *= 30
    disjoint = np.abs(np.subtract.outer(np.arange(16), np.arange(16))) >= overlap
    before, after = (_cross_fitted_weights(as_products(each), disjoint, method) for each in (errors, spoilt))
    same = (before == after).all(axis=1)
    # It has no influence at itself and where windows overlap its own, but everywhere else and on the current weights.
    assert same.tolist() == [abs(origin - 8) < overlap for origin in range(16)] + [False]


def test_the_test_is_of_left_out_and_shrunk_weights() -> None:
    # One model and naive: each left-out combination is computed explicitly with both methods.
    rng = np.random.default_rng(0)
    naive = rng.normal(size=(10, 20))
    products = as_products(np.stack([naive, 0.95 * naive + rng.normal(0, 0.3, (10, 20))], axis=1))
    found = combine(products, overlap=1)
    losses, weights = np.empty((2, 10)), np.empty((2, 10, 2))
    for origin in range(10):
        rest = np.delete(products, origin, axis=0).mean(axis=0)
        for method, own in enumerate((inverse_loss_weights(rest), stacking_weights(rest, rest[0, 0] / 9))):
            weights[method, origin] = own
            losses[method, origin] = own @ products[origin] @ own
    chosen = [int(np.argmin(np.delete(losses, o, axis=1).sum(axis=1))) for o in range(10)]
    gain = products[:, 0, 0] - losses[chosen, range(10)]
    shrunk = np.empty((10, 2))
    for origin in range(10):
        others = diebold_mariano(np.delete(gain, origin), alternative="greater")
        factor = 1 - 1 / others.statistic**2 if others.p_value < 0.05 else 0.0
        shrunk[origin] = factor * weights[chosen[origin], origin] + (1 - factor) * np.array([1.0, 0.0])
    np.testing.assert_allclose(found.left_out_weights, shrunk)
    assert 0 < (shrunk[:, 1] == 0).sum() < 10  # at some origins the others do not tell
    nested = [products[origin, 0, 0] - shrunk[origin] @ products[origin] @ shrunk[origin] for origin in range(10)]
    expected = diebold_mariano(np.array(nested), alternative="greater")
    assert found.test.statistic == pytest.approx(expected.statistic)
    assert found.test.p_value == pytest.approx(expected.p_value)


def test_naive_has_all_the_weight_if_it_is_alone_or_the_price_is_constant() -> None:
    alone = combine(np.ones((9, 1, 1)), overlap=1)
    assert alone.weights.tolist() == [1.0]
    still = combine(np.zeros((9, 3, 3)), overlap=1)
    assert still.weights.tolist() == [1.0, 0.0, 0.0]
    assert not still.edge
    copy = combine(np.ones((9, 2, 2)), overlap=1)
    assert (copy.test.statistic, copy.edge) == (0.0, False)


def random_walks(rng: np.random.Generator, count: int) -> Array:
    return np.asarray(rng.normal(0, 0.02, (count, BARS)).cumsum(axis=1))


def garch_t_walks(rng: np.random.Generator, count: int) -> Array:
    shocks = rng.standard_t(5, (BARS, count)) / np.sqrt(5 / 3)
    returns, variance = np.empty((BARS, count)), np.ones(count)
    for bar in range(BARS):
        returns[bar] = np.sqrt(variance) * shocks[bar]
        variance = 0.03 + 0.09 * returns[bar] ** 2 + 0.88 * variance
    return np.asarray(0.02 * returns.cumsum(axis=0).T)


def cycles(rng: np.random.Generator, count: int) -> Array:
    """Simulate a cycle with autoregressive noise of the same variance."""
    noise = np.zeros((BARS, count))
    for bar in range(1, BARS):
        noise[bar] = 0.5 * noise[bar - 1] + rng.normal(0, np.sqrt(0.75) * 0.02, count)
    return np.asarray(0.02 * np.sqrt(2) * np.sin(2 * np.pi * np.arange(BARS) / 40) + noise.T)


def simple_forecasts(series: Array, origin: int, fitted: int) -> list[Array]:
    """Forecast changes by naive, a drift, an AR(1) of returns, two momenta, and a return to the recent mean.

    Parameters
    ----------
    series
        Shape (series, BARS).
    origin
        Bar to forecast from.
    fitted
        Last bar that parameters are estimated on.

    Returns
    -------
    Arrays of shape (series, HORIZON).
    """
    steps = np.arange(1, HORIZON + 1)
    returns = np.diff(series[:, : fitted + 1], axis=1)
    phi = (returns[:, 1:] * returns[:, :-1]).sum(axis=1) / (returns**2).sum(axis=1)
    last = series[:, [origin]]
    return [
        np.zeros((len(series), HORIZON)),
        steps * (last - series[:, [0]]) / origin,
        (last - series[:, [origin - 1]]) * np.cumsum(phi[:, np.newaxis] ** steps, axis=1),
        steps * (last - series[:, [origin - 60]]) / 60,
        0.5 * steps * (last - series[:, [origin - 20]]) / 20,
        (series[:, origin - 20 : origin + 1].mean(axis=1, keepdims=True) - last) * (1 - 0.9**steps),
    ]


def regression(series: Array, origin: int, fitted: int) -> Array:
    """Forecast changes by a least-squares fit of a level and the cycle to the bars up to the first origin."""
    bars = np.arange(BARS)
    design = np.column_stack([np.ones(BARS), np.sin(2 * np.pi * bars / 40), np.cos(2 * np.pi * bars / 40)])
    beta = np.linalg.lstsq(design[: fitted + 1], series[:, : fitted + 1].T, rcond=None)[0]
    return np.asarray((design[origin + 1 : origin + HORIZON + 1] @ beta).T - series[:, [origin]])


def rolled_products(series: Array, *, origins: int, step: int, cycle: bool = False) -> list[Array]:
    """Compute the error products of each series over its last origins, like `Backtest.error_products`."""
    bars = [BARS - 1 - HORIZON - step * back for back in range(origins)][::-1]
    errors = []
    for origin in bars:
        changes = simple_forecasts(series, origin, bars[0])
        if cycle:
            changes.append(regression(series, origin, bars[0]))
        realised = series[:, origin + 1 : origin + HORIZON + 1] - series[:, [origin]]
        variance = np.mean(np.diff(series[:, origin - 59 : origin + 1], axis=1) ** 2, axis=1)
        scale = np.sqrt(np.arange(1, HORIZON + 1) * variance[:, np.newaxis])
        errors.append((np.array(changes) - realised) / scale)
    return [as_products(own) for own in np.array(errors).transpose(2, 0, 1, 3)]


@pytest.mark.parametrize("simulate", [random_walks, garch_t_walks])
def test_no_edge_is_claimed_on_random_walks(simulate: Callable[[np.random.Generator, int], Array]) -> None:
    walks = simulate(np.random.default_rng(11), 300)
    claimed, naive_weight = {}, {}
    for origins, step, count in ((8, 20, 150), (16, 20, 300), (24, 10, 150)):
        products = rolled_products(walks[:count], origins=origins, step=step)
        found = [combine(own, overlap=20 // step) for own in products]
        claimed[origins] = float(np.mean([one.edge for one in found]))
        naive_weight[origins] = float(np.mean([one.weights[0] for one in found]))
    # The level of the test is 5%; the standard error is 1.3% with 300 walks and 1.8% with 150.
    assert claimed[16] <= 0.06, claimed
    assert max(claimed.values()) <= 0.07, claimed
    assert min(naive_weight.values()) >= 0.95, naive_weight


def test_a_model_that_explains_half_the_variance_has_most_of_the_weight() -> None:
    series = cycles(np.random.default_rng(12), 60)
    found = [combine(own, overlap=1) for own in rolled_products(series, origins=16, step=20, cycle=True)]
    assert np.mean([one.edge for one in found]) > 0.95
    assert np.median([one.weights[-1] for one in found]) > 0.5
    assert np.mean([one.left_out_weights[:, -1].mean() for one in found]) > 0.5
