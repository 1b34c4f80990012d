"""Filtered historical simulation: the distribution of the cumulative return at each step of a horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.typing import FloatArray
    from pm.volatility.base import VolatilityEstimate

__all__ = ["latin_hypercube", "simulate_cumulative_returns"]


def latin_hypercube(horizon: int, simulations: int, generator: np.random.Generator) -> FloatArray:
    """Return a Latin hypercube of positions in [0, 1), shape (horizon, simulations).

    Each step has one position in each of `simulations` equal strata, in an order independent of the other steps. This
    samples with less noise than independent draws, and the first step's quantiles are nearly exact (McKay, Beckman and
    Conover 1979, A comparison of three methods for selecting values of input variables, Technometrics 21).
    """
    strata = np.tile(np.arange(simulations), (horizon, 1))
    position = (generator.permuted(strata, axis=1) + generator.random((horizon, simulations))) / simulations
    return np.asarray(np.minimum(position, np.nextafter(1.0, 0.0)))


def simulate_cumulative_returns(estimates: Sequence[VolatilityEstimate], positions: FloatArray) -> FloatArray:
    """Simulate cumulative returns less their mean, shape (horizon, simulations); a column is a path.

    The paths are shared out evenly among the estimates, so that their distribution is the equal mixture of the
    estimates' own. At each step the shock at the step's position among the estimate's ranked shocks is scaled by the
    path's volatility, and the estimate's recursion gives the volatility of the next step. Shocks have mean 0 and
    variance 1, so that the expected variance of the paths is the closed-form one.

    Parameters
    ----------
    estimates
        Estimates of one series, at least one.
    positions
        Positions from `latin_hypercube`.

    References
    ----------
    Barone-Adesi, Giannopoulos and Vosper (1999), VaR without correlations for portfolios of derivative securities,
    J. Futures Markets 19.
    Wallis (2005), Combining density and interval forecasts, Oxford Bulletin of Economics and Statistics 67.
    """
    from pm.volatility.paths import fill_paths  # numba takes 0.5 s to import

    paths = np.empty_like(positions)
    for place, estimate in enumerate(estimates):
        fill_paths(
            paths,
            place,
            len(estimates),
            positions,
            estimate.shocks,
            estimate.next_variance,
            np.array([estimate.omega, estimate.alpha, estimate.gamma, estimate.beta]),
        )
    return paths
