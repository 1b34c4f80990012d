from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.exclusions import Exclusion
from pm.seeding import ticker_generator
from pm.volatility.combination import levels_of, realised_returns
from pm.volatility.garch import GARCH_MODELS
from pm.volatility.pool import STRIDE, ModelPool, fit_pools, pool_forecasts, pooled_variances

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Simulate = Callable[..., NDArray[np.float64]]

MODELS = [GARCH_MODELS["garch"], GARCH_MODELS["gjr"]]


def garch_t(seed: int, length: int) -> NDArray[np.float64]:
    """GARCH(1,1) with Student t shocks of 6 degrees of freedom, from the definition."""
    rng = np.random.default_rng(seed)
    variance, returns = 1.5e-4, np.empty(length)
    for t in range(length):
        returns[t] = np.sqrt(variance * 4 / 6) * rng.standard_t(6)
        variance = 4e-6 + 0.08 * returns[t] ** 2 + 0.89 * variance
    return returns


def pools(returns: NDArray[np.float64], *, calibration: int = 400, refit: int = 100) -> list[ModelPool]:
    return fit_pools(
        {"X": returns}, MODELS, [500, 900], refit_sessions=refit, calibration_sessions=calibration, min_returns=250
    )["X"]


@dataclass(frozen=True)
class PastOutcomes:
    levels: NDArray[np.float64]
    regimes: NDArray[np.int64]


def outcomes(
    returns: NDArray[np.float64], fitted: list[ModelPool], *, horizon: int = 5, simulations: int = 200
) -> PastOutcomes:
    member, origins = pool_forecasts(
        returns,
        fitted,
        horizon=horizon,
        simulations=500,
        past_simulations=simulations,
        generator=ticker_generator(1, "X"),
    )
    realised = realised_returns(returns, origins.places, horizon)
    return PastOutcomes(levels_of(member.quantiles[:-1], realised), origins.regimes)


def test_cuts_are_counted_back_from_today_and_windows_begin_where_returns_are_known() -> None:
    fitted = pools(garch_t(1, 800))
    assert [pool.cut for pool in fitted] == [800, 700, 600, 500, 400]
    newest, oldest = fitted[0], fitted[-1]
    assert [(model.window, model.begin) for model in newest.models] == [(500, 300), (500, 300), (900, 0), (900, 0)]
    # With 400 returns known both windows are the same, and fitted once.
    assert [(model.window, model.begin) for model in oldest.models] == [(500, 0), (500, 0)]
    assert [len(model.estimate.residuals) for model in newest.models] == [500, 500, 800, 800]


def test_only_the_newest_pool_has_standard_errors() -> None:
    newest, *older = pools(garch_t(2, 700))
    assert all("beta" in model.estimate.errors for model in newest.models)
    assert not any(model.estimate.errors for pool in older for model in pool.models)


def test_a_past_pool_equals_a_fit_to_the_returns_known_then() -> None:
    returns = garch_t(3, 800)
    past = pools(returns)[2]
    then = pools(returns[: past.cut])[0]
    for ours, theirs in zip(past.models, then.models, strict=True):
        assert (ours.estimate.omega, ours.estimate.beta) == (theirs.estimate.omega, theirs.estimate.beta)
        assert ours.estimate.next_variance == theirs.estimate.next_variance
        np.testing.assert_array_equal(ours.estimate.residuals, theirs.estimate.residuals)


def test_variances_equal_the_fits_and_continue_with_later_returns() -> None:
    returns = garch_t(4, 800)
    pool = pools(returns)[2]
    variances = pooled_variances(returns, pool)
    for place, model in enumerate(pool.models):
        assert np.isnan(variances[place, : model.begin]).all()
        assert variances[place, pool.cut] == model.estimate.next_variance
        own = model.estimate
        for t in range(pool.cut, len(returns)):
            shock = returns[t] - own.mu
            weight = own.alpha + (own.gamma if shock < 0 else 0.0)
            expected = own.omega + weight * shock**2 + own.beta * variances[place, t]
            # One step from the same variance: each of its positive terms is rounded two or three times.
            assert variances[place, t + 1] == pytest.approx(expected, rel=8 * np.finfo(float).eps)


def test_later_returns_do_not_change_the_levels_of_earlier_outcomes() -> None:
    """Cuts are counted from the end, so that the pools are kept fixed here; only the returns differ."""
    returns = garch_t(5, 820)
    fitted = pools(returns[:800])
    known = outcomes(returns[:800], fitted)
    fixed = [ModelPool(820, fitted[0].models, {}), *fitted[1:]]
    shocked = np.concatenate([returns[:800], returns[800:] * 30])
    later, wild = outcomes(returns, fixed), outcomes(shocked, fixed)
    count = len(known.levels)
    finite = np.isfinite(known.levels)
    for more in (later, wild):
        np.testing.assert_array_equal(more.levels[:count][finite], known.levels[finite])
        np.testing.assert_array_equal(more.regimes[:count], known.regimes)


def test_every_second_session_is_an_origin_and_the_last_outcomes_are_not_known_yet() -> None:
    returns = garch_t(6, 701)
    found = outcomes(returns, pools(returns, calibration=200), horizon=5)
    assert found.levels.shape == (200 // STRIDE, 5)
    finite = np.isfinite(found.levels)
    assert finite[:, 0].all()
    assert finite.sum(axis=0).tolist() == [100, 100, 99, 99, 98]


def test_without_calibration_there_are_no_outcomes() -> None:
    returns = garch_t(7, 600)
    found = outcomes(returns, pools(returns, calibration=0))
    assert found.levels.shape == (0, 5)
    assert len(found.regimes) == 0


def test_levels_of_outcomes_are_uniform_if_the_model_is_true() -> None:
    """Levels of the first step are independent: each tenth of them has a share of .1, within four standard errors."""
    levels = []
    for seed in range(12):
        returns = garch_t(100 + seed, 1300)
        found = outcomes(returns, pools(returns, calibration=700, refit=350), horizon=10, simulations=400)
        levels.append(found.levels)
    stacked = np.concatenate(levels)
    first = stacked[:, 0]
    shares = np.histogram(first, bins=10, range=(0, 1))[0] / len(first)
    np.testing.assert_allclose(shares, 0.1, atol=4 * (0.09 / len(first)) ** 0.5)
    # Windows of ten sessions that begin two sessions apart overlap: they count as a fifth of their number.
    last = stacked[np.isfinite(stacked[:, 9]), 9]
    for level in (0.05, 0.25, 0.75, 0.95):
        error = (level * (1 - level) / (len(last) / 5)) ** 0.5
        assert (last <= level).mean() == pytest.approx(level, abs=4 * error)


def test_a_pool_has_the_refusals_of_its_failed_fits() -> None:
    rng = np.random.default_rng(2)
    regimes = np.concatenate([rng.normal(0, 0.05, 400), rng.normal(0, 0.001, 400)])
    newest = pools(regimes, calibration=0)[0]
    assert isinstance(newest.refusals["garch", 900], Exclusion)
    assert {model.window for model in newest.models} == {500}
