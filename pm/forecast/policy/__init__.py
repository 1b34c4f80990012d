"""Policy of the mSSA-CP forecaster: a contextual bandit that chooses rank and window by the state of a series.

`aligned` extrapolates related series; `actions` has the choices; `state` classifies a series; `bandit` has the table of
each action's gain in each state; `train` estimates it offline; and `assessment` accepts or refuses a policy by its
forecasts of later data.
"""

from __future__ import annotations

from pm.forecast.policy.actions import ACTIONS, FIXED, Action
from pm.forecast.policy.assessment import CONTENDERS, PolicyAssessment, assess_policy, confirmed_out_of_fold
from pm.forecast.policy.bandit import Policy
from pm.forecast.policy.train import out_of_fold_gains, policy_of, train_policy, training_visits

__all__ = [
    "ACTIONS",
    "CONTENDERS",
    "FIXED",
    "Action",
    "Policy",
    "PolicyAssessment",
    "assess_policy",
    "confirmed_out_of_fold",
    "out_of_fold_gains",
    "policy_of",
    "train_policy",
    "training_visits",
]
