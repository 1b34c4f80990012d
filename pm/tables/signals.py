"""Declare the tables of signals."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, Column, Table

__all__ = ["SIGNALS"]

SIGNALS = Table(
    "main",
    "signals",
    "A decision about a ticker, the numbers it was made from, and the runs and snapshots those came from.",
    ("run_id", "ticker", "cutoff"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("action", TEXT, "BUY, SELL or HOLD."),
        Column("origin_date", DATE, "Date of the last bar used."),
        Column("target_date", DATE, "Last session of the horizon."),
        Column("horizon", INTEGER, "Sessions from the origin date to the target date."),
        Column("close", REAL, "Close as traded on the origin date."),
        Column(
            "expected_return",
            REAL,
            "Median simple return over the horizon, before costs; not the mean. It is 0 without an edge.",
        ),
        Column("lower", REAL, "Lower end of the central interval of that return."),
        Column("upper", REAL, "Upper end of the central interval of that return."),
        Column("interval_level", REAL, "Probability that the interval holds: 0.9 for a 90% interval."),
        Column("probability_gain", REAL, "Probability that a long position gains more than round_trip_cost."),
        Column("probability_loss", REAL, "Probability that a long position loses more than round_trip_cost."),
        Column(
            "confidence",
            REAL,
            "Probability behind the action: probability_gain for BUY, probability_loss for SELL, and for HOLD the "
            "probability of a return within the costs.",
        ),
        Column("size", REAL, "Suggested position as a share of equity; negative for a short position, 0 for none."),
        Column(
            "stop",
            REAL,
            "Price at which to close the position at a loss; null where size is 0, or where it would be a profit.",
        ),
        Column(
            "target",
            REAL,
            "Price at which to close the position at a profit; null where size is 0, or where it would be a loss.",
        ),
        Column("source", TEXT, "Model whose forecast the decision reads."),
        Column("rule", TEXT, "The rule that decided, as a sentence with its numbers."),
        Column("threshold", REAL, "Probability that a gain or a loss must reach for BUY or SELL; from the settings."),
        Column(
            "round_trip_cost",
            REAL,
            "Cost of opening and closing a position as a share of the price; from the settings.",
        ),
        Column("reason", TEXT, "Reason for the action, in one word; see docs/vocabulary.md."),
        Column(
            "edge_p_value",
            REAL,
            "p-value of the ticker's edge: dm_p_value of the ensemble in model_weights; null without a test of its "
            "own.",
        ),
        Column(
            "edge_q_value",
            REAL,
            "edge_p_value adjusted for the number of tickers tested that night (Benjamini and Hochberg); null without "
            "a test.",
        ),
        Column(
            "false_discovery_rate",
            REAL,
            "Largest edge_q_value of an edge that may lead to BUY or SELL; from the settings.",
        ),
        Column("sigma", REAL, "Standard deviation of the forecast log return over the horizon."),
        Column("annual_volatility", REAL, "Forecast volatility of log returns per year, from which size is computed."),
        Column("forecast_run_id", TEXT, "Run that made the forecast; see forecasts."),
        Column("volatility_run_id", TEXT, "Run that made the volatility; see volatility."),
        Column("forecast_snapshot_id", INTEGER, "Snapshot of the lake that the forecast read."),
        Column("volatility_snapshot_id", INTEGER, "Snapshot of the lake that the volatility read."),
        Column("last_bar_batch_id", TEXT, "Batch of the bar on the origin date; see raw.batches."),
        *STAMP,
    ),
)
