"""Volatility read from a session's range, which says more of it than the close alone does."""

from __future__ import annotations

from math import log

import polars as pl

from pm.features.windows import window_mean

__all__ = ["range_features", "session_variances"]

WINDOW = 20
YANG_ZHANG_K = 0.34 / (1.34 + (WINDOW + 1) / (WINDOW - 1))


def session_variances() -> dict[str, pl.Expr]:
    """Give what one session says of its variance, by three estimators, and `move`, its log return from the open.

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
    """Give the Parkinson, Garman-Klass and Yang-Zhang volatilities of one ticker's bars, per day, over 20 sessions.

    The first two are roots of the mean session variance and see the trading day only. Yang-Zhang sees the night too,
    and allows for drift: σ² = var o + k var c + (1 − k) mean RS, with o = ln(open / previous close), RS the
    Rogers-Satchell variance, k = 0.34 / (1.34 + (n + 1)/(n − 1)) and sample variances. A sum that comes out negative,
    as bars whose close lies outside their range can make it, is no variance, and gives null.

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
