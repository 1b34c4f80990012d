"""Estimate volatility from the range of a session, which is more precise than from closes alone."""

from __future__ import annotations

from math import log

import polars as pl

from pm.features.windows import window_mean

__all__ = ["range_features", "session_variances"]

WINDOW = 20
"""Window of the volatilities, in sessions."""
YANG_ZHANG_K = 0.34 / (1.34 + (WINDOW + 1) / (WINDOW - 1))
"""Weight of the open-to-close variance in Yang-Zhang volatility, which minimises the estimator's variance."""


def session_variances() -> dict[str, pl.Expr]:
    """Return three estimates of each session's variance, and `move`, the log return from open to close.

    With u = ln(high/open), d = ln(low/open) and c = ln(close/open):

    - Parkinson (u − d)² / (4 ln 2)
    - Garman-Klass (u − d)² / 2 − (2 ln 2 − 1) c²
    - Rogers-Satchell u (u − c) + d (d − c)

    References
    ----------
    M. Parkinson (1980), The extreme value method for estimating the variance of the rate of return, J. Business 53.
    M. B. Garman and M. J. Klass (1980), On the estimation of security price volatilities from historical data,
    J. Business 53 (their practical estimator).
    L. C. G. Rogers and S. E. Satchell (1991), Estimating variance from high, low and closing prices,
    Annals of Applied Probability 1.
    """
    up = pl.col("log_high") - pl.col("log_open")
    down = pl.col("log_low") - pl.col("log_open")
    move = pl.col("log_close") - pl.col("log_open")
    span = pl.col("log_high") - pl.col("log_low")
    return {
        "move": move,
        "parkinson_variance": span * span / (4 * log(2)),
        "garman_klass_variance": span * span / 2 - (2 * log(2) - 1) * move * move,
        "rogers_satchell_variance": up * (up - move) + down * (down - move),
    }


def range_features() -> dict[str, pl.Expr]:
    """Return Parkinson, Garman-Klass and Yang-Zhang volatility per session over 20 sessions, for one ticker's bars.

    The first two are roots of the mean session variance, and cover the trading day only. Yang-Zhang includes the move
    overnight and allows for drift: σ² = var o + k var c + (1 − k) mean RS, with o = ln(open / previous close),
    c = ln(close / open), RS the Rogers-Satchell variance, k = 0.34 / (1.34 + (n + 1)/(n − 1)) and sample variances. A
    negative sum, which bars with a close outside of their range can have, gives null.

    References
    ----------
    D. Yang and Q. Zhang (2000), Drift-independent volatility estimation based on high, low, open, and close prices,
    J. Business 73.
    """
    yang_zhang = (
        pl.col("overnight").rolling_var(WINDOW)
        + YANG_ZHANG_K * pl.col("move").rolling_var(WINDOW)
        + (1 - YANG_ZHANG_K) * window_mean(pl.col("rogers_satchell_variance"), WINDOW)
    )
    return {
        "parkinson_20": window_mean(pl.col("parkinson_variance"), WINDOW).sqrt(),
        "garman_klass_20": window_mean(pl.col("garman_klass_variance"), WINDOW).sqrt(),
        "yang_zhang_20": yang_zhang.sqrt(),
    }
