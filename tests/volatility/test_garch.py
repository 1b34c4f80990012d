from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pm.errors import SettingsError
from pm.exclusions import Exclusion
from pm.volatility import kernel
from pm.volatility.base import VolatilityEstimate
from pm.volatility.garch import GARCH_MODELS, PERCENT, GarchModel, garch_model
from pm.volatility.simulate import cumulative_shocks, hypercube

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


MODELS = list(GARCH_MODELS.values())


def fit(returns: NDArray[np.float64], name: str = "garch") -> VolatilityEstimate:
    outcome = garch_model(name).fit({"X": returns})["X"]
    assert isinstance(outcome, VolatilityEstimate)
    return outcome


def test_published_fit_of_the_sp500(sp500_percent: NDArray[np.float64]) -> None:
    estimate = fit(sp500_percent / 100)
    assert estimate.log_likelihood == pytest.approx(-6936.718, abs=1e-3)
    assert estimate.mu * 100 == pytest.approx(0.056353, abs=2e-6)
    assert estimate.omega * 100**2 == pytest.approx(0.017507, abs=2e-6)
    assert estimate.alpha == pytest.approx(0.10215, abs=2e-5)
    assert estimate.beta == pytest.approx(0.885206, abs=2e-5)


def by_arch(percent: NDArray[np.float64], model: GarchModel) -> Any:  # noqa: ANN401 - untyped there
    from arch import arch_model

    return arch_model(percent, o=int(model.leverage), dist="t" if model.student else "normal", rescale=False)


def parameters(estimate: VolatilityEstimate, model: GarchModel) -> list[float]:
    """In arch's order and units."""
    found = [estimate.mu * PERCENT, estimate.omega * PERCENT**2, estimate.alpha]
    found += [estimate.gamma] if model.leverage else []
    found += [estimate.beta]
    return found + ([estimate.nu] if estimate.nu is not None else [])


@pytest.mark.parametrize(("name", "likelihood"), [("garch", -6936.718), ("gjr", -6822.883)])
def test_published_likelihoods(name: str, likelihood: float, sp500_percent: NDArray[np.float64]) -> None:
    assert fit(sp500_percent / 100, name).log_likelihood == pytest.approx(likelihood, abs=1e-3)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_parameters_and_likelihood_are_those_of_arch(model: GarchModel, sp500_percent: NDArray[np.float64]) -> None:
    theirs = by_arch(sp500_percent, model).fit(disp="off")
    ours = fit(sp500_percent / 100, model.name)
    assert ours.log_likelihood is not None
    assert ours.log_likelihood == pytest.approx(theirs.loglikelihood, abs=1e-3)
    assert ours.log_likelihood > theirs.loglikelihood - 1e-5
    np.testing.assert_allclose(parameters(ours, model), theirs.params, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_as_likely_as_arch_on_real_tickers(model: GarchModel, real_returns: dict[str, NDArray[np.float64]]) -> None:
    """The newest 1,000 returns of each, and the 1,000 that end 1,500 earlier; a refusal is not a fit."""
    windows = {
        (name, end): values[end - 1000 : end]
        for name, values in real_returns.items()
        for end in (len(values), len(values) - 1500)
        if end >= 1000
    }
    assert len(windows) >= 10
    served = 0
    for key, outcome in model.fit(windows).items():
        if isinstance(outcome, VolatilityEstimate):
            served += 1
            assert outcome.log_likelihood is not None
            theirs = by_arch(windows[key] * PERCENT, model).fit(disp="off", show_warning=False)
            assert outcome.log_likelihood >= theirs.loglikelihood - 1e-3, key
    assert served >= 0.9 * len(windows)


@pytest.mark.parametrize("name", ["gjr", "gjr_t"])
def test_leverage_path_is_that_of_arch_where_shocks_are_symmetric(
    name: str, sp500_percent: NDArray[np.float64]
) -> None:
    """`arch` takes E[z²·1[z < 0]] as ½; ours is the shocks' own, so they are made symmetric."""
    model = garch_model(name)
    own = fit(sp500_percent / 100, name)
    symmetric = replace(own, residuals=np.concatenate([own.residuals, -own.residuals]))
    analytic = by_arch(sp500_percent, model).fix(parameters(own, model)).forecast(horizon=60, reindex=False)
    np.testing.assert_allclose(
        symmetric.forecast_variance(60) * PERCENT**2, analytic.variance.to_numpy()[-1], rtol=1e-9
    )


def test_leverage_path_of_skewed_shocks_is_that_of_their_simulation() -> None:
    rng = np.random.default_rng(3)
    skewed = -rng.gamma(1.5, size=4000)
    estimate = VolatilityEstimate("gjr", 0.0, 2e-6, 0.02, 0.09, 0.88, None, 3e-4, skewed, None)
    shocks = estimate.shocks
    falls = np.mean(np.where(shocks < 0, shocks**2, 0.0))
    assert falls > 0.6  # far from the ½ of a symmetric law
    assert estimate.persistence == pytest.approx(0.02 + 0.09 * falls + 0.88)
    steps = np.diff(cumulative_shocks([estimate], hypercube(20, 60_000, rng)), axis=0, prepend=0)
    np.testing.assert_allclose((steps**2).mean(axis=1), estimate.forecast_variance(20), rtol=0.05)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_what_the_kernel_cannot_settle_is_as_likely_by_arch_or_refused(
    model: GarchModel, sp500_percent: NDArray[np.float64]
) -> None:
    """`arch` may stop below what the kernel reached: that is no fit."""
    nothing = np.full(6, np.nan)
    returns = sp500_percent[:2000] / 100
    settled = fit(returns, model.name)
    assert settled.log_likelihood is not None
    reached = settled.log_likelihood + len(returns) * np.log(PERCENT)
    theta, likelihood, status = model._by_arch(returns, reached)
    assert status == kernel.CONVERGED
    assert likelihood == pytest.approx(reached, abs=1e-3)
    np.testing.assert_allclose(kernel.conditional_variances(returns, theta)[-1], settled.next_variance, rtol=0.02)
    theta, _, status = model._by_arch(returns, reached + 1.0)
    assert status == kernel.NOT_CONVERGED
    np.testing.assert_array_equal(theta, nothing)


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="gjr_t"):
        garch_model("gjrt")


def test_variance_path_is_that_of_arch(sp500_percent: NDArray[np.float64]) -> None:
    from arch import arch_model

    estimate = fit(sp500_percent / 100)
    ours = [estimate.mu * 100, estimate.omega * 100**2, estimate.alpha, estimate.beta]
    fixed = arch_model(sp500_percent, mean="Constant", vol="GARCH", p=1, q=1).fix(ours)
    analytic = fixed.forecast(horizon=60, reindex=False).variance.to_numpy()[-1]
    np.testing.assert_allclose(estimate.forecast_variance(60) * 100**2, analytic, rtol=1e-9)


def test_residuals_satisfy_the_recursion(sp500_percent: NDArray[np.float64]) -> None:
    returns = sp500_percent[-1000:] / 100
    estimate = fit(returns)
    shocks = returns - estimate.mu
    variance = (shocks / estimate.residuals) ** 2
    expected = estimate.omega + estimate.alpha * shocks**2 + estimate.beta * variance
    np.testing.assert_allclose(variance[1:], expected[:-1], rtol=1e-9)
    assert estimate.next_variance == pytest.approx(expected[-1], rel=1e-9)


def test_finds_the_parameters_that_simulated_the_data(simulate_garch: Callable[..., NDArray[np.float64]]) -> None:
    returns = simulate_garch(np.random.default_rng(5), 20_000, omega=4e-6, alpha=0.08, beta=0.88, mu=5e-4)
    estimate = fit(returns)
    assert estimate.alpha == pytest.approx(0.08, abs=0.015)
    assert estimate.beta == pytest.approx(0.88, abs=0.025)
    assert estimate.omega == pytest.approx(4e-6, rel=0.3)
    assert estimate.mu == pytest.approx(5e-4, abs=3e-4)


def test_forecast_variance_tends_to_its_level() -> None:
    estimate = VolatilityEstimate("garch", 0.0, 1e-6, 0.1, 0.0, 0.8, None, 4e-5, np.zeros(1), None)
    path = estimate.forecast_variance(400)
    assert path[0] == 4e-5
    assert path[1] == pytest.approx(1e-6 + 0.9 * 4e-5)
    assert path[-1] == pytest.approx(1e-6 / (1 - 0.9))


def test_refuses_a_variance_without_a_level() -> None:
    rng = np.random.default_rng(2)
    regimes = np.concatenate([rng.normal(0, 0.05, 400), rng.normal(0, 0.001, 400)])
    outcome = garch_model("garch").fit({"X": regimes})["X"]
    assert isinstance(outcome, Exclusion)
    assert outcome.reason == "not_stationary"


def test_refuses_a_likelihood_without_a_top() -> None:
    """Where nine of ten returns are zero, Student's t can be made likelier without bound; `arch` stops anywhere."""
    rng = np.random.default_rng(146)
    returns = np.where(rng.random(300) < 0.9, 0.0, rng.normal(0, 0.01, 300))
    outcome = garch_model("garch_t").fit({"X": returns})["X"]
    assert isinstance(outcome, Exclusion)
    assert outcome.reason == "not_converged"


def test_one_bad_series_leaves_the_batch_alone(sp500_percent: NDArray[np.float64]) -> None:
    good = sp500_percent[-500:] / 100
    batch = garch_model("garch").fit({"BAD": np.full(500, 1e-9), "GOOD": good})
    assert isinstance(batch["BAD"], Exclusion)
    assert isinstance(batch["GOOD"], VolatilityEstimate)
    assert batch["GOOD"].next_variance == fit(good).next_variance
