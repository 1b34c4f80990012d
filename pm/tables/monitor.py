"""Declare the table of what `pm monitor` found."""

from __future__ import annotations

from pm.tables.declaration import TEXT, TIME, Column, Table

__all__ = ["HEALTH_CHECKS"]

HEALTH_CHECKS = Table(
    "main",
    "health_checks",
    "A check of the system by `pm monitor`: what it found, and the rule by which.",
    ("checked_at", "subject"),
    (
        Column("checked_at", TIME, "Time of the call of `pm monitor`, in UTC."),
        Column("subject", TEXT, "What was checked, such as 'bars' or 'last night'."),
        Column("status", TEXT, "'healthy', 'no data', 'degraded' or 'failing'; see docs/vocabulary.md."),
        Column("detail", TEXT, "What was found, in a sentence with its numbers."),
        Column("rule", TEXT, "Rule by which the status follows from the numbers."),
        Column("version", TEXT, "Version of Portfolio Maximizer."),
    ),
    inlined_rows=1_000,  # a call writes a dozen rows, and may be made every few minutes
)
