"""Compute volatility and momentum from log returns."""

from __future__ import annotations

import polars as pl

__all__ = ["return_features"]

DECAY = 0.94
"""Decay of the weights per session: RiskMetrics' λ for daily data."""


def return_features() -> dict[str, pl.Expr]:
    """Return volatilities and momenta of one ticker's log returns.

    `volatility_n` is the sample standard deviation (n − 1 in the denominator). `ewm_volatility` is
    √(Σ λⁱ r²_{t−i} / Σ λⁱ) over all returns so far, and null before the 20th return. `momentum_n` is
    ln(close_t / close_{t−n}).

    References
    ----------
    J. P. Morgan and Reuters (1996), RiskMetrics Technical Document, 4th ed., section 5.2.
    """
    log_return, log_close = pl.col("log_return"), pl.col("log_close")
    weighted = (log_return * log_return).ewm_mean(alpha=1 - DECAY, adjust=True, ignore_nulls=True, min_samples=20)
    return {
        **{f"volatility_{window}": log_return.rolling_std(window) for window in (5, 20, 60)},
        "ewm_volatility": weighted.sqrt(),
        **{f"momentum_{lag}": log_close - log_close.shift(lag) for lag in (5, 20, 60, 120, 250)},
    }
