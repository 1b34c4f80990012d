from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pm.errors import SettingsError
from pm.exclusions import Exclusion
from pm.volatility import estimation
from pm.volatility.base import VolatilityEstimate
from pm.volatility.garch import GARCH_MODELS, PERCENT, GarchModel, garch_model
from pm.volatility.likelihood import conditional_variances
from pm.volatility.simulate import latin_hypercube, simulate_cumulative_returns

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


MODELS = list(GARCH_MODELS.values())


def fit(returns: NDArray[np.float64], name: str = "garch") -> VolatilityEstimate:
    outcome = garch_model(name).fit({"X": returns})["X"]
    assert isinstance(outcome, VolatilityEstimate)
    return outcome


def test_garch_of_the_sp500_equals_the_published_fit(sp500_percent: NDArray[np.float64]) -> None:
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
    """Return the parameters in arch's order and units."""
    found = [estimate.mu * PERCENT, estimate.omega * PERCENT**2, estimate.alpha]
    found += [estimate.gamma] if model.leverage else []
    found += [estimate.beta]
    return found + ([estimate.nu] if estimate.nu is not None else [])


@pytest.mark.parametrize(("name", "likelihood"), [("garch", -6936.718), ("gjr", -6822.883)])
def test_log_likelihoods_of_the_sp500_equal_the_published_ones(
    name: str, likelihood: float, sp500_percent: NDArray[np.float64]
) -> None:
    assert fit(sp500_percent / 100, name).log_likelihood == pytest.approx(likelihood, abs=1e-3)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_parameters_and_likelihood_equal_those_of_arch(model: GarchModel, sp500_percent: NDArray[np.float64]) -> None:
    theirs = by_arch(sp500_percent, model).fit(disp="off")
    ours = fit(sp500_percent / 100, model.name)
    assert ours.log_likelihood is not None
    assert ours.log_likelihood == pytest.approx(theirs.loglikelihood, abs=1e-3)
    assert ours.log_likelihood > theirs.loglikelihood - 1e-5
    np.testing.assert_allclose(parameters(ours, model), theirs.params, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_fits_of_real_series_are_as_likely_as_those_of_arch(
    model: GarchModel, real_returns: dict[str, NDArray[np.float64]]
) -> None:
    """The newest 1,000 returns of each, and the 1,000 that end 1,500 earlier; refused fits are not compared."""
    windows = {
        (name, end): values[end - 1000 : end]
        for name, values in real_returns.items()
        for end in (len(values), len(values) - 1500)
        if end >= 1000
    }
    assert len(windows) >= 10
    fitted = 0
    for key, outcome in model.fit(windows).items():
        if isinstance(outcome, VolatilityEstimate):
            fitted += 1
            assert outcome.log_likelihood is not None
            theirs = by_arch(windows[key] * PERCENT, model).fit(disp="off", show_warning=False)
            assert outcome.log_likelihood >= theirs.loglikelihood - 1e-3, key
    assert fitted >= 0.9 * len(windows)


@pytest.mark.parametrize("name", ["gjr", "gjr_t"])
def test_forecast_variance_with_leverage_equals_that_of_arch_for_symmetric_shocks(
    name: str, sp500_percent: NDArray[np.float64]
) -> None:
    """`arch` assumes that E[z²·1[z < 0]] is ½; we compute it from the shocks, which are made symmetric here."""
    model = garch_model(name)
    own = fit(sp500_percent / 100, name)
    symmetric = replace(own, residuals=np.concatenate([own.residuals, -own.residuals]))
    analytic = by_arch(sp500_percent, model).fix(parameters(own, model)).forecast(horizon=60, reindex=False)
    np.testing.assert_allclose(
        symmetric.forecast_variance(60) * PERCENT**2, analytic.variance.to_numpy()[-1], rtol=1e-9
    )


def test_forecast_variance_with_leverage_equals_a_simulation_with_skewed_shocks() -> None:
    rng = np.random.default_rng(3)
    skewed = -rng.gamma(1.5, size=4000)
    estimate = VolatilityEstimate("gjr", 0.0, 2e-6, 0.02, 0.09, 0.88, None, 3e-4, skewed, None)
    shocks = estimate.shocks
    falls = np.mean(np.where(shocks < 0, shocks**2, 0.0))
    assert falls > 0.6  # far from the ½ of a symmetric distribution
    assert estimate.persistence == pytest.approx(0.02 + 0.09 * falls + 0.88)
    steps = np.diff(simulate_cumulative_returns([estimate], latin_hypercube(20, 60_000, rng)), axis=0, prepend=0)
    np.testing.assert_allclose((steps**2).mean(axis=1), estimate.forecast_variance(20), rtol=0.05)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_fit_by_arch_is_as_likely_as_ours_or_refused(model: GarchModel, sp500_percent: NDArray[np.float64]) -> None:
    """Where `arch` stops below the log-likelihood that we have reached, its result is not a maximum."""
    nothing = np.full(6, np.nan)
    returns = sp500_percent[:2000] / 100
    ours = fit(returns, model.name)
    assert ours.log_likelihood is not None
    reached = ours.log_likelihood + len(returns) * np.log(PERCENT)
    theta, likelihood, status = model._fit_by_arch(returns, reached)
    assert status == estimation.CONVERGED
    assert likelihood == pytest.approx(reached, abs=1e-3)
    np.testing.assert_allclose(conditional_variances(returns, theta)[-1], ours.next_variance, rtol=0.02)
    theta, _, status = model._fit_by_arch(returns, reached + 1.0)
    assert status == estimation.NOT_CONVERGED
    np.testing.assert_array_equal(theta, nothing)


def test_the_error_of_an_unknown_model_has_the_nearest_name() -> None:
    with pytest.raises(SettingsError, match="gjr_t"):
        garch_model("gjrt")


def test_forecast_variance_equals_that_of_arch(sp500_percent: NDArray[np.float64]) -> None:
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


def test_parameters_of_simulated_returns_are_recovered(simulate_garch: Callable[..., NDArray[np.float64]]) -> None:
    returns = simulate_garch(np.random.default_rng(5), 20_000, omega=4e-6, alpha=0.08, beta=0.88, mu=5e-4)
    estimate = fit(returns)
    assert estimate.alpha == pytest.approx(0.08, abs=0.015)
    assert estimate.beta == pytest.approx(0.88, abs=0.025)
    assert estimate.omega == pytest.approx(4e-6, rel=0.3)
    assert estimate.mu == pytest.approx(5e-4, abs=3e-4)


def test_forecast_variance_tends_to_its_long_run_level() -> None:
    estimate = VolatilityEstimate("garch", 0.0, 1e-6, 0.1, 0.0, 0.8, None, 4e-5, np.zeros(1), None)
    path = estimate.forecast_variance(400)
    assert path[0] == 4e-5
    assert path[1] == pytest.approx(1e-6 + 0.9 * 4e-5)
    assert path[-1] == pytest.approx(1e-6 / (1 - 0.9))


def test_a_variance_without_a_long_run_level_is_not_stationary(sp500_percent: NDArray[np.float64]) -> None:
    rng = np.random.default_rng(2)
    regimes = np.concatenate([rng.normal(0, 0.05, 400), rng.normal(0, 0.001, 400)])
    estimate = fit(regimes)
    assert not estimate.is_stationary
    assert estimate.persistence == pytest.approx(1.0, abs=1e-4)
    assert fit(sp500_percent / 100).is_stationary


def test_an_unbounded_likelihood_is_refused() -> None:
    """If nine of ten returns are zero, the likelihood of Student's t has no maximum, and `arch` stops anywhere."""
    rng = np.random.default_rng(146)
    returns = np.where(rng.random(300) < 0.9, 0.0, rng.normal(0, 0.01, 300))
    outcome = garch_model("garch_t").fit({"X": returns})["X"]
    assert isinstance(outcome, Exclusion)
    assert outcome.reason == "not_converged"


def test_a_constant_series_does_not_change_the_fits_of_others(sp500_percent: NDArray[np.float64]) -> None:
    good = sp500_percent[-500:] / 100
    batch = garch_model("garch").fit({"BAD": np.full(500, 1e-9), "GOOD": good})
    assert isinstance(batch["BAD"], Exclusion)
    assert isinstance(batch["GOOD"], VolatilityEstimate)
    assert batch["GOOD"].next_variance == fit(good).next_variance
