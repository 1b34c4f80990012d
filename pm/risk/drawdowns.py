"""The distribution of a portfolio's largest drawdown over a horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.risk.scenarios import simple_returns

if TYPE_CHECKING:
    from pm.risk.joint import JointModel
    from pm.typing import FloatArray

__all__ = ["largest_drawdowns", "largest_drawdowns_of_values"]

_PATHS_AT_ONCE = 250
"""Number of paths whose returns of all sessions and tickers are in memory together."""


def largest_drawdowns(model: JointModel, weights: FloatArray, horizon: int, *, paths: int, seed: int) -> FloatArray:
    """Return the largest drawdown of a portfolio on each simulated path, as a share of the highest value before it.

    The paths are those of `JointModel.scenarios` for the same horizon, number and seed. Today counts as a highest
    value; positions are not traded.

    Parameters
    ----------
    weights
        Share of the portfolio's value in each ticker of the model; the rest is cash.
    horizon
        Number of sessions.
    paths, seed
        Number of paths, and the seed of their draws.
    """
    from pm.risk.simulation import fill_joint_paths  # numba takes 0.5 s to import

    held = np.flatnonzero(weights)
    own = model.of([model.tickers[place] for place in held])
    draws = own.draws(horizon, paths=paths, seed=seed)
    ends, found = np.arange(1, horizon + 1), []
    for start in range(0, paths, _PATHS_AT_ONCE):
        some = np.ascontiguousarray(draws[:, start : start + _PATHS_AT_ONCE])
        returns = np.empty((horizon, some.shape[1], len(held)))
        fill_joint_paths(returns, ends, some, own.residuals, own.dynamics)
        # numpy computes eight exponentials at a time, a compiled loop one.
        found.append(largest_drawdowns_of_values(1.0 + simple_returns(returns, out=returns) @ weights[held]))
    return np.concatenate(found)


def largest_drawdowns_of_values(values: FloatArray) -> FloatArray:
    """Return the largest fall from a highest value of each column of values, shape (steps, paths); they start from 1.

    A portfolio that is worth nothing or less has fallen by 100% or more.
    """
    peaks = np.maximum(np.maximum.accumulate(values, axis=0), 1.0)
    return np.asarray(np.maximum((1.0 - values / peaks).max(axis=0), 0.0))
