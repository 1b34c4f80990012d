"""Probability of backtest overfitting, by combinatorially symmetric cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.typing import FloatArray

__all__ = ["Overfitting", "overfitting", "overfitting_by_blocks"]

MIN_ROWS_A_BLOCK = 2
"""Minimum number of observations in a block: a standard deviation needs two."""


@dataclass(frozen=True)
class Overfitting:
    """How the trial that is best in one half of the time does in the other half.

    Attributes
    ----------
    blocks
        Number S of blocks into which the time is cut.
    probability
        Share of the splits in which the best trial of one half is in the lower half of the trials in the other.
        NaN if there are fewer than two trials, or too few observations.
    logits
        Logit of the relative rank of each split, shape (C(S, S/2),): 0 is the median, below it is worse.
    degradation
        Slope of the regression of the Sharpe ratio in the other half on that in the first, over the splits: below 0,
        the better a trial looks, the worse it does. NaN if it is not defined.
    loss
        Share of the splits in which the best trial has a negative mean return in the other half.
    """

    blocks: int
    probability: float
    logits: FloatArray
    degradation: float
    loss: float


def overfitting(returns: FloatArray, blocks: int) -> Overfitting:
    """Estimate the probability that choosing the best of several trials by its Sharpe ratio is overfitting.

    The observations are cut into S blocks of equal length, in order. For each choice of S/2 of them, the trial with the
    highest Sharpe ratio in the chosen half is looked up in the other half: with rank r of N trials there, its relative
    rank is r / (N + 1), and equal ratios share the mean of their ranks. A relative rank of at most one half counts as
    overfitting.

    Parameters
    ----------
    returns
        Returns over the benchmark, shape (observations, trials). What cannot be divided by S is left out, oldest first.
    blocks
        Even number S of blocks, at least 2.

    Raises
    ------
    ValueError
        `blocks` is not an even number above 0.

    Notes
    -----
    The estimate varies much: over trials that are nothing but noise its mean is near 0.45, with a standard deviation of
    0.19. `overfitting_by_blocks` shows part of this.

    References
    ----------
    Bailey, D., Borwein, J., López de Prado, M. and Zhu, Q. (2017), The probability of backtest overfitting, Journal of
    Computational Finance 20(4).
    """
    if blocks < 2 or blocks % 2:
        raise ValueError(f"the number of blocks must be even and at least 2, got {blocks}")
    length = len(returns) // blocks
    trials = returns.shape[1]
    if trials < 2 or length < MIN_ROWS_A_BLOCK:
        return Overfitting(blocks, float("nan"), np.empty(0), float("nan"), float("nan"))
    # Around the whole sample's mean, so that a variance is no small difference of large sums.
    cut = returns[len(returns) - blocks * length :]
    centre = cut.mean(axis=0)
    parts = (cut - centre).reshape(blocks, length, trials)
    sums, squares = parts.sum(axis=1), (parts**2).sum(axis=1)
    halves = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(halves), blocks))
    np.put_along_axis(chosen, halves, 1.0, axis=1)
    n = blocks // 2 * length
    inside = _ratios(chosen @ sums, chosen @ squares, n, centre)
    # The other half of a choice is a choice too: the list of combinations read from its end.
    outside = inside[::-1]
    best = inside.argmax(axis=1)
    rows = np.arange(len(halves))
    found = outside[rows, best]
    below = (outside < found[:, np.newaxis]).sum(axis=1)
    equal = (outside == found[:, np.newaxis]).sum(axis=1)
    relative = (below + (equal + 1) / 2) / (trials + 1)
    logits = np.log(relative / (1 - relative))
    x, y = inside[rows, best], found
    usable = np.isfinite(x) & np.isfinite(y)
    spread = float(((x[usable] - x[usable].mean()) ** 2).sum()) if usable.any() else 0.0
    slope = float((x[usable] - x[usable].mean()) @ y[usable]) / spread if spread > 0 else float("nan")
    return Overfitting(blocks, float((logits <= 0).mean()), logits, slope, float((found < 0).mean()))


def overfitting_by_blocks(returns: FloatArray, numbers: Sequence[int] = (4, 6, 8, 10, 12, 14, 16)) -> list[Overfitting]:
    """Return the estimate for several numbers of blocks, without those for which there are too few observations."""
    found = (overfitting(returns, blocks) for blocks in numbers)
    return [one for one in found if len(one.logits)]


def _ratios(sums: FloatArray, squares: FloatArray, n: int, centre: FloatArray) -> FloatArray:
    """Return Sharpe ratios from sums around a centre; −∞ for a trial without variance, which is never the best."""
    mean = sums / n
    variance = np.maximum(0.0, squares - n * mean**2) / (n - 1)
    rounding = 1e-12 * np.maximum(squares / n, centre**2)
    constant = variance <= rounding
    ratio = (mean + centre) / np.sqrt(np.where(constant, 1.0, variance))
    return np.where(constant, -np.inf, ratio)
