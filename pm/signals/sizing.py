"""How large a position is: by the risk it adds, never by how sure the forecast is of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from pm.settings import SignalSettings

__all__ = ["annual_volatility", "position_size"]

TRADING_DAYS = 252
"""Sessions a year by convention; the convention cancels in a size only if the target's volatility shares it."""


def annual_volatility(cumulative_sigma: pl.Expr, horizon: pl.Expr) -> pl.Expr:
    """Volatility a year, from the standard deviation of the log return over `horizon` sessions: σ √(252 / horizon)."""
    return cumulative_sigma * (TRADING_DAYS / horizon).sqrt()


def position_size(action: pl.Expr, volatility: pl.Expr, *, settings: SignalSettings) -> pl.Expr:
    """Share of equity at which the position's own annual volatility is the target, capped.

    min(max_position, target_annual_volatility / volatility) for a BUY; the same, negative, for a SELL where shorts are
    allowed, else 0; 0 for a HOLD. This is volatility targeting (Moreira & Muir, 2017, "Volatility-Managed Portfolios",
    Journal of Finance 72). The probability of a gain decides whether there is a position but not how large it is: it is
    no win rate, and a Kelly fraction made of it would bet on the forecaster's own errors.

    Parameters
    ----------
    action
        'BUY', 'SELL' or 'HOLD'.
    volatility
        Forecast annual volatility, positive; see `annual_volatility`.
    settings
        Section `signals`.
    """
    size = pl.min_horizontal(settings.max_position, settings.target_annual_volatility / volatility)
    short = -size if settings.allow_short else pl.lit(0.0)
    return pl.when(action == "BUY").then(size).when(action == "SELL").then(short).otherwise(0.0)
