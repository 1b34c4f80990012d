"""Declare the tables of what the language model reads in texts, and of its second opinions."""

from __future__ import annotations

from pm.tables.declaration import DATE, FLAG, INTEGER, REAL, STAMP, TEXT, TIME, Column, Table

__all__ = ["LLM_OPINIONS", "TEXT_SENTIMENT"]

TEXT_SENTIMENT = Table(
    "main",
    "text_sentiment",
    "A text about a ticker, read once by a language model. Its numbers depend on its own words alone. "
    "No forecast and no signal depends on them.",
    ("ticker", "source", "source_id", "model_sha256"),
    (
        Column("ticker", TEXT, "Ticker that the text is about."),
        Column("source", TEXT, "Source of the text; see raw.texts."),
        Column("source_id", TEXT, "Identifier of the text at its source; see raw.texts."),
        Column("published_at", TIME, "Time of its publication, in UTC."),
        Column("session", DATE, "First session that opened after that: the text counts from its open."),
        Column("opens_at", TIME, "Time at which that session opens, in UTC."),
        Column(
            "duplicate_of",
            TEXT,
            "Identifier of the text of the ticker that counts in its place, which has nearly the same words and was "
            "published before it or read in an earlier run, as 'source:source_id'. Null for a text that counts.",
        ),
        Column("words", TEXT, "What the model read: the headline, or the beginning of a text without one."),
        Column(
            "score",
            REAL,
            "Mean over the prompts of the log-probability of the positive answer minus that of the negative one; null "
            "for a duplicate.",
        ),
        Column(
            "probability_positive",
            REAL,
            "Probability that the text is positive, by the line fitted to labelled headlines; null for a duplicate.",
        ),
        Column("sentiment", TEXT, "'positive', 'negative' or 'unclear'; null for a duplicate. See docs/vocabulary.md."),
        Column("intercept", REAL, "Intercept of that line: log-odds at a score of 0."),
        Column("slope", REAL, "Slope of that line: log-odds for a score of 1."),
        Column("noise", REAL, "Largest difference of equal scores: within it, the sentiment is unclear."),
        Column("model", TEXT, "Name of the model, as pm models list shows it."),
        Column("model_sha256", TEXT, "Hash of the model's file."),
        *STAMP,
    ),
)

LLM_OPINIONS = Table(
    "main",
    "llm_opinions",
    "A language model's opinion about a ticker, from numbers put in words, without names and dates. It is no signal: "
    "signal_routing says whether it counts.",
    ("run_id", "ticker", "cutoff"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("origin_date", DATE, "Date of the last bar used."),
        Column(
            "next_session",
            DATE,
            "First session expected after origin_date. If it is not after the day of the run, the bar is old.",
        ),
        Column("horizon", INTEGER, "Sessions ahead that the opinion is about."),
        Column("action", TEXT, "BUY, SELL or HOLD, by the probability and the threshold."),
        Column("probability_up", REAL, "Probability that the price is higher at the end of the horizon."),
        Column("score", REAL, "Log-odds of that, above those of a ticker of which nothing is known."),
        Column("noise", REAL, "Largest difference of equal scores: within it, the action is HOLD."),
        Column("threshold", REAL, "Probability that an action needs; from the settings of signals."),
        Column("facts", TEXT, "The words that the model read."),
        Column("reason", TEXT, "Why the action was chosen, in a sentence with its numbers."),
        Column(
            "time_series_primary", FLAG, "llm.time_series_primary: whether a fresh signal of the forecast goes first."
        ),
        Column("model", TEXT, "Name of the model, as pm models list shows it."),
        Column("model_sha256", TEXT, "Hash of the model's file."),
        *STAMP,
    ),
)
