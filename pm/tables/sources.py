"""What a source of bars delivered: schema `raw`, append only."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, LANDED, PRICES, REAL, TEXT, TIME, Column, Table

__all__ = ["RAW_ACTIONS", "RAW_BARS", "RAW_BATCHES", "UNIVERSE"]

RAW_BARS = Table(
    "raw",
    "bars",
    "Bars exactly as a source sent them; append only.",
    ("batch_id", "row"),
    (
        Column("ticker", TEXT, "Ticker as the source spells it."),
        Column("date", DATE, "Session."),
        *PRICES,
        Column(
            "adj_close",
            REAL,
            "Close adjusted for splits and dividends by the source; null where it sends none.",
        ),
        Column("volume", REAL, "Shares traded; null where the source sends none."),
        *LANDED,
    ),
)

RAW_ACTIONS = Table(
    "raw",
    "actions",
    "Dividends and splits exactly as a source sent them; append only.",
    ("batch_id", "row"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Ex-date: the first session that trades without the dividend, or after the split."),
        Column("kind", TEXT, "'dividend' or 'split'."),
        Column("value", REAL, "Dividend in currency a share, or new shares for an old one."),
        *LANDED,
    ),
)

RAW_BATCHES = Table(
    "raw",
    "batches",
    "One delivery of bars: a fetch, or an imported file.",
    ("batch_id",),
    (
        Column("batch_id", TEXT, "Batch."),
        Column("run_id", TEXT, "Run that landed it; see runs."),
        Column("origin", TEXT, "Source it came through: sample, files, …"),
        Column("path", TEXT, "File it was read from; null for a fetch."),
        Column("fingerprint", TEXT, "Hash of the content, by which a second import of the same file is known."),
        Column("bars", INTEGER, "Bars that landed."),
        Column("actions", INTEGER, "Dividends and splits that landed."),
        Column("tickers", INTEGER, "Distinct tickers among them."),
        Column("first_date", DATE, "First date among the bars."),
        Column("last_date", DATE, "Last date among the bars."),
        Column("landed_at", TIME, "When it landed, UTC."),
    ),
)

UNIVERSE = Table(
    "main",
    "universe",
    "The watch list: the tickers that runs are about. While it is empty, runs are about all tickers of imported files, "
    "or of the embedded sample where nothing was imported.",
    ("ticker",),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("source", TEXT, "Source that its bars come from."),
        Column("added_at", TIME, "When it was added, UTC."),
        Column("run_id", TEXT, "Run that added it; see runs."),
    ),
)
