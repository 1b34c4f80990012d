"""Clean bars, the rows that were refused, and where every row of a batch went."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, LANDED, PRICES, REAL, STAMP, TEXT, TIME, Column, Table

__all__ = ["BARS", "BAR_FLAGS", "QUARANTINE", "RECONCILIATION", "RESTATEMENTS"]

BARS = Table(
    "main",
    "bars",
    "The chosen clean bar of a ticker on a date, as traded, with its adjustment factor. Adjusted: view adjusted_bars.",
    ("ticker", "date"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session."),
        *PRICES,
        Column("volume", REAL, "Shares traded; null where unknown."),
        Column("adj_factor", REAL, "Total-return factor: adjusted price = price as traded × adj_factor."),
        *LANDED,
        *STAMP,
    ),
)

QUARANTINE = Table(
    "main",
    "quarantine",
    "A refused row, the rule that refused it, and the row itself.",
    ("batch_id", "row"),
    (
        Column("batch_id", TEXT, "Batch the row landed in."),
        Column("row", INTEGER, "Its place in the batch, from 1."),
        Column("ticker", TEXT, "Ticker, if the row has one."),
        Column("date", DATE, "Date, if the row has one."),
        Column("rule", TEXT, "The rules it broke, comma-separated; see docs/quality.md."),
        Column("original", TEXT, "The row as it landed, as JSON."),
        *STAMP,
    ),
)

BAR_FLAGS = Table(
    "main",
    "bar_flags",
    "A doubt about a bar that was kept: a jump, a stale run, a gap.",
    ("ticker", "date", "rule"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session it is about; for a gap, the first session after it."),
        Column("rule", TEXT, "'jump', 'stale' or 'gap'."),
        Column("value", REAL, "Jump: the return; stale: sessions without a move; gap: sessions missing."),
        Column("detail", TEXT, "The same in words."),
        *STAMP,
    ),
)

RECONCILIATION = Table(
    "main",
    "reconciliation",
    "Where every row of a batch went: landed = inserted + updated + unchanged + quarantined.",
    ("batch_id",),
    (
        Column("batch_id", TEXT, "Batch."),
        Column("landed", INTEGER, "Bars in raw.bars."),
        Column("inserted", INTEGER, "New in bars."),
        Column("updated", INTEGER, "Replaced a bar that said otherwise."),
        Column("unchanged", INTEGER, "Said what bars already said."),
        Column("quarantined", INTEGER, "Refused; see quarantine."),
        *STAMP,
    ),
)

RESTATEMENTS = Table(
    "main",
    "restatements",
    "A field of a past bar that its source rewrote.",
    ("ticker", "date", "field", "seen_at"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session."),
        Column(
            "field",
            TEXT,
            "open, high, low, close or volume. Factors restate with each dividend and are not listed.",
        ),
        Column("old_value", REAL, "What bars said."),
        Column("new_value", REAL, "What it says now."),
        Column("first_seen", TIME, "When the old value was fetched, UTC."),
        Column("seen_at", TIME, "When the new value was fetched, UTC."),
        Column("old_batch_id", TEXT, "Batch of the old value."),
        Column("new_batch_id", TEXT, "Batch of the new value."),
        *STAMP,
    ),
)
