"""Decide on each ticker by comparing the distribution of its price with the cost of trading, and size by risk."""

from __future__ import annotations

from pm.signals.centring import centred_quantiles
from pm.signals.decide import Decisions, decide
from pm.signals.distribution import PriceDistribution
from pm.signals.sizing import annual_volatility, position_size

__all__ = ["Decisions", "PriceDistribution", "annual_volatility", "centred_quantiles", "decide", "position_size"]
