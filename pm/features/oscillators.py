"""The four indicators every chart has: RSI, ATR, MACD and Bollinger's bands."""

from __future__ import annotations

import polars as pl

from pm.features.smoothing import ema, wilder
from pm.features.windows import window_mean

__all__ = ["macd_line", "oscillator_features"]

FAST, SLOW, SIGNAL = 12, 26, 9
WILDER = 14
BANDS = 20


def macd_line() -> pl.Expr:
    """Give the fast exponential average less the slow one, in the units of the price.

    Both start at the 26th close, the fast one from the mean of the 12 closes up to it.
    """
    close = pl.col("close")
    return ema(close, FAST, skip=SLOW - FAST) - ema(close, SLOW)


def oscillator_features() -> dict[str, pl.Expr]:
    """Give RSI, ATR, MACD with its signal, and the place within Bollinger's bands, of one ticker's bars.

    Averages start as TA-Lib's do, so values agree with it from the first; those in units of the price are
    divided by the close. Where a price has not moved at all the RSI and the place within the bands are 0/0, and null.

    - RSI = 100 ḡ / (ḡ + l̄), of Wilder's averages of gains and of losses
    - ATR = Wilder's average of the true range
    - MACD = EMA₁₂ − EMA₂₆ of the close, its signal EMA₉ of that
    - Bollinger = ½ + (close − mean) / 4σ, of the last 20 closes, σ over n

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
