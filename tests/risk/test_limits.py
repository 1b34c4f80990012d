"""Limits that act: each bound with each action, values that are not known, and what one limit does to another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.risk.limit_values import LimitState, limit_values
from pm.risk.limits import Limited, apply_limits, limit_events_frame, limit_warnings
from pm.risk.scenarios import Scenarios
from pm.settings import Limit
from pm.tables.vocabulary import LimitAction, LimitName

ACTIONS, NAMES = {action.value: action for action in LimitAction}, {name.value: name for name in LimitName}
TICKERS = ("A", "B", "C", "D")
SCENARIOS = Scenarios(TICKERS, 20, 0.05 * np.random.default_rng(8).standard_normal((2000, 4)), np.full(2000, 1 / 2000))
STATE = LimitState(
    TICKERS,
    weights=np.array([0.5, 0.3, 0.4, -0.2]),
    previous=np.array([0.1, 0.2, 0.0, 0.0]),
    equity=100_000.0,
    drawdown=0.1,
    scenarios=SCENARIOS,
    level=0.975,
    betas=np.array([1.0, 1.5, 0.5, 2.0]),
    traded_values=np.array([1e6, 1e5, 1e6, 1e7]),
    groups={"tech": ("A", "B"), "oil": ("D",)},
)


def limited(state: LimitState = STATE, **limits: tuple[float, str]) -> Limited:
    return apply_limits(
        state, {name: Limit(bound=bound, action=ACTIONS[action]) for name, (bound, action) in limits.items()}
    )


def test_weights_within_their_limits_stay() -> None:
    found = limited(max_weight=(0.6, "scale"), gross=(1.5, "scale"), net=(1.0, "scale"), drawdown=(0.2, "halt"))
    assert found.weights.tolist() == STATE.weights.tolist()
    assert found.events == ()
    assert not found.blocked


def test_scaling_brings_each_value_to_its_bound() -> None:
    bounds = {
        "max_weight": 0.35, "gross": 0.9, "net": 0.5, "group": 0.6, "es": 0.04, "liquidity": 0.2, "turnover": 0.3,
        "beta": 0.25,
    }  # fmt: skip
    for name, bound in bounds.items():
        found = limited(STATE, **{name: (bound, "scale")})
        after = limit_values(STATE, found.weights, NAMES[name])
        assert max(after.values()) == pytest.approx(bound), name
        assert all(event.value > bound for event in found.events), name
        assert {event.action for event in found.events} == {LimitAction.SCALE}
        assert all(event.value_after <= bound * (1 + 1e-9) for event in found.events), name


def test_scaling_a_single_weight_leaves_the_others() -> None:
    found = limited(max_weight=(0.4, "scale"))
    assert found.weights.tolist() == [0.4, 0.3, 0.4, -0.2]
    assert [(event.subject, event.value, event.value_after) for event in found.events] == [("A", 0.5, 0.4)]


def test_scaling_the_net_weight_makes_the_longer_side_smaller() -> None:
    found = limited(net=(0.4, "scale"))
    assert found.weights[3] == -0.2
    assert found.weights[:3] == pytest.approx(np.array([0.5, 0.3, 0.4]) * 0.5)


def test_dropping_closes_positions_until_the_value_fits() -> None:
    assert limited(max_weight=(0.45, "drop")).weights.tolist() == [0.0, 0.3, 0.4, -0.2]
    assert limited(group=(0.7, "drop")).weights.tolist() == [0.0, 0.0, 0.4, -0.2]
    assert limited(gross=(1.0, "drop")).weights.tolist() == [0.0, 0.3, 0.4, -0.2]
    assert limited(net=(0.5, "drop")).weights.tolist() == [0.0, 0.3, 0.4, -0.2]
    assert limited(liquidity=(0.2, "drop")).weights.tolist() == [0.5, 0.0, 0.4, -0.2]
    assert limited(beta=(0.3, "drop")).weights.tolist() == [0.0, 0.3, 0.4, -0.2]
    assert limited(turnover=(0.6, "drop")).weights.tolist() == pytest.approx([0.1, 0.3, 0.0, -0.2])
    assert limited(drawdown=(0.05, "drop")).weights.tolist() == [0.0, 0.0, 0.0, 0.0]
    shortfall = limited(es=(0.05, "drop"))
    assert max(limit_values(STATE, shortfall.weights, LimitName.ES).values()) <= 0.05
    assert 0 < np.count_nonzero(shortfall.weights) < 4


@pytest.mark.parametrize(("action", "halted"), [("block", False), ("halt", True)])
def test_blocking_and_halting_keep_the_previous_weights(action: str, halted: bool) -> None:
    found = limited(gross=(1.0, action), max_weight=(0.4, "scale"))
    assert found.weights.tolist() == STATE.previous.tolist()
    assert (found.blocked, found.halted) == (True, halted)
    assert "nothing is traded" in found.events[-1].detail


def test_blocking_does_not_stop_a_portfolio_from_coming_down() -> None:
    above = replace(STATE, previous=np.array([0.9, 0.4, 0.4, -0.2]))
    found = limited(above, gross=(1.0, "block"))
    assert not found.blocked
    assert found.weights.tolist() == STATE.weights.tolist()
    (event,) = found.events
    assert (event.action, round(event.value, 9)) == (LimitAction.WARN, 1.4)
    assert "it comes down from 190%" in event.detail
    assert limited(above, gross=(1.0, "halt")).halted
    assert limited(replace(STATE, previous=np.zeros(4)), gross=(1.0, "block")).blocked


def test_a_limit_that_only_warns_says_so_and_changes_nothing() -> None:
    found = limited(gross=(1.0, "warn"))
    assert found.weights.tolist() == STATE.weights.tolist()
    (event,) = found.events
    assert event.action is LimitAction.WARN
    assert "this only warns" in event.detail
    assert event.value_after == event.value == pytest.approx(1.4)


@pytest.mark.parametrize("equity", [float("nan"), float("inf"), 0.0, -5.0])
def test_an_equity_that_is_not_known_disables_no_limit(equity: float) -> None:
    for name in LimitName:
        found = limited(replace(STATE, equity=equity), **{name.value: (1000.0, "scale")})
        assert found.blocked, name
        assert found.weights.tolist() == STATE.previous.tolist()


def test_values_that_are_not_known_block() -> None:
    assert limited(replace(STATE, drawdown=float("nan")), drawdown=(0.9, "halt")).halted
    assert limited(replace(STATE, scenarios=None), es=(0.9, "scale")).blocked
    assert limited(replace(STATE, betas=None), beta=(9.0, "scale")).blocked
    assert limited(replace(STATE, traded_values=np.array([1e9, np.nan, 1e9, 1e9])), liquidity=(1.0, "scale")).blocked
    assert limited(replace(STATE, weights=np.array([0.1, np.nan, 0.1, 0.1])), gross=(9.0, "scale")).blocked
    assert limited(replace(STATE, weights=np.array([0.1, np.nan, 0.1, 0.1]))).blocked
    frame = limit_events_frame("held", limited(replace(STATE, scenarios=None), es=(0.9, "scale")).events)
    assert frame["value"].to_list() == [None]
    assert "not known" in frame["detail"][0]


def test_a_value_that_is_not_known_of_a_ticker_that_is_not_held_does_not_matter() -> None:
    state = replace(
        STATE,
        weights=np.array([0.5, 0.0, 0.4, 0.0]),
        traded_values=np.array([1e9, np.nan, 1e9, 0.0]),
        betas=np.array([1.0, np.nan, 1.0, np.nan]),
    )
    assert limited(state, liquidity=(0.5, "scale"), beta=(2.0, "scale")).events == ()


def test_a_ticker_without_volume_that_is_held_blocks() -> None:
    found = limited(replace(STATE, traded_values=np.array([1e9, 0.0, 1e9, 1e9])), liquidity=(1.0, "scale"))
    assert found.blocked


def test_rounding_errors_are_no_short_positions() -> None:
    found = limited(replace(STATE, weights=np.array([0.5, 0.3, -1e-9, 1e-12])))
    assert found.weights.tolist() == [0.5, 0.3, 0.0, 0.0]


def test_turnover_yields_to_a_limit_that_needs_the_trade() -> None:
    state = replace(STATE, previous=np.array([0.9, 0.0, 0.0, 0.0]))
    found = limited(state, max_weight=(0.5, "scale"), turnover=(0.2, "scale"))
    assert found.weights.max() == 0.5
    event = found.events[-1]
    assert (event.limit, event.action) == (LimitName.TURNOVER, LimitAction.WARN)
    assert "would break max_weight" in event.detail


@given(
    st.lists(st.floats(-1, 1), min_size=4, max_size=4),
    st.dictionaries(
        st.sampled_from([name.value for name in LimitName if name is not LimitName.DRAWDOWN]),
        st.tuples(st.floats(0.01, 1.0), st.sampled_from(["scale", "drop"])),
    ),
)
def test_all_limits_hold_together_or_nothing_is_traded(
    weights: list[float], limits: dict[str, tuple[float, str]]
) -> None:
    state = replace(STATE, weights=np.array(weights))
    found = limited(state, **limits)
    yielded = {event.limit for event in found.events if event.action is LimitAction.WARN}
    if found.blocked:
        assert found.weights.tolist() == STATE.previous.tolist()
        return
    for name, (bound, _) in limits.items():
        if NAMES[name] not in yielded:
            assert all(
                value <= bound * (1 + 1e-6) + 1e-9 for value in limit_values(state, found.weights, NAMES[name]).values()
            ), name
    assert yielded <= {LimitName.TURNOVER}


def test_a_portfolio_that_is_held_is_only_warned_about() -> None:
    limits = {
        "gross": Limit(bound=1.0, action=LimitAction.HALT),
        "max_weight": Limit(bound=0.45, action=LimitAction.DROP),
    }
    events = limit_warnings(STATE, limits)
    assert [(event.limit, event.subject, event.action) for event in events] == [
        (LimitName.MAX_WEIGHT, "A", LimitAction.WARN), (LimitName.GROSS, "portfolio", LimitAction.WARN),
    ]  # fmt: skip
    assert all(event.value_after == event.value for event in events)
