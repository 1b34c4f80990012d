"""Contextual bandit: the gain of each action over the fixed one in each state, and the choice of the best."""

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

__all__ = ["Arm", "Policy", "estimate_arms"]

PRIOR_VISITS = 50.0
"""Weight of the prior that no action has a gain over the fixed one, in visits."""


@dataclass(frozen=True)
class Arm:
    """The estimated value of an action in a state.

    Attributes
    ----------
    visits
        Number of origins with that state; all actions are evaluated at each.
    reward
        Mean log ratio of naive's loss to the action's.
    gain
        Mean difference of the reward from the fixed action's, shrunk towards 0 by `PRIOR_VISITS`.
    """

    visits: int
    reward: float
    gain: float


@dataclass(frozen=True)
class Policy:
    """A table of states and actions. The fixed action is chosen in states that are not in the table.

    The policy does not explore. Prices do not depend on which forecast was made, so that the rewards of all actions are
    known at every past origin, and the table is estimated from all of them.

    Attributes
    ----------
    arms
        State → action → its estimated value.
    cutoff
        Last date whose prices were used. The policy is used only for forecasts from later dates.
    horizon
        Number of sessions of the forecasts in training.
    seed
        Random seed of the training.
    tickers
        Tickers of the training.
    """

    arms: Mapping[State, Mapping[Action, Arm]]
    cutoff: date
    horizon: int
    seed: int
    tickers: tuple[str, ...]

    def choose(self, state: State) -> Action:
        """Return the action with the highest gain in a state, or the fixed action if no gain is positive."""
        best, most = FIXED, 0.0
        for action, arm in self.arms.get(state, {}).items():
            if arm.gain > most:
                best, most = action, arm.gain
        return best

    def to_json(self) -> str:
        """Return the policy as JSON, which `from_json` reads."""
        arms = [
            {
                "state": [state.volatility, state.change_age, state.autocorrelation],
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
            The text is not a policy.
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
                hint="the row was changed by another program; train a new policy: pm policy train",
            ) from error


def estimate_arms(
    visits: Iterable[tuple[State, FloatArray]], actions: tuple[Action, ...]
) -> dict[State, dict[Action, Arm]]:
    """Estimate the table of a policy: gain(s, a) = Σ(r_a − r_fixed) / (n + PRIOR_VISITS), over the n visits of s.

    Parameters
    ----------
    visits
        State at each origin, and the rewards of all actions there, in the order of `actions`.
    actions
        All actions, the fixed one first.
    """
    rewards: dict[State, list[FloatArray]] = {}
    for state, reward in visits:
        rewards.setdefault(state, []).append(reward)
    table = {}
    for state in sorted(rewards, key=str):
        observed = np.stack(rewards[state])
        gains = (observed - observed[:, :1]).sum(axis=0) / (len(observed) + PRIOR_VISITS)
        table[state] = {
            action: Arm(len(observed), float(reward), float(gain))
            for action, reward, gain in zip(actions, observed.mean(axis=0), gains, strict=True)
        }
    return table
