"""Declare the tables of clean bars, refused rows, flags, and the account of every batch."""

from __future__ import annotations

from pm.tables.declaration import DATE, FLAG, INTEGER, LANDED, PRICES, REAL, STAMP, TEXT, TIME, Column, Table

__all__ = [
    "BARS",
    "BAR_FLAGS",
    "FLAG_BOUNDS",
    "QUARANTINE",
    "REBASINGS",
    "RECONCILIATION",
    "RESTATEMENTS",
    "TICKER_SOURCES",
]

BARS = Table(
    "main",
    "bars",
    "The clean bar of a ticker on a date, as traded, with its adjustment factor. View adjusted_bars has adjusted "
    "prices.",
    ("ticker", "date"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session (trading day)."),
        *PRICES,
        Column("volume", REAL, "Number of shares traded; null if unknown."),
        Column("adj_factor", REAL, "Factor of splits and dividends: adjusted price = price as traded × adj_factor."),
        *LANDED,
        *STAMP,
    ),
)

QUARANTINE = Table(
    "main",
    "quarantine",
    "A delivered row that was refused, the rules that it broke, and the row itself.",
    ("batch_id", "row"),
    (
        Column("batch_id", TEXT, "Batch that the row was delivered in; see raw.batches."),
        Column("row", INTEGER, "Position of the row in its batch, from 1."),
        Column("ticker", TEXT, "Ticker; null if the row has none."),
        Column("date", DATE, "Date; null if the row has none."),
        Column("rule", TEXT, "Rules that the row broke, separated by commas; see docs/quality.md."),
        Column("original", TEXT, "The row as it was delivered, as JSON."),
        *STAMP,
    ),
)

BAR_FLAGS = Table(
    "main",
    "bar_flags",
    "A bar that was kept but looks unusual: after a jump or a likely split, in a run of unchanged closes, after a gap, "
    "after a break between two deliveries, or repeated in its file.",
    ("ticker", "date", "rule"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column(
            "date",
            DATE,
            "Session that is flagged: of a jump, a gap or a break, the bar after it; of unchanged closes, the first.",
        ),
        Column(
            "rule",
            TEXT,
            "'jump', 'split', 'stale', 'gap', 'break', 'dividends_left_out', 'repeated', 'range_dropped' or "
            "'no_session'; see "
            "docs/quality.md.",
        ),
        Column(
            "value",
            REAL,
            "Of a jump or a break, the simple return; of stale, the number of unchanged closes; of a gap, the number "
            "of missing sessions or refused days; of a repeated day, the volume; of a split, "
            "the number of new shares for an old one.",
        ),
        Column("detail", TEXT, "The flag in a sentence, with its numbers."),
        *STAMP,
    ),
)

RECONCILIATION = Table(
    "main",
    "reconciliation",
    "Account of every row of a batch: landed = inserted + updated + unchanged + quarantined.",
    ("batch_id",),
    (
        Column("batch_id", TEXT, "Batch; see raw.batches."),
        Column("landed", INTEGER, "Number of bars in raw.bars."),
        Column("inserted", INTEGER, "Number of bars that are new in bars."),
        Column("updated", INTEGER, "Number of bars that replaced one with other values."),
        Column("unchanged", INTEGER, "Number of bars equal to the one in bars."),
        Column("quarantined", INTEGER, "Number of rows refused; see quarantine."),
        *STAMP,
    ),
)

RESTATEMENTS = Table(
    "main",
    "restatements",
    "A price or volume of a past bar that its source changed.",
    ("ticker", "date", "field", "seen_at"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session (trading day)."),
        Column(
            "field",
            TEXT,
            "'open', 'high', 'low', 'close' or 'volume'. Adjustment factors change with each dividend and are not "
            "listed.",
        ),
        Column("kind", TEXT, "'correction', 'split' or 'late_volume'; see docs/vocabulary.md. Null in older rows."),
        Column("old_value", REAL, "Value in bars before."),
        Column("new_value", REAL, "Value in bars after."),
        Column("first_seen", TIME, "Time at which the old value was fetched, in UTC."),
        Column("seen_at", TIME, "Time at which the new value was fetched, in UTC."),
        Column("old_batch_id", TEXT, "Batch of the old value; see raw.batches."),
        Column("new_batch_id", TEXT, "Batch of the new value; see raw.batches."),
        *STAMP,
    ),
)

REBASINGS = Table(
    "main",
    "rebasings",
    "A delivery whose prices have another basis than those known before, since its source rewrote them after a "
    "dividend or a split; or of which nothing shows whether they have. adj_factor of bars contains the ratio.",
    ("ticker", "batch_id"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("batch_id", TEXT, "Batch of the delivery; see raw.batches."),
        Column("fetched_at", TIME, "Time at which the delivery was fetched, in UTC."),
        Column("date", DATE, "First date on the later side of the break between the two bases."),
        Column(
            "scope",
            TEXT,
            "Bars that the ratio is applied to: 'before' for those of earlier batches dated before `date`, 'batch' for "
            "those of the delivery, which ends before the bars known.",
        ),
        Column("field", TEXT, "Field whose values tell the ratio: 'adj_close', or 'close' where there is none."),
        Column("ratio", REAL, "Factor that the prices are multiplied by; 1 if nothing tells."),
        Column("evidence", TEXT, "'overlap', 'none', 'unclear' or 'settled'; see docs/vocabulary.md."),
        *STAMP,
    ),
)

TICKER_SOURCES = Table(
    "main",
    "ticker_sources",
    "A source that has sent bars of a ticker, and whether the ticker's bars come from it. The check keeps it, so that "
    "it need not read the whole history to find out.",
    ("ticker", "origin"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("origin", TEXT, "Source, as in raw.batches."),
        Column("has_good", FLAG, "Whether any of its rows kept every rule."),
        Column("has_adjusted", FLAG, "Whether any of its rows came with an adjusted close."),
        Column("is_chosen", FLAG, "Whether the bars of the ticker come from it."),
        *STAMP,
    ),
)

FLAG_BOUNDS = Table(
    "main",
    "flag_bounds",
    "Bounds of the robust standard deviation of a ticker's log returns over some bars to come. While they hold, flags "
    "of new bars are found without reading all bars before. The check keeps it.",
    ("ticker",),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("last_date", DATE, "Date of the last bar that the bounds were computed from."),
        Column("bars_ahead", INTEGER, "Number of further bars over which they hold."),
        Column("sigma_low", REAL, "Lower bound of the robust standard deviation of the log returns."),
        Column("sigma_high", REAL, "Upper bound."),
        *STAMP,
    ),
)
