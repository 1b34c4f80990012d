"""Simple forecasts of a portfolio's risk, which the joint scenarios have to beat."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from pm.risk.measures import risk_measure
from pm.risk.scenarios import simple_returns

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["historical_risk", "normal_risk"]

_MIN_RETURNS = 50
"""Minimum number of past returns."""


def normal_risk(returns: FloatArray, horizon: int, level: float, *, decay: float) -> tuple[float, float] | None:
    """Return value at risk and expected shortfall of a normal loss with mean 0 and exponentially weighted variance.

    The variance of the horizon is that of a session times its number of sessions.

    Parameters
    ----------
    returns
        Simple returns of the portfolio's weights on past sessions, oldest first.
    horizon
        Number of sessions ahead.
    level
        Probability of a loss up to the value at risk.
    decay
        λ.

    Returns
    -------
    tuple[float, float] | None
        None if there are fewer than 50 returns.
    """
    if len(returns) < _MIN_RETURNS:
        return None
    weights = decay ** np.arange(len(returns) - 1, -1, -1, dtype=np.float64)
    sigma = float(np.sqrt(weights @ returns**2 / weights.sum() * horizon))
    normal = NormalDist()
    score = normal.inv_cdf(level)
    return sigma * score, sigma * normal.pdf(score) / (1.0 - level)


def historical_risk(returns: FloatArray, horizon: int, level: float) -> tuple[float, float] | None:
    """Return value at risk and expected shortfall of the past returns, all with equal weight; see `normal_risk`.

    Over more than one session they are those of overlapping windows.
    """
    levels = np.concatenate([[0.0], np.cumsum(np.log1p(np.maximum(returns, -0.999999)))])
    outcomes = simple_returns(levels[horizon:] - levels[:-horizon]) if horizon < len(levels) else np.empty(0)
    if len(outcomes) < _MIN_RETURNS:
        return None
    found = risk_measure(-outcomes, np.full(len(outcomes), 1.0 / len(outcomes)), level)
    return found.var, found.es
