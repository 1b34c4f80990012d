"""Features of a ticker on a date."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, Column, Table

__all__ = ["FEATURES"]

FEATURES = Table(
    "main",
    "features",
    "Features of a ticker on a date, from adjusted bars up to that date. Scale-free; sigmas are per day.",
    ("ticker", "date"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session."),
        Column("log_return", REAL, "ln(adjusted close / the previous one)."),
        Column("volatility_5", REAL, "Standard deviation of the last 5 log returns."),
        Column("volatility_20", REAL, "Standard deviation of the last 20 log returns."),
        Column("volatility_60", REAL, "Standard deviation of the last 60 log returns."),
        Column(
            "ewm_volatility",
            REAL,
            "Root of the exponentially weighted squared returns, λ = 0.94 (RiskMetrics).",
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
        Column("atr_14", REAL, "Wilder's average true range, 14 sessions, as a share of the close."),
        Column("macd", REAL, "12-session less 26-session exponential average, as a share of the close."),
        Column(
            "macd_signal",
            REAL,
            "9-session exponential average of the unscaled MACD, as a share of the close.",
        ),
        Column("macd_histogram", REAL, "macd − macd_signal."),
        Column("bollinger_position", REAL, "0 at the lower band, 1 at the upper: 20 sessions, 2 deviations."),
        Column("drawdown", REAL, "Adjusted close over its highest so far, less 1."),
        Column("drawdown_250", REAL, "Adjusted close over its highest of the last 250 sessions, less 1."),
        Column(
            "volume_zscore_20",
            REAL,
            "Log volume, as traded, against its last 20 sessions, in standard deviations; a split shows in it.",
        ),
        Column("day_of_week", INTEGER, "Monday 1 to Sunday 7."),
        Column("day_of_month", INTEGER, "1 to 31."),
        Column("month", INTEGER, "1 to 12."),
        Column("days_since_previous", INTEGER, "Calendar days since the ticker's previous bar."),
        *STAMP,
    ),
)
