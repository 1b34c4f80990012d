"""Decide on each ticker by comparing the distribution of its price with the cost of trading, and size by risk."""

from __future__ import annotations

from pm.signals.centring import centred_quantiles
from pm.signals.decide import Decisions, decide
from pm.signals.discoveries import DISCOVERIES_SCHEMA, edge_discoveries
from pm.signals.distribution import PriceDistribution
from pm.signals.sizing import annual_volatility, position_size

__all__ = [
    "DISCOVERIES_SCHEMA",
    "Decisions",
    "PriceDistribution",
    "annual_volatility",
    "centred_quantiles",
    "decide",
    "edge_discoveries",
    "position_size",
]
