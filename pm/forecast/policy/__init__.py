"""The policy of the mSSA-CP forecaster: a contextual bandit that picks rank and window from the state of a series.

`cohort` lays related series out and extrapolates them, `actions` are what can be chosen, `state` what it is chosen by,
`bandit` the table of what each action gained in each state, `train` learns it offline, and `judge` accepts it or not on
data after its training.
"""

from __future__ import annotations

from pm.forecast.policy.actions import ACTIONS, FIXED, Action
from pm.forecast.policy.bandit import Policy
from pm.forecast.policy.judge import CONTENDERS, SIZE, Verdict, judge_policy
from pm.forecast.policy.train import train_policy

__all__ = [
    "ACTIONS",
    "CONTENDERS",
    "FIXED",
    "SIZE",
    "Action",
    "Policy",
    "Verdict",
    "judge_policy",
    "train_policy",
]
