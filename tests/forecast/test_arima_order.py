from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from pm.forecast.arima_order import MAX_LAGS, conditional_squares, is_admissible, penalty, rank_orders

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def arma(phi: list[float], theta: list[float], n: int, *, seed: int, mean: float = 0.0) -> Floats:
    noise = np.random.default_rng(seed).normal(0, 0.02, n + 200)
    return np.asarray(mean + lfilter([1, *theta], [1, *(-np.array(phi))], noise)[200:])


def slow_squares(z: Floats, phi: Floats, theta: Floats, constant: float) -> float:
    """Compute the sum of squares from its definition, one change at a time."""
    errors = [0.0] * len(z)
    for t in range(MAX_LAGS, len(z)):
        explained = constant + sum(phi[i] * z[t - 1 - i] for i in range(len(phi)))
        explained += sum(theta[j] * errors[t - 1 - j] for j in range(len(theta)))
        errors[t] = z[t] - explained
    return float(sum(e * e for e in errors))


@pytest.mark.parametrize("p", [0, 1, 2])
@pytest.mark.parametrize("q", [0, 1, 2])
def test_the_compiled_squares_and_derivatives_equal_their_definition(p: int, q: int) -> None:
    z = arma([0.4], [0.2], 80, seed=1) * 50
    phi, theta, constant = np.array([0.3, -0.2])[:p], np.array([-0.4, 0.1])[:q], 0.05
    squares, gradient, curvature = conditional_squares(z, phi, theta, constant)
    # Sums of 78 squares of errors that are recursions with roots of at most 0.7: rounding is below 80·ε·10 = 2e-13.
    assert squares == pytest.approx(slow_squares(z, phi, theta, constant), rel=1e-12)
    at = np.concatenate([[constant], phi, theta])
    for k in range(at.size):
        up, down = at.copy(), at.copy()
        up[k], down[k] = at[k] + 1e-6, at[k] - 1e-6
        high, low = (slow_squares(z, x[1 : 1 + p], x[1 + p :], float(x[0])) for x in (up, down))
        assert 2 * gradient[k] == pytest.approx((high - low) / 2e-6, rel=1e-5, abs=1e-5)
    assert np.all(np.linalg.eigvalsh(curvature) > 0)
    bare, _, _ = conditional_squares(z, phi, theta)
    assert bare == pytest.approx(slow_squares(z, phi, theta, 0.0), rel=1e-12)


def test_autoregressions_are_least_squares_estimates() -> None:
    z = arma([0.5, -0.3], [], 400, seed=2, mean=0.01)
    for order in rank_orders(z):
        if order.ma:
            continue
        lags = [z[MAX_LAGS - i : z.size - i] for i in range(1, order.ar + 1)]
        design = np.column_stack([*([np.ones(z.size - MAX_LAGS)] * order.mean), *lags, np.zeros(z.size - MAX_LAGS)])
        beta = np.linalg.lstsq(design, z[MAX_LAGS:], rcond=None)[0]
        np.testing.assert_allclose(order.phi, beta[order.mean : order.mean + order.ar], atol=1e-6)
        squares = np.sum((z[MAX_LAGS:] - design @ beta) ** 2)
        used = z.size - MAX_LAGS
        price = order.ar * np.log(used) + order.mean * 2 * np.log(np.log(used))
        assert order.criterion == pytest.approx(used * np.log(squares / used) + price, abs=1e-6)
        assert penalty(order.ar, used, mean=order.mean) == pytest.approx(price)


@pytest.mark.parametrize("q", [1, 2])
def test_mixed_orders_are_fitted_as_well_as_by_statsforecast(q: int) -> None:
    from statsforecast.arima import Arima

    z = arma([0.6, -0.3], [0.4, 0.2][:q], 500, seed=3)
    ours = next(o for o in rank_orders(z) if (o.ar, o.ma, o.mean) == (2, q, False))
    # With p = 2, statsforecast conditions on two changes as well.
    scaled = z / z.std()
    theirs: dict[str, Any] = Arima(scaled, order=(2, 0, q), include_mean=False, method="CSS", tol=1e-6)  # type: ignore[no-untyped-call]
    at_theirs = np.array(list(theirs["coef"].values()))
    squares, *_ = conditional_squares(scaled, ours.phi, ours.theta)
    assert squares <= conditional_squares(scaled, at_theirs[:2], at_theirs[2:])[0] * (1 + 1e-6)
    np.testing.assert_allclose(np.concatenate([ours.phi, ours.theta]), at_theirs, atol=2e-3)


@pytest.mark.parametrize(
    ("phi", "theta", "mean"),
    [
        ([], [], 0.0),
        ([], [], 0.004),
        ([0.3], [], 0.0),
        ([], [-0.3], 0.0),
        ([0.5, -0.4], [], 0.004),
        ([], [0.4, 0.3], 0.0),
        ([0.7], [-0.3], 0.0),
        ([1.2, -0.6], [-0.4, 0.5], 0.0),
    ],
)
def test_the_simulated_order_is_chosen(phi: list[float], theta: list[float], mean: float) -> None:
    best = rank_orders(arma(phi, theta, 6000, seed=4, mean=mean))[0]
    assert (best.ar, best.ma, best.mean) == (len(phi), len(theta), mean != 0)
    np.testing.assert_allclose(np.concatenate([best.phi, best.theta]), [*phi, *theta], atol=0.08)
    assert best.mu == pytest.approx(mean, abs=0.001)


def test_random_walks_rarely_get_lags_or_a_mean() -> None:
    found = [rank_orders(arma([], [], 1000, seed=seed))[0] for seed in range(100)]
    # The penalty of a lag is ln 1000 = 6.9, which a χ² of one degree of freedom exceeds with 0.9%; that of the mean is
    # 3.9, which it exceeds with 5%.
    assert sum(order.ar + order.ma > 0 for order in found) <= 6
    assert sum(order.mean for order in found) <= 12


def test_the_ranking_depends_neither_on_unit_nor_on_sign() -> None:
    z = arma([0.3], [], 400, seed=5)
    names = [(o.ar, o.ma, o.mean) for o in rank_orders(z)]
    assert [(o.ar, o.ma, o.mean) for o in rank_orders(-z)] == names
    assert [(o.ar, o.ma, o.mean) for o in rank_orders(1000 * z)][:3] == names[:3]


def test_orders_can_be_restricted_to_those_with_or_without_a_mean() -> None:
    z = arma([0.3], [], 200, seed=6)
    assert not any(o.mean for o in rank_orders(z, means=(False,)))
    assert all(o.mean for o in rank_orders(z, means=(True,)))


@given(st.lists(st.floats(-2.5, 2.5).map(lambda x: round(x, 3)), max_size=2))
def test_admissible_orders_have_roots_outside_the_unit_circle(values: list[float]) -> None:
    coefficients = np.array(values)
    roots = np.roots([*coefficients[::-1], 1.0])
    nearest = float(np.abs(roots).min()) if roots.size else np.inf
    if abs(nearest - 1.01) > 1e-6:
        assert is_admissible(np.empty(0), coefficients) == (nearest > 1.01)
        assert is_admissible(-coefficients, np.empty(0)) == (nearest > 1.01)
