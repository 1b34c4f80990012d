"""Declare the tables of what sources delivered: schema `raw`, append only."""

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
        Column("date", DATE, "Session (trading day)."),
        *PRICES,
        Column(
            "adj_close",
            REAL,
            "Closing price adjusted by the source for splits and dividends; null if it sends none.",
        ),
        Column("volume", REAL, "Number of shares traded; null if the source sends none."),
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
        Column(
            "value",
            REAL,
            "Dividend per share, in the currency of the price; or, of a split, number of new shares for an old one.",
        ),
        *LANDED,
    ),
)

RAW_BATCHES = Table(
    "raw",
    "batches",
    "A delivery of bars: one fetch, or one imported file.",
    ("batch_id",),
    (
        Column("batch_id", TEXT, "Batch; identifiers sort by time."),
        Column("run_id", TEXT, "Run that stored the batch; see runs."),
        Column("origin", TEXT, "Source that delivered the batch, such as 'sample' or 'files'."),
        Column("path", TEXT, "File that the batch was read from; null for a fetch."),
        Column("fingerprint", TEXT, "Hash of the content, by which a second import of the same file is recognised."),
        Column("bars", INTEGER, "Number of bars."),
        Column("actions", INTEGER, "Number of dividends and splits."),
        Column("tickers", INTEGER, "Number of different tickers."),
        Column("first_date", DATE, "First date of the bars."),
        Column("last_date", DATE, "Last date of the bars."),
        Column(
            "decimals",
            INTEGER,
            "Largest number of decimals of a close; null if it is more than 8, or if the close changes fewer than 20 "
            "times. A price that differs from an earlier one by rounding to these decimals alone is unchanged.",
        ),
        Column("adj_decimals", INTEGER, "Largest number of decimals of an adjusted close; null as for decimals."),
        Column("landed_at", TIME, "Time at which the batch was stored, in UTC."),
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
        Column("added_at", TIME, "Time at which it was added, in UTC."),
        Column("run_id", TEXT, "Run that added it; see runs."),
    ),
)
