"""Stand-ins for the risk of held tickers without a volatility, and limits beside positions that are not traded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.risk.limit_values import LimitState, limit_values
from pm.risk.limits import apply_limits
from pm.risk.scenarios import Scenarios
from pm.risk.stand_ins import with_stand_ins
from pm.settings import Limit
from pm.tables.vocabulary import LimitAction, LimitName

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.risk.joint import JointModel
    from pm.typing import FloatArray

    Make = Callable[..., JointModel]


def test_scenarios_of_the_other_tickers_stay_the_same(model: Make) -> None:
    own = model()
    moved: FloatArray = 0.03 * np.random.default_rng(1).standard_normal(50)
    moves = {"HALTED": (own.dates[:50], moved), "T9": (own.dates[:0], moved[:0])}
    wider, words = with_stand_ins(own, moves, seed=1)
    assert wider.tickers == ("HALTED", *own.tickers, "T9")
    before, after = (each.scenarios([1, 5], paths=100, seed=2) for each in (own, wider))
    for horizon in (1, 5):
        assert (after[horizon].returns[:, 1:-1] == before[horizon].returns).all()
    assert set(words) == {"HALTED", "T9"}


def test_a_halted_ticker_has_the_risk_of_the_days_on_which_it_moved(model: Make) -> None:
    own = model(dates=300)
    generator = np.random.default_rng(5)
    returns = 0.02 * (0.8 * own.residuals[:200, 0] + 0.6 * generator.standard_normal(200))
    dates, halted = own.dates, np.concatenate([returns, np.zeros(100)])
    wider, words = with_stand_ins(own, {"HALTED": (dates, halted)}, seed=1)
    place = wider.tickers.index("HALTED")
    assert wider.sigmas[place] == pytest.approx(np.sqrt(np.mean(returns**2)))
    assert wider.residuals[:200, place] == pytest.approx(returns / wider.sigmas[place])
    assert wider.filled["HALTED"] == 100
    # Where it did not trade it still moves with the others.
    late = np.corrcoef(wider.residuals[200:, place], own.residuals[200:].mean(axis=1))[0, 1]
    early = np.corrcoef(wider.residuals[:200, place], own.residuals[:200].mean(axis=1))[0, 1]
    assert late == pytest.approx(early, abs=0.25)
    assert late > 0.3
    assert "200 moves" in words["HALTED"]
    paths = wider.scenarios([20], paths=4000, seed=1)[20].returns[:, place]
    assert np.log1p(paths).std() == pytest.approx(wider.sigmas[place] * np.sqrt(20), rel=0.1)


def test_a_ticker_without_moves_is_the_first_factor_at_a_high_volatility(model: Make) -> None:
    own = model()
    wider, words = with_stand_ins(own, {"NEW": (own.dates[:1], np.array([0.3]))}, seed=1)
    place = wider.tickers.index("NEW")
    assert wider.sigmas[place] == pytest.approx(np.quantile(own.sigmas, 0.9))
    assert np.corrcoef(wider.residuals[:, place], own.residuals.mean(axis=1))[0, 1] > 0.98
    assert "1 move of its own" in words["NEW"]


def test_without_any_ticker_there_is_nothing_to_stand_in_from(model: Make) -> None:
    none = model().of([])
    wider, words = with_stand_ins(none, {"A": (none.dates, np.ones(len(none.dates)))}, seed=1)
    assert wider is none
    assert words == {}


# Limits -----------------------------------------------------------------------------------------------------------

TICKERS = ("A", "B", "C")
STATE = LimitState(
    TICKERS,
    weights=np.array([0.3, 0.3, 0.4]),
    previous=np.array([0.1, 0.2, 0.4]),
    equity=1000.0,
    drawdown=0.0,
    scenarios=Scenarios(
        TICKERS, 1, 0.05 * np.random.default_rng(8).standard_normal((2000, 3)), np.full(2000, 1 / 2000)
    ),
    level=0.975,
    betas=np.array([1.0, 1.5, 0.5]),
    traded_values=np.array([1e6, 1e6, np.nan]),
    groups={"some": ("B", "C")},
    fixed=frozenset({"C"}),
)


@pytest.mark.parametrize(
    ("name", "bound"),
    [("gross", 0.7), ("net", 0.7), ("group", 0.5), ("es", 0.05), ("beta", 0.6)],
)
def test_limits_are_kept_by_the_positions_that_can_be_traded(name: str, bound: float) -> None:
    found = apply_limits(STATE, {name: Limit(bound=bound, action=LimitAction.SCALE)})
    assert found.weights[2] == 0.4
    (event,) = found.events
    assert event.value > bound
    assert event.value_after == pytest.approx(bound, rel=1e-6)
    dropped = apply_limits(STATE, {name: Limit(bound=bound, action=LimitAction.DROP)})
    assert dropped.weights[2] == 0.4
    assert max(limit_values(STATE, dropped.weights, {each.value: each for each in LimitName}[name]).values()) <= bound


def test_a_limit_of_a_ticker_that_is_not_traded_only_warns() -> None:
    limits = {"max_weight": Limit(bound=0.35, action=LimitAction.SCALE)}
    found = apply_limits(STATE, limits | {"liquidity": Limit(bound=0.5, action=LimitAction.DROP)})
    assert not found.blocked
    assert found.weights.tolist() == STATE.weights.tolist()
    assert [(event.limit.value, event.subject, event.action.value) for event in found.events] == [
        ("liquidity", "C", "warn"), ("max_weight", "C", "warn"),
    ]  # fmt: skip
    assert all("it is not traded tonight" in event.detail for event in found.events)


def test_a_limit_that_the_untraded_positions_exceed_alone_blocks() -> None:
    found = apply_limits(STATE, {"gross": Limit(bound=0.3, action=LimitAction.SCALE)})
    assert found.blocked
    assert found.weights.tolist() == STATE.previous.tolist()


def test_a_liquidity_that_is_not_known_of_a_ticker_that_is_traded_blocks() -> None:
    free = replace(STATE, fixed=frozenset())
    assert apply_limits(free, {"liquidity": Limit(bound=0.5, action=LimitAction.SCALE)}).blocked
