"""The joint model and its scenarios: against a slow twin, closed forms, and the volatility that it is made from."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.risk.drawdowns import largest_drawdowns, largest_drawdowns_of_values
from pm.risk.history import past_models
from pm.risk.joint import joint_model, scenarios_of
from pm.risk.measures import portfolio_losses
from pm.settings import load_settings
from pm.volatility import fit_volatility
from pm.volatility.series import usable_returns

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.risk.joint import JointModel
    from pm.settings import RiskSettings
    from pm.typing import FloatArray

    Make = Callable[..., JointModel]


def slow_paths(model: JointModel, steps: int, paths: int, seed: int) -> FloatArray:
    """Return log returns to each step, shape (steps, paths, tickers), as obviously as possible."""
    draws = model.draws(steps, paths=paths, seed=seed)
    total = np.zeros((steps, paths, len(model.tickers)))
    for path in range(paths):
        for place in range(len(model.tickers)):
            h, omega, alpha, gamma, beta = model.dynamics[:, place]
            so_far = 0.0
            for step in range(steps):
                e = math.sqrt(h) * model.residuals[draws[step, path], place]
                so_far += e
                total[step, path, place] = so_far
                h = omega + (alpha + (gamma if e < 0 else 0.0)) * e**2 + beta * h
    return total


def test_scenarios_are_those_of_a_slow_twin(model: Make) -> None:
    own = model(tickers=3)
    twin = np.expm1(slow_paths(own, 7, 50, seed=3))
    found = own.scenarios([1, 2, 5, 7], paths=50, seed=3)
    for horizon in (2, 5, 7):
        assert found[horizon].returns == pytest.approx(twin[horizon - 1], abs=1e-14)
        assert found[horizon].probabilities == pytest.approx(np.full(50, 0.02))


def test_one_session_is_every_date_with_its_probability(model: Make) -> None:
    own = model()
    found = own.scenarios([1], paths=10, seed=0)[1]
    assert found.returns == pytest.approx(np.expm1(own.residuals * own.sigmas))
    assert found.probabilities is own.probabilities


def test_scenarios_of_a_horizon_do_not_depend_on_the_others(model: Make) -> None:
    own = model()
    together, alone = (own.scenarios(horizons, paths=100, seed=3)[5] for horizons in ([1, 5, 20], [5]))
    assert (together.returns == alone.returns).all()


def test_recent_dates_are_drawn_more_often(model: Make) -> None:
    own = model(dates=200)
    counts = np.bincount(own.draws(3, paths=20_000, seed=1).ravel(), minlength=200)
    assert counts / counts.sum() == pytest.approx(own.probabilities, abs=1e-4)


def test_the_variance_of_the_paths_is_the_closed_form(model: Make) -> None:
    own = model(tickers=1, dates=2000)
    own = type(own)(own.tickers, own.dates, np.full(2000, 1 / 2000), own.residuals, own.dynamics, {})
    h, omega, alpha, gamma, beta = own.dynamics[:, 0]
    falls = float(np.mean(np.where(own.residuals < 0, own.residuals**2, 0.0)))
    expected = 0.0
    for _ in range(20):
        expected += h
        h = omega + (alpha + gamma * falls + beta) * h
    logs = np.log1p(own.scenarios([20], paths=100_000, seed=2)[20].returns[:, 0])
    assert logs.var() == pytest.approx(expected, rel=0.02)
    assert logs.mean() == pytest.approx(0.0, abs=4 * math.sqrt(expected / 100_000))


def test_scenarios_of_a_ticker_do_not_depend_on_the_others(model: Make) -> None:
    own = model(tickers=4)
    whole = scenarios_of(own, own.tickers, 5, paths=200, seed=9)
    part = scenarios_of(own, ["T2", "T0"], 5, paths=200, seed=9)
    assert part.tickers == ("T2", "T0")
    assert (part.returns == whole.returns[:, [2, 0]]).all()
    with pytest.raises(KeyError, match="T9"):
        scenarios_of(own, ["T9"], 5, paths=10, seed=0)


def test_drawdowns_are_those_of_the_same_paths(model: Make) -> None:
    own, weights = model(tickers=3), np.array([0.6, 0.0, -0.3])
    values = 1.0 + np.expm1(slow_paths(own, 6, 40, seed=4)) @ weights
    expected = []
    for path in values.T:
        highest, worst = 1.0, 0.0
        for value in path:
            highest = max(highest, value)
            worst = max(worst, 1.0 - value / highest)
        expected.append(worst)
    assert largest_drawdowns(own, weights, 6, paths=40, seed=4) == pytest.approx(np.array(expected), abs=1e-13)
    last = portfolio_losses(own.scenarios([6], paths=40, seed=4)[6], weights)
    assert (largest_drawdowns(own, weights, 6, paths=40, seed=4) >= last - 1e-12).all()


def test_drawdown_of_the_example() -> None:
    equity = np.array([100.0, 120, 90, 95, 130, 104, 110])[:, np.newaxis] / 100
    assert largest_drawdowns_of_values(equity) == pytest.approx([0.25])
    assert largest_drawdowns_of_values(np.array([[1.1], [1.2]])) == pytest.approx([0.0])


def bars(days: int = 500) -> pl.DataFrame:
    """Return log returns of three tickers that move together, of which the last has begun late."""
    generator = np.random.default_rng(6)
    shared = generator.standard_normal(days)
    dates = [date(2020, 1, 1) + timedelta(days=day) for day in range(days)]
    dates = [day for day in dates if day.weekday() < 5]
    frames = []
    for place, name in enumerate(("EARLY", "OTHER", "LATE")):
        returns = 0.01 * (0.7 * shared + 0.7 * generator.standard_normal(days))[: len(dates)]
        begin = 260 if name == "LATE" else 0
        frames.append(
            pl.DataFrame({"ticker": name, "date": dates[begin:], "log_return": (1 + place) * returns[begin:]})
        )
    return pl.concat(frames)


@pytest.fixture(scope="module")
def fitted() -> tuple[pl.DataFrame, JointModel, pl.DataFrame]:
    settings = load_settings().volatility.model_copy(
        update={"simulations": 500, "calibration_sessions": 0, "models": ["garch", "gjr"], "windows": [250, 1000]}
    )
    returns = bars()
    fit = fit_volatility(returns, settings=settings, horizon=2)
    series = usable_returns(returns, 1000)
    return returns, joint_model(series, fit.paths, fit.fits, window=300, decay=0.995, seed=5), fit.paths


def test_the_model_starts_from_the_volatility_of_the_run(fitted: tuple[pl.DataFrame, JointModel, pl.DataFrame]) -> None:
    _, own, paths = fitted
    sigmas = paths.filter(step=1).sort("ticker")["sigma"]
    assert own.tickers == ("EARLY", "LATE", "OTHER")
    assert own.sigmas == pytest.approx(sigmas.to_numpy())
    assert own.filled == {"LATE": 300 - (358 - 260)}
    assert own.residuals.shape == (300, 3)
    assert own.residuals[:, 0].std() == pytest.approx(1.0)


def test_residuals_of_a_date_are_of_that_date(fitted: tuple[pl.DataFrame, JointModel, pl.DataFrame]) -> None:
    returns, own, _ = fitted
    early = returns.filter(ticker="EARLY")
    moves = dict(zip(early["date"].to_list(), early["log_return"].to_list(), strict=True))
    of_dates = np.array([moves[day] for day in own.dates.tolist()])
    assert np.corrcoef(of_dates, own.residuals[:, 0])[0, 1] > 0.98


def test_an_unknown_past_does_not_reach_into_past_models(settings: RiskSettings) -> None:
    generator = np.random.default_rng(2)
    returns = 0.01 * generator.standard_normal((420, 2))
    returns[:330, 1] = np.nan
    dates = np.datetime64("2020-01-01", "D") + np.arange(420)
    volatility = load_settings().volatility.model_copy(update={"models": ["garch"], "windows": [300]})

    def models(matrix: FloatArray) -> list[JointModel]:
        found = past_models(matrix, dates, ["A", "B"], [400, 405], volatility=volatility, settings=settings, refit=100)
        return [each.model for each in found]

    changed = returns.copy()
    changed[405:] = 5.0
    for one, other in zip(models(returns), models(changed), strict=True):
        assert (one.dynamics == other.dynamics).all()
        assert (one.residuals == other.residuals).all()
    first, second = models(returns)
    assert first.tickers == ("A", "B")
    assert first.dates[-1] == dates[399]
    assert second.dates[-1] == dates[404]
    assert (first.dynamics[0] != second.dynamics[0]).all()
    assert first.filled == {"B": 330}
