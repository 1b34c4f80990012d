from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.exclusions import Exclusion
from pm.seeding import ticker_generator
from pm.volatility.garch import GARCH_MODELS
from pm.volatility.pool import STRIDE, Pool, fit_pools, past_outcomes, pooled_variances

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pm.volatility.pool import PastOutcomes

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


def pools(returns: NDArray[np.float64], *, calibration: int = 400, refit: int = 100) -> list[Pool]:
    return fit_pools({"X": returns}, MODELS, [500, 900], refit=refit, calibration=calibration, least=250)["X"]


def outcomes(
    returns: NDArray[np.float64], fitted: list[Pool], *, horizon: int = 5, simulations: int = 200
) -> PastOutcomes:
    generator = ticker_generator(1, "X")
    return past_outcomes(returns, fitted, horizon=horizon, simulations=simulations, generator=generator)


def test_cuts_go_back_from_today_and_windows_are_those_known() -> None:
    fitted = pools(garch_t(1, 800))
    assert [pool.cut for pool in fitted] == [800, 700, 600, 500, 400]
    newest, oldest = fitted[0], fitted[-1]
    assert [(member.window, member.begin) for member in newest.members] == [(500, 300), (500, 300), (900, 0), (900, 0)]
    # Of 400 returns both windows see all: they are one.
    assert [(member.window, member.begin) for member in oldest.members] == [(500, 0), (500, 0)]
    assert [len(member.estimate.residuals) for member in newest.members] == [500, 500, 800, 800]


def test_only_the_newest_pool_has_standard_errors() -> None:
    newest, *older = pools(garch_t(2, 700))
    assert all("beta" in member.estimate.errors for member in newest.members)
    assert not any(member.estimate.errors for pool in older for member in pool.members)


def test_a_past_pool_is_what_was_fitted_then() -> None:
    """Its numbers are those of a fit to the returns there were, to the last bit."""
    returns = garch_t(3, 800)
    past = pools(returns)[2]
    then = pools(returns[: past.cut])[0]
    for ours, theirs in zip(past.members, then.members, strict=True):
        assert (ours.estimate.omega, ours.estimate.beta) == (theirs.estimate.omega, theirs.estimate.beta)
        assert ours.estimate.next_variance == theirs.estimate.next_variance
        np.testing.assert_array_equal(ours.estimate.residuals, theirs.estimate.residuals)


def test_variances_are_those_of_the_fits_and_go_on_with_what_came() -> None:
    returns = garch_t(4, 800)
    pool = pools(returns)[2]
    variances = pooled_variances(returns, pool)
    for place, member in enumerate(pool.members):
        assert np.isnan(variances[place, : member.begin]).all()
        assert variances[place, pool.cut] == pytest.approx(member.estimate.next_variance, rel=1e-12)
        own = member.estimate
        for t in range(pool.cut, len(returns)):
            shock = returns[t] - own.mu
            weight = own.alpha + (own.gamma if shock < 0 else 0.0)
            expected = own.omega + weight * shock**2 + own.beta * variances[place, t]
            assert variances[place, t + 1] == pytest.approx(expected, rel=1e-12)


def test_later_returns_leave_the_levels_already_known_alone() -> None:
    """Cuts are counted from the end, so the pools are held: what they say of an outcome hangs on returns up to it."""
    returns = garch_t(5, 820)
    fitted = pools(returns[:800])
    known = outcomes(returns[:800], fitted)
    held = [Pool(820, fitted[0].members, {}), *fitted[1:]]
    shocked = np.concatenate([returns[:800], returns[800:] * 30])
    later, wild = outcomes(returns, held), outcomes(shocked, held)
    count = len(known.levels)
    came = np.isfinite(known.levels)
    for more in (later, wild):
        np.testing.assert_array_equal(more.levels[:count][came], known.levels[came])
        np.testing.assert_array_equal(more.regimes[:count], known.regimes)


def test_every_second_session_is_an_origin_and_the_last_outcomes_have_not_come() -> None:
    returns = garch_t(6, 701)
    found = outcomes(returns, pools(returns, calibration=200), horizon=5)
    assert found.levels.shape == (200 // STRIDE, 5)
    came = np.isfinite(found.levels)
    assert came[:, 0].all()
    assert came.sum(axis=0).tolist() == [100, 100, 99, 99, 98]


def test_no_calibration_no_outcomes() -> None:
    returns = garch_t(7, 600)
    found = outcomes(returns, pools(returns, calibration=0))
    assert found.levels.shape == (0, 5)
    assert len(found.regimes) == 0


def test_outcomes_of_what_was_modelled_are_uniform() -> None:
    """Levels of the first step are independent: each tenth has its tenth, within four standard errors."""
    levels = []
    for seed in range(12):
        returns = garch_t(100 + seed, 1300)
        found = outcomes(returns, pools(returns, calibration=700, refit=350), horizon=10, simulations=400)
        levels.append(found.levels)
    stacked = np.concatenate(levels)
    first = stacked[:, 0]
    shares = np.histogram(first, bins=10, range=(0, 1))[0] / len(first)
    np.testing.assert_allclose(shares, 0.1, atol=4 * (0.09 / len(first)) ** 0.5)
    # Windows of ten sessions overlap by all but two: 840 of them are worth a fifth, or less.
    last = stacked[np.isfinite(stacked[:, 9]), 9]
    for level in (0.05, 0.25, 0.75, 0.95):
        error = (level * (1 - level) / (len(last) / 5)) ** 0.5
        assert (last <= level).mean() == pytest.approx(level, abs=4 * error)


def test_a_refusal_is_kept_with_its_pool() -> None:
    rng = np.random.default_rng(2)
    regimes = np.concatenate([rng.normal(0, 0.05, 400), rng.normal(0, 0.001, 400)])
    newest = pools(regimes, calibration=0)[0]
    assert isinstance(newest.refusals["garch", 900], Exclusion)
    assert {member.window for member in newest.members} == {500}
