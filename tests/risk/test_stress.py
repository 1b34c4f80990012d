"""Stress tests, against sums by hand."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.risk.stress import alike_loss, factor_shock, period_losses, worst_sessions
from pm.tables.vocabulary import StressKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.risk.joint import JointModel

DATES = np.datetime64("2024-01-01", "D") + np.arange(6)
LOGS = np.log(np.array([[1.1, 1.0], [0.8, 1.0], [0.9, 1.2], [1.3, 0.7], [1.0, 1.0], [0.95, np.nan]]))
WEIGHTS = np.array([0.6, 0.4])


def test_the_worst_sessions_are_those_of_a_slow_search() -> None:
    found = worst_sessions(LOGS, DATES, WEIGHTS, [1, 2, 3])
    for result in found:
        length = result.sessions
        windows = [np.expm1(np.nan_to_num(LOGS[at : at + length]).sum(axis=0)) @ WEIGHTS for at in range(7 - length)]
        first = int(np.argmin(windows))
        assert result.portfolio_return == pytest.approx(min(windows))
        assert (result.start_date, result.end_date) == (DATES[first].item(), DATES[first + length - 1].item())
    assert [result.scenario for result in found] == ["worst session", "worst 2 sessions", "worst 3 sessions"]
    assert found[0].portfolio_return == pytest.approx(0.6 * -0.2)


def test_a_short_position_has_other_worst_sessions() -> None:
    (found,) = worst_sessions(LOGS, DATES, -WEIGHTS, [1])
    assert found.start_date == date(2024, 1, 1)
    assert found.portfolio_return == pytest.approx(-0.06)


def test_a_history_shorter_than_the_horizon_has_none() -> None:
    assert worst_sessions(LOGS, DATES, WEIGHTS, [7]) == []


def test_a_period_is_the_move_of_todays_weights_over_it() -> None:
    periods = {"dip": (date(2024, 1, 2), date(2024, 1, 3)), "later": (date(2030, 1, 1), date(2030, 2, 1))}
    (found,) = period_losses(LOGS, DATES, WEIGHTS, periods)
    assert found.portfolio_return == pytest.approx(0.6 * (0.8 * 0.9 - 1) + 0.4 * 0.2)
    assert (found.sessions, found.covered, found.kind) == (2, 1.0, StressKind.PERIOD)


def test_what_is_not_known_is_said() -> None:
    (found,) = period_losses(LOGS, DATES, WEIGHTS, {"end": (date(2024, 1, 6), date(2024, 1, 31))})
    assert found.portfolio_return == pytest.approx(0.6 * -0.05)
    assert found.covered == pytest.approx(0.6)


def test_shocks_are_in_sigmas_and_go_against_the_portfolio(model: Callable[..., JointModel]) -> None:
    own = model(tickers=2, correlation=1.0)
    weights = np.array([0.5, 0.25])
    for sign in (1.0, -1.0):
        alike = alike_loss(own, sign * weights, sigmas=3.0, sessions=4)
        moved = np.expm1(-sign * 3.0 * own.sigmas * 2.0) @ (sign * weights)
        assert alike.portfolio_return == pytest.approx(moved)
        assert alike.portfolio_return < 0
        # With one factor and nothing else, both shocks are the same.
        shock = factor_shock(own, sign * weights, sigmas=3.0, sessions=4)
        assert shock.portfolio_return == pytest.approx(alike.portfolio_return, rel=1e-6)


def test_correlations_of_one_offset_long_and_short(model: Callable[..., JointModel]) -> None:
    own = model(tickers=2)
    hedged = np.array([0.5, -0.5 * own.sigmas[0] / own.sigmas[1]])
    assert abs(alike_loss(own, hedged, sigmas=1.0, sessions=1).portfolio_return) < 1e-4
