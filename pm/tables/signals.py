"""Decisions about tickers."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, Column, Table

__all__ = ["SIGNALS"]

SIGNALS = Table(
    "main",
    "signals",
    "A decision about a ticker, with the numbers it came from.",
    ("run_id", "ticker"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("action", TEXT, "BUY, SELL or HOLD."),
        Column("origin_date", DATE, "Date of the last bar used."),
        Column("target_date", DATE, "End of the horizon."),
        Column("horizon", INTEGER, "Sessions from the origin to the target date."),
        Column("close", REAL, "Close as traded on the origin date."),
        Column("expected_return", REAL, "Median simple return over the horizon, before costs."),
        Column("lower", REAL, "Lower end of the interval of that return."),
        Column("upper", REAL, "Upper end of the interval of that return."),
        Column("interval_level", REAL, "Level of the interval."),
        Column("probability_gain", REAL, "Probability that a long position gains more than the round trip costs."),
        Column(
            "probability_loss",
            REAL,
            "Probability that a short position gains more than the round trip costs.",
        ),
        Column(
            "confidence",
            REAL,
            "Probability of the action taken; for HOLD, of neither gain nor loss beyond costs.",
        ),
        Column("size", REAL, "Suggested position as a share of equity; negative is short."),
        Column(
            "stop",
            REAL,
            "Price to give up at; null for HOLD, and where the quantile is on the wrong side of the close.",
        ),
        Column("target", REAL, "Price to take profit at; null likewise."),
        Column("source", TEXT, "Model whose forecast was read."),
        Column("reasons", TEXT, "The values that decided, as JSON."),
        Column("provenance", TEXT, "The runs, snapshot and batches the values came from, as JSON."),
        *STAMP,
    ),
)
