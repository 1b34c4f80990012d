"""Size a position by the volatility of its ticker, never by the probability of a gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.sessions import SESSIONS_PER_YEAR
from pm.tables.vocabulary import Action

if TYPE_CHECKING:
    from pm.settings import SignalSettings

__all__ = ["annual_volatility", "position_size"]


def annual_volatility(cumulative_sigma: pl.Expr, horizon: pl.Expr) -> pl.Expr:
    """Return the volatility per year, σ √(252 / horizon).

    Parameters
    ----------
    cumulative_sigma
        Standard deviation σ of the log return over the whole horizon.
    horizon
        Number of sessions of the horizon.
    """
    return cumulative_sigma * (SESSIONS_PER_YEAR / horizon).sqrt()


def position_size(action: pl.Expr, volatility: pl.Expr, *, settings: SignalSettings) -> pl.Expr:
    """Return the share of equity at which the position has the target volatility, up to a maximum.

    A BUY has size min(max_position, target_annual_volatility / volatility); a SELL has the negative of that where
    short positions are allowed, else 0; a HOLD has 0. This is volatility targeting. The probability of a gain decides
    whether to open a position, but not how large it is: it is an estimate of the model, not a win rate, so a Kelly
    fraction computed from it would be largest where the model errs most.

    Parameters
    ----------
    action
        'BUY', 'SELL' or 'HOLD'.
    volatility
        Forecast volatility per year, positive; see `annual_volatility`.
    settings
        Section `signals`.

    References
    ----------
    Moreira, A. and Muir, T. (2017), Volatility-Managed Portfolios, Journal of Finance 72(4), 1611-1644.
    """
    size = pl.min_horizontal(settings.max_position, settings.target_annual_volatility / volatility)
    short = -size if settings.allow_short else pl.lit(0.0)
    return pl.when(action == Action.BUY.value).then(size).when(action == Action.SELL.value).then(short).otherwise(0.0)
