"""Filtered historical simulation: the distribution of the cumulative return at each step of a horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.typing import FloatArray
    from pm.volatility.base import VolatilityEstimate

__all__ = ["cumulative_shocks", "hypercube"]


def hypercube(horizon: int, simulations: int, generator: np.random.Generator) -> FloatArray:
    """Give positions in [0, 1), shape (horizon, simulations): a Latin hypercube.

    Each step has one position in each of as many equal strata as there are simulations, in an order independent of
    the other steps: sampling with less noise (McKay, Beckman and Conover 1979), and the first step's quantiles are
    nearly exact.
    """
    strata = np.tile(np.arange(simulations), (horizon, 1))
    position = (generator.permuted(strata, axis=1) + generator.random((horizon, simulations))) / simulations
    return np.asarray(np.minimum(position, np.nextafter(1.0, 0.0)))


def cumulative_shocks(pool: Sequence[VolatilityEstimate], positions: FloatArray) -> FloatArray:
    """Give simulated cumulative returns about their mean, shape (horizon, simulations); a column is a path.

    The paths are dealt out to the estimates of the pool, one after the other: their distribution is the equal mixture
    of the estimates' own. Each step draws the shock of its estimate that stands at the step's position among all,
    scales it by the path's volatility, and moves that volatility by the estimate's recursion. Shocks have mean 0 and
    variance 1, so that the paths' variance is the closed-form one in expectation.

    Parameters
    ----------
    pool
        Estimates of one series, at least one.
    positions
        From `hypercube`.

    References
    ----------
    Barone-Adesi, Giannopoulos and Vosper (1999), VaR without correlations for portfolios of derivative securities,
    J. Futures Markets 19.
    Wallis (2005), Combining density and interval forecasts, Oxford Bulletin of Economics and Statistics 67.
    """
    from pm.volatility.paths import deal_paths  # numba takes 0.5 s to import

    paths = np.empty_like(positions)
    for place, estimate in enumerate(pool):
        deal_paths(
            paths,
            place,
            len(pool),
            positions,
            estimate.shocks,
            estimate.next_variance,
            np.array([estimate.omega, estimate.alpha, estimate.gamma, estimate.beta]),
        )
    return paths
