"""Combine the distributions of several models by averaging their quantiles, with weights from their past scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.scores import crps_quantiles
from pm.tables.quantiles import QUANTILES
from pm.volatility.shipped_panel import SHAPE_LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.typing import FloatArray, IntArray

__all__ = ["Member", "Scores", "averaged_quantiles", "levels_of", "member_scores", "quantiles_at", "realised_returns"]

_LEVELS = np.asarray(SHAPE_LEVELS)
_SCORED = np.searchsorted(_LEVELS, QUANTILES)
_BEYOND = 0.001
"""Level of an outcome below the smallest quantile; 1 less this above the largest."""
_LEARNING_RATE = 0.1
"""Rate at which weights follow past scores, per independent outcome."""


@dataclass(frozen=True)
class Member:
    """A model's forecasts of a ticker's total return from past sessions, and today.

    Attributes
    ----------
    name
        Name of the model.
    sigma
        Deviation of the total return over each step, shape (origins + 1, horizon), oldest first; the last is today's.
    shapes
        Quantiles of the standardised total return at `SHAPE_LEVELS`, shape (shapes, horizon, levels).
    shape_of
        Place in `shapes` of the shape of each origin, shape (origins + 1).
    """

    name: str
    sigma: FloatArray
    shapes: FloatArray
    shape_of: IntArray

    @property
    def quantiles(self) -> FloatArray:
        """Quantiles of the total return at `SHAPE_LEVELS`, shape (origins + 1, horizon, levels)."""
        return np.asarray(self.sigma[:, :, np.newaxis] * self.shapes[self.shape_of])


@dataclass(frozen=True)
class Scores:
    """Past scores of members, and the weights that follow from them.

    Attributes
    ----------
    weights
        Weight of each member at each step, shape (members, horizon); they sum to 1.
    losses
        Mean CRPS of each member's past forecasts of each step, shape (members, horizon); NaN without an outcome.
    outcomes
        Number of past outcomes of each step.
    """

    weights: FloatArray
    losses: FloatArray
    outcomes: IntArray


def realised_returns(returns: FloatArray, origins: IntArray, horizon: int) -> FloatArray:
    """Return the total return from each origin over each step, shape (origins, horizon); NaN where not known yet.

    Parameters
    ----------
    returns
        Log returns, oldest first.
    origins
        Number of returns known at each origin.
    """
    sums = np.concatenate([[0.0], np.cumsum(returns), np.full(horizon, np.nan)])
    ends = origins[:, np.newaxis] + np.arange(1, horizon + 1)
    return np.asarray(sums[ends] - sums[origins][:, np.newaxis])


def member_scores(
    members: Sequence[FloatArray], outcomes: FloatArray, prior: Sequence[float], *, stride: int
) -> Scores:
    """Return the members' past scores, and weights that are exponential in them.

    A member's weight is proportional to prior·exp(−rate·n·(loss / mean loss − 1)), where n is the number of past
    outcomes whose windows do not overlap. With few outcomes, or equal scores, the weights are the prior's.

    Parameters
    ----------
    members
        Each member's quantiles at `SHAPE_LEVELS`, shape (origins + 1, horizon, levels); the last row is not scored.
    outcomes
        Realised returns, shape (origins, horizon); NaN where not known yet.
    prior
        Weight of each member before any score.
    stride
        Sessions from one origin to the next.

    References
    ----------
    V. Vovk (1990), Aggregating strategies, Proc. Third Workshop on Computational Learning Theory.
    """
    horizon = outcomes.shape[1]
    known = np.isfinite(outcomes)
    counts = known.sum(axis=0)
    actual = np.where(known, outcomes, 0.0)
    losses = np.full((len(members), horizon), np.nan)
    for place, own in enumerate(members):
        loss = np.where(known, crps_quantiles(own[:-1][:, :, _SCORED], actual, QUANTILES), 0.0)
        np.divide(loss.sum(axis=0), counts, out=losses[place], where=counts > 0)
    mean = losses.mean(axis=0)
    scored = mean > 0.0
    relative = np.zeros_like(losses)
    np.divide(losses, mean, out=relative, where=scored)
    relative[:, scored] -= 1.0
    independent = np.minimum(counts, counts * stride / np.arange(1, horizon + 1))
    weights = np.asarray(prior)[:, np.newaxis] * np.exp(-_LEARNING_RATE * independent * relative)
    return Scores(weights / weights.sum(axis=0), losses, counts)


def averaged_quantiles(members: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """Return the weighted means of the members' quantiles, shape (origins + 1, horizon, levels).

    Averaging quantiles keeps the shape of members that agree on it, and their mean width; a mixture of distributions is
    wider than its members (Lichtendahl, Grushka-Cockayne and Winkler 2013, Is it better to average probabilities or
    quantiles?, Management Science 59).

    Parameters
    ----------
    members
        Each member's quantiles, shape (origins + 1, horizon, levels).
    weights
        Weight of each member at each step, shape (members, horizon).
    """
    total = np.zeros_like(members[0])
    for own, weight in zip(members, weights, strict=True):
        total += weight[:, np.newaxis] * own
    return total


def levels_of(quantiles: FloatArray, outcomes: FloatArray) -> FloatArray:
    """Return the level of each outcome in its forecast distribution, interpolated linearly between quantiles.

    Parameters
    ----------
    quantiles
        Quantiles at `SHAPE_LEVELS`, shape (origins, horizon, levels).
    outcomes
        Realised returns, shape (origins, horizon); a NaN gives NaN.
    """
    count = len(_LEVELS)
    above = (quantiles < outcomes[:, :, np.newaxis]).sum(axis=2)
    place = np.clip(above, 1, count - 1)[:, :, np.newaxis]
    low, high = (np.take_along_axis(quantiles, at, axis=2)[:, :, 0] for at in (place - 1, place))
    share = np.divide(outcomes - low, high - low, out=np.full_like(low, 0.5), where=high > low)
    place = place[:, :, 0]
    levels = _LEVELS[place - 1] + share * (_LEVELS[place] - _LEVELS[place - 1])
    levels = np.where(above == 0, _BEYOND, np.where(above == count, 1.0 - _BEYOND, levels))
    return np.where(np.isfinite(outcomes), levels, np.nan)


def quantiles_at(quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the quantiles of each step at its own levels, interpolated linearly, shape (horizon, targets).

    Parameters
    ----------
    quantiles
        Quantiles at `SHAPE_LEVELS`, shape (horizon, levels).
    levels
        Levels to read, shape (horizon, targets).
    """
    return np.array([np.interp(own, _LEVELS, row) for own, row in zip(levels, quantiles, strict=True)])
