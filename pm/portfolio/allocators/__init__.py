"""Allocators, one per file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.portfolio.allocators.base import Allocator
from pm.portfolio.allocators.black_litterman import BlackLitterman, Posterior, posterior, unconstrained_weights
from pm.portfolio.allocators.equal import Equal
from pm.portfolio.allocators.hrp import HierarchicalRiskParity
from pm.portfolio.allocators.inverse_volatility import InverseVolatility
from pm.portfolio.allocators.kelly import Kelly, growth, growth_weights
from pm.portfolio.allocators.minimum_es import MinimumExpectedShortfall
from pm.portfolio.allocators.minimum_variance import MinimumVariance
from pm.portfolio.allocators.risk_budget import RiskBudget

if TYPE_CHECKING:
    from pm.settings import PortfolioSettings

__all__ = [
    "Allocator",
    "BlackLitterman",
    "Equal",
    "HierarchicalRiskParity",
    "InverseVolatility",
    "Kelly",
    "MinimumExpectedShortfall",
    "MinimumVariance",
    "Posterior",
    "RiskBudget",
    "allocator",
    "growth",
    "growth_weights",
    "posterior",
    "unconstrained_weights",
]


def allocator(name: str, settings: PortfolioSettings) -> Allocator:
    """Return an allocator by its name, with the parameters of the settings.

    Parameters
    ----------
    name
        One of `ALLOCATOR_NAMES`.
    settings
        Section `portfolio`.
    """
    if name == BlackLitterman.name:
        return BlackLitterman(RiskBudget(), risk_aversion=settings.risk_aversion, tau=settings.tau)
    if name == Kelly.name:
        return Kelly(settings.kelly_fraction, seed=settings.seed)
    if name == MinimumExpectedShortfall.name:
        return MinimumExpectedShortfall(settings.es_level, settings.es_scenarios)
    simple: dict[str, type[Allocator]] = {
        each.name: each for each in (Equal, InverseVolatility, MinimumVariance, RiskBudget, HierarchicalRiskParity)
    }
    return simple[name]()
