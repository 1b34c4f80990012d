"""What an allocator is given: scenarios, their covariance, limits of the weights, and views about returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pm.risk.covariance import ledoit_wolf

if TYPE_CHECKING:
    from pm.risk.scenarios import Scenarios
    from pm.typing import BoolArray, FloatArray

__all__ = ["Constraints", "FixedPart", "Group", "Problem", "Views"]


@dataclass(frozen=True)
class Group:
    """Tickers whose weights together have a limit.

    Attributes
    ----------
    name
        Name that the settings give it.
    members
        Whether each ticker belongs to it, shape (tickers,).
    upper
        Largest sum of their absolute weights.
    """

    name: str
    members: BoolArray
    upper: float


@dataclass(frozen=True)
class Constraints:
    """Limits of the weights. All are shares of equity.

    Attributes
    ----------
    upper
        Largest weight of each ticker, shape (tickers,). The smallest is 0, or minus this where short positions are
        allowed.
    invested
        Sum of the weights; the rest is cash.
    max_short
        Largest sum of the short weights, as a positive number; 0 for long positions only.
    groups
        Groups of tickers.
    previous
        Weights held today, after prices have moved, shape (tickers,); None if nothing was held.
    max_turnover
        Largest sum of the absolute changes of the weights; None for no limit. It does not count without `previous`.
    """

    upper: FloatArray
    invested: float = 1.0
    max_short: float = 0.0
    groups: tuple[Group, ...] = ()
    previous: FloatArray | None = None
    max_turnover: float | None = None

    @property
    def lower(self) -> FloatArray:
        """Smallest weight of each ticker, shape (tickers,)."""
        return -np.minimum(self.upper, self.max_short) if self.max_short > 0 else np.zeros_like(self.upper)

    def largest_violation(self, weights: FloatArray) -> float:
        """Return by how much weights exceed the limit that they exceed most; 0 if they keep all.

        Not counted is the turnover, which has its own step.
        """
        excess = [
            abs(float(weights.sum()) - self.invested),
            float(np.max(weights - self.upper, initial=0.0)),
            float(np.max(self.lower - weights, initial=0.0)),
            float(-weights[weights < 0].sum()) - self.max_short,
            *(float(np.abs(weights[group.members]).sum()) - group.upper for group in self.groups),
        ]
        return max(0.0, *excess)

    def turnover(self, weights: FloatArray) -> float:
        """Return the sum of the absolute changes from the weights held today; from cash if nothing is held."""
        return float(np.abs(weights - (0.0 if self.previous is None else self.previous)).sum())


@dataclass(frozen=True)
class Views:
    """Views about the simple returns of single tickers over the horizon of the scenarios.

    Attributes
    ----------
    places
        Place of each view's ticker among the tickers, shape (views,).
    expected
        Expected simple return, shape (views,).
    variance
        Variance of the forecast's errors out of sample, shape (views,): at least that of the error of the expectation.
    """

    places: tuple[int, ...] = ()
    expected: FloatArray = field(default_factory=lambda: np.empty(0))
    variance: FloatArray = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class FixedPart:
    """Positions that are held and not traded tonight.

    Attributes
    ----------
    tickers
        The tickers.
    weights
        Their weights, shape (tickers,).
    returns
        Return that they give the portfolio in each scenario, shape (scenarios,).
    """

    tickers: tuple[str, ...]
    weights: FloatArray
    returns: FloatArray


@dataclass(frozen=True)
class Problem:
    """All that weights are computed from.

    Attributes
    ----------
    scenarios
        Joint scenarios of the tickers' simple returns.
    constraints
        Limits of the weights.
    views
        Views about returns.
    cost
        Cost of buying or of selling, as a share of the value traded.
    given_covariance
        Covariance of the returns over the horizon, shape (tickers, tickers); None to compute it from the scenarios.
    fixed
        Positions beside those of the problem, which count in the risk of the whole; None for none.
    """

    scenarios: Scenarios
    constraints: Constraints
    views: Views = field(default_factory=Views)
    cost: float = 0.0
    given_covariance: FloatArray | None = None
    fixed: FixedPart | None = None

    @property
    def tickers(self) -> tuple[str, ...]:
        """The tickers, in the order of all arrays."""
        return self.scenarios.tickers

    @cached_property
    def covariance(self) -> FloatArray:
        """Covariance of the returns over the horizon, shape (tickers, tickers).

        Computed from scenarios, its correlations are shrunk (Ledoit and Wolf), and its variances are theirs.
        """
        if self.given_covariance is not None:
            return self.given_covariance
        scenarios = self.scenarios
        centred = scenarios.returns - scenarios.probabilities @ scenarios.returns
        deviations = np.sqrt(scenarios.probabilities @ centred**2)
        standardised = centred / np.where(deviations > 0, deviations, 1.0)
        shrunk, _ = ledoit_wolf(standardised, scenarios.probabilities)
        np.fill_diagonal(shrunk, 1.0)
        return np.asarray(shrunk * np.outer(deviations, deviations))
