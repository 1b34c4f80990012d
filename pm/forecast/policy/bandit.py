"""A contextual bandit: for every state, what each action gained over the fixed one, and which is chosen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from pm.errors import LakeError
from pm.forecast.policy.actions import FIXED, Action
from pm.forecast.policy.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pm.typing import FloatArray

__all__ = ["Arm", "Policy", "learn"]

PRIOR_VISITS = 50.0
"""Visits' worth of belief that no action gains anything over the fixed one."""


@dataclass(frozen=True)
class Arm:
    """What an action was worth in a state.

    Attributes
    ----------
    visits
        Origins at which the state was met; every action is tried at each.
    reward
        Mean log ratio of naive's squared error to the action's.
    gain
        Mean reward above the fixed action's, shrunk to zero by `PRIOR_VISITS`.
    """

    visits: int
    reward: float
    gain: float


@dataclass(frozen=True)
class Policy:
    """A table of states and actions; where it knows nothing it is the fixed action.

    Nothing is explored when it is used: how a forecast turns out does not hang on which was made, so that at a past
    origin every action's reward is known, and the table is learnt from all of them.

    Attributes
    ----------
    arms
        State → action → what it was worth.
    cutoff
        Last date that any outcome in the training was of. At or before it the policy is not used.
    horizon
        Steps ahead it was rewarded for.
    seed
        Of the draws in training.
    tickers
        Whose bars it was trained on.
    """

    arms: Mapping[State, Mapping[Action, Arm]]
    cutoff: date
    horizon: int
    seed: int
    tickers: tuple[str, ...]

    def choose(self, state: State) -> Action:
        """Give the action of the highest gain in a state; the fixed one unless another gains more than nothing."""
        best, most = FIXED, 0.0
        for action, arm in self.arms.get(state, {}).items():
            if arm.gain > most:
                best, most = action, arm.gain
        return best

    def to_json(self) -> str:
        """Give the policy as JSON; `from_json` gives it back."""
        arms = [
            {
                "state": [state.regime, state.age, state.memory],
                "action": [action.rank, action.window],
                "visits": arm.visits,
                "reward": arm.reward,
                "gain": arm.gain,
            }
            for state, row in self.arms.items()
            for action, arm in row.items()
        ]
        return json.dumps(
            {
                "arms": arms,
                "cutoff": self.cutoff.isoformat(),
                "horizon": self.horizon,
                "seed": self.seed,
                "tickers": list(self.tickers),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Policy:
        """Read a policy that `to_json` wrote.

        Raises
        ------
        LakeError
            It did not write this.
        """
        arms: dict[State, dict[Action, Arm]] = {}
        try:
            stored: dict[str, Any] = json.loads(text)
            for row in stored["arms"]:
                arm = Arm(row["visits"], row["reward"], row["gain"])
                arms.setdefault(State(*row["state"]), {})[Action(*row["action"])] = arm
            cutoff = date.fromisoformat(stored["cutoff"])
            return cls(arms, cutoff, stored["horizon"], stored["seed"], tuple(stored["tickers"]))
        except (KeyError, TypeError, ValueError) as error:
            raise LakeError(
                f"A policy cannot be read ({type(error).__name__}: {error}).",
                where="table policies",
                hint="it was changed outside pm; train a new one: pm policy train",
            ) from error


def learn(visits: Iterable[tuple[State, FloatArray]], actions: tuple[Action, ...]) -> dict[State, dict[Action, Arm]]:
    """Give the table that visits teach: gain(s, a) = Σ(r_a − r_fixed) / (n + prior visits) over the n visits of s.

    Parameters
    ----------
    visits
        A state, and the reward of every action there, in the order of `actions`.
    actions
        The fixed one first.
    """
    rewards: dict[State, list[FloatArray]] = {}
    for state, reward in visits:
        rewards.setdefault(state, []).append(reward)
    table = {}
    for state in sorted(rewards, key=str):
        met = np.stack(rewards[state])
        gains = (met - met[:, :1]).sum(axis=0) / (len(met) + PRIOR_VISITS)
        table[state] = {
            action: Arm(len(met), float(reward), float(gain))
            for action, reward, gain in zip(actions, met.mean(axis=0), gains, strict=True)
        }
    return table
