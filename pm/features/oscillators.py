"""Compute the technical indicators RSI, ATR, MACD and Bollinger bands."""

from __future__ import annotations

import polars as pl

from pm.features.smoothing import ema, wilder
from pm.features.windows import window_mean

__all__ = ["macd_line", "oscillator_features"]

FAST, SLOW, SIGNAL = 12, 26, 9
"""Windows of the MACD and its signal, in sessions."""
WILDER = 14
"""Window of RSI and ATR, in sessions."""
BANDS = 20
"""Window of the Bollinger bands, in sessions."""


def macd_line() -> pl.Expr:
    """Return the 12-session minus the 26-session exponential average of the close, in units of the price.

    Both averages start at the 26th close, the fast one with the mean of the 12 closes up to it.
    """
    close = pl.col("close")
    return ema(close, FAST, skip=SLOW - FAST) - ema(close, SLOW)


def oscillator_features() -> dict[str, pl.Expr]:
    """Return RSI, ATR, MACD with its signal, and the position between the Bollinger bands, for one ticker's bars.

    Averages start as those of TA-Lib do, so that all values agree with it. Values in units of the price are divided by
    the close. While a price has not moved, the RSI and the position between the bands are 0/0, and null.

    - RSI = 100 ḡ / (ḡ + l̄), with ḡ and l̄ Wilder's averages of gains and of losses
    - ATR = Wilder's average of the true range
    - MACD = EMA₁₂ − EMA₂₆ of the close; its signal is the EMA₉ of MACD
    - Bollinger = ½ + (close − mean) / 4σ of the last 20 closes, with σ their population standard deviation

    References
    ----------
    J. W. Wilder (1978), New Concepts in Technical Trading Systems. J. Bollinger (2001), Bollinger on Bollinger Bands.
    G. Appel (2005), Technical Analysis.
    """
    close, change, line = pl.col("close"), pl.col("change"), pl.col("macd_line")
    gain, loss = wilder(change.clip(lower_bound=0), WILDER), wilder((-change).clip(lower_bound=0), WILDER)
    deviation = close.rolling_std(BANDS, ddof=0)
    return {
        "rsi_14": 100 * gain / (gain + loss),
        "atr_14": wilder(pl.col("true_range"), WILDER) / close,
        "macd": line / close,
        "macd_signal": ema(line, SIGNAL) / close,
        "bollinger_position": 0.5 + (close - window_mean(close, BANDS)) / (4 * deviation),
    }
