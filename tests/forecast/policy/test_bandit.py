from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest

from pm.errors import LakeError
from pm.forecast.policy.actions import ACTIONS, FIXED, Action
from pm.forecast.policy.bandit import PRIOR_VISITS, Arm, Policy, estimate_arms
from pm.forecast.policy.state import State

CALM, WILD = State("calm", "settled", "none"), State("wild", "recent", "much")
OTHER = Action(2, 125)


def test_gains_are_mean_differences_from_the_fixed_action_shrunk_to_zero() -> None:
    actions = (FIXED, OTHER)
    visits = [(CALM, np.array([0.5, 1.0]))] * 3 + [(WILD, np.array([0.0, -1.0])), (CALM, np.array([1.0, 0.5]))]
    table = estimate_arms(visits, actions)
    assert table[CALM][FIXED] == Arm(4, 0.625, 0.0)
    assert table[CALM][OTHER] == Arm(4, 0.875, (3 * 0.5 - 0.5) / (4 + PRIOR_VISITS))
    assert table[WILD][OTHER] == Arm(1, -1.0, -1 / (1 + PRIOR_VISITS))


def policy(arms: dict[State, dict[Action, Arm]]) -> Policy:
    return Policy(arms, date(2020, 1, 2), 20, 7, ("A", "B"))


def test_the_highest_gain_is_chosen_or_the_fixed_action_without_a_positive_gain() -> None:
    arms = {
        CALM: {FIXED: Arm(9, 0.1, 0.0), OTHER: Arm(9, 0.3, 0.2), Action(4, 500): Arm(9, 0.2, 0.1)},
        WILD: {FIXED: Arm(9, 0.1, 0.0), OTHER: Arm(9, -0.3, -0.2)},
    }
    chosen = policy(arms)
    assert chosen.choose(CALM) == OTHER
    assert chosen.choose(WILD) == FIXED
    assert chosen.choose(State("normal", "settled", "none")) == FIXED


@pytest.mark.parametrize("text", ["{}", "not json", '{"arms": [{"visits": 1}]}', '{"arms": 3}', "[]"])
def test_text_that_is_not_a_policy_is_refused(text: str) -> None:
    with pytest.raises(LakeError, match="pm policy train"):
        Policy.from_json(text)


def test_a_policy_is_read_back_from_its_json() -> None:
    rng = np.random.default_rng(0)
    arms = {
        state: {action: Arm(3, float(rng.normal()), float(rng.normal())) for action in ACTIONS}
        for state in (CALM, WILD)
    }
    before = policy(arms)
    after = Policy.from_json(before.to_json())
    assert after == before
    assert [after.choose(state) for state in arms] == [before.choose(state) for state in arms]


def test_a_policy_stored_by_an_earlier_version_is_read() -> None:
    arm = {"state": ["wild", "recent", "much"], "action": [2, 125], "visits": 3, "reward": 0.5, "gain": 0.25}
    stored = {"arms": [arm], "cutoff": "2020-01-02", "horizon": 20, "seed": 7, "tickers": ["A", "B"]}
    assert Policy.from_json(json.dumps(stored)) == policy({WILD: {OTHER: Arm(3, 0.5, 0.25)}})


def test_actions_are_distinct_and_the_fixed_one_is_first() -> None:
    assert ACTIONS[0] == FIXED
    assert len(set(ACTIONS)) == len(ACTIONS) == 9
    assert str(FIXED) == "rank 4, 250 bars"
