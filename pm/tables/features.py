"""Declare the table of features."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, Column, Table

__all__ = ["FEATURES"]

FEATURES = Table(
    "main",
    "features",
    "Features of a ticker on a date, from adjusted bars up to that date. All are independent of the price's scale; "
    "volatilities are of log returns, per session.",
    ("ticker", "date"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session (trading day)."),
        Column("log_return", REAL, "ln(adjusted close / adjusted close of the ticker's previous bar)."),
        Column("volatility_5", REAL, "Standard deviation of the last 5 log returns."),
        Column("volatility_20", REAL, "Standard deviation of the last 20 log returns."),
        Column("volatility_60", REAL, "Standard deviation of the last 60 log returns."),
        Column(
            "ewm_volatility",
            REAL,
            "Root of the exponentially weighted mean of squared log returns, decay 0.94 (RiskMetrics).",
        ),
        Column("parkinson_20", REAL, "Parkinson (1980) volatility from high and low, 20 sessions."),
        Column("garman_klass_20", REAL, "Garman-Klass (1980) volatility from OHLC, 20 sessions."),
        Column("yang_zhang_20", REAL, "Yang-Zhang (2000) volatility with overnight gaps, 20 sessions."),
        Column("momentum_5", REAL, "Log return over 5 sessions."),
        Column("momentum_20", REAL, "Log return over 20 sessions."),
        Column("momentum_60", REAL, "Log return over 60 sessions."),
        Column("momentum_120", REAL, "Log return over 120 sessions."),
        Column("momentum_250", REAL, "Log return over 250 sessions."),
        Column("rsi_14", REAL, "Wilder's relative strength index, 14 sessions, 0 to 100."),
        Column("atr_14", REAL, "Wilder's average true range over 14 sessions, divided by the close."),
        Column("macd", REAL, "12-session minus 26-session exponential average of the close, divided by the close."),
        Column(
            "macd_signal",
            REAL,
            "9-session exponential average of the undivided MACD, divided by the close.",
        ),
        Column("macd_histogram", REAL, "macd − macd_signal."),
        Column(
            "bollinger_position",
            REAL,
            "Position of the close between the Bollinger bands (20 sessions, 2 standard deviations): 0 at the lower, "
            "1 at the upper.",
        ),
        Column("drawdown", REAL, "Adjusted close / its highest value so far − 1."),
        Column("drawdown_250", REAL, "Adjusted close / its highest value of the last 250 sessions − 1."),
        Column(
            "volume_zscore_20",
            REAL,
            "Log volume as traded, minus its mean over 20 sessions, divided by its standard deviation over them; a "
            "split changes it.",
        ),
        Column("day_of_week", INTEGER, "Day of the week, 1 (Monday) to 7 (Sunday)."),
        Column("day_of_month", INTEGER, "Day of the month, 1 to 31."),
        Column("month", INTEGER, "Month, 1 to 12."),
        Column("days_since_previous", INTEGER, "Calendar days since the ticker's previous bar."),
        *STAMP,
    ),
)
