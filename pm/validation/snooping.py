"""Whether the best of several strategies beats a benchmark by more than the best of as many lucky ones would."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.typing import BoolArray, FloatArray

__all__ = ["MIN_OBSERVATIONS", "Snooping", "block_length", "sharpe_interval", "superior_ability"]

MIN_OBSERVATIONS = 30
"""Minimum number of returns for a Sharpe ratio, a bootstrap, and a verdict."""


@dataclass(frozen=True)
class Snooping:
    """Result of the test for superior predictive ability.

    Attributes
    ----------
    p_value
        Consistent p-value of Hansen's test: the probability of a best strategy at least as good if none is better than
        the benchmark. NaN if there are too few returns.
    superior
        Strategies that are better than the benchmark by the stepwise test at 5%, shape (strategies,).
    block
        Mean length of a block of the bootstrap.
    """

    p_value: float
    superior: BoolArray
    block: float


def superior_ability(excess: FloatArray, *, reps: int = 1000, seed: int) -> Snooping:
    """Test whether any strategy has a higher mean return than the benchmark.

    Parameters
    ----------
    excess
        Returns over the benchmark, shape (observations, strategies). One that equals the benchmark is no better.
    reps
        Number of bootstrap samples.
    seed
        Random seed.

    References
    ----------
    Hansen, P. (2005), A test for superior predictive ability, J. Business & Economic Statistics 23(4).
    Romano, J. and Wolf, M. (2005), Stepwise multiple testing as formalized data snooping, Econometrica 73(4).
    """
    from arch.bootstrap import SPA, StepM

    n, strategies = excess.shape
    superior = np.zeros(strategies, dtype=np.bool_)
    # A strategy that never differs from the benchmark has no error to divide by, and is not better.
    differs = np.flatnonzero(excess.std(axis=0) > 1e-12 * max(1e-300, float(np.abs(excess).max(initial=0.0))))
    if n < MIN_OBSERVATIONS or not len(differs):
        return Snooping(float("nan") if n < MIN_OBSERVATIONS else 1.0, superior, 1.0)
    losses = -excess[:, differs]
    block = block_length(excess[:, differs])
    size = max(1, round(block))
    test = SPA(np.zeros(n), losses, block_size=size, reps=reps, seed=seed)
    test.compute()
    p_value = float(test.pvalues["consistent"])
    if p_value < 0.05:
        steps = StepM(np.zeros(n), losses, size=0.05, block_size=size, reps=reps, seed=seed)
        steps.compute()
        superior[differs[np.array(steps.superior_models, dtype=np.int64)]] = True
    return Snooping(p_value, superior, block)


def block_length(excess: FloatArray) -> float:
    """Return the mean length of blocks for the stationary bootstrap: the largest that any strategy needs, at least 1.

    References
    ----------
    Politis, D. and White, H. (2004), Automatic block-length selection for the dependent bootstrap, Econometric Reviews
    23(1), with the correction of Patton, Politis and White (2009).
    """
    from arch.bootstrap import optimal_block_length

    found = optimal_block_length(excess)["stationary"].to_numpy()
    longest = float(np.nanmax(found, initial=1.0))
    return min(max(1.0, longest if math.isfinite(longest) else 1.0), len(excess) / 3)


def sharpe_interval(
    excess: FloatArray, block: float, *, level: float = 0.95, reps: int = 1000, seed: int
) -> tuple[float, float]:
    """Return the ends of an interval of the Sharpe ratio per observation, by the stationary bootstrap.

    They are quantiles of the ratios of the samples (percentile method).

    Parameters
    ----------
    excess
        Returns over the benchmark, shape (observations,).
    block
        Mean length of a block.
    level
        Probability that the interval holds.
    reps
        Number of bootstrap samples.
    seed
        Random seed.

    References
    ----------
    Politis, D. and Romano, J. (1994), The stationary bootstrap, Journal of the American Statistical Association 89.
    """
    from arch.bootstrap import StationaryBootstrap

    def ratio(sample: FloatArray) -> FloatArray:
        deviation = float(sample.std(ddof=1))
        return np.array([float(sample.mean()) / deviation if deviation > 0 else np.nan])

    samples = StationaryBootstrap(max(1, round(block)), excess, seed=seed).apply(ratio, reps)[:, 0]
    low, high = np.nanquantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
