"""Declare the table of nightly validations: what tests say of signals, forecasts, risk and accounts."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, Column, Table

__all__ = ["VALIDATIONS"]

VALIDATIONS = Table(
    "main",
    "validations",
    "What a test says of the signals, forecasts, risk or accounts of all nights up to the cutoff: of those that were "
    "really run; backtests and evaluations do not count.",
    ("run_id", "subject", "measure", "part", "cutoff"),
    (
        Column("subject", TEXT, "What was tested: 'signals', 'forecasts', 'edges', 'risk' or 'account'."),
        Column("measure", TEXT, "What about it; see docs/track.md."),
        Column("part", TEXT, "Part that the row is about, such as a step, an action or an account; '' for the whole."),
        Column("outcomes", INTEGER, "Number of outcomes up to the cutoff."),
        Column(
            "independent",
            INTEGER,
            "Number of dates that the test counts: each is on or after the last outcome of the one before, so that "
            "windows do not overlap. Of accounts and of risk over 1 session, the number of sessions.",
        ),
        Column("value", REAL, "What was realised; null without an outcome."),
        Column("reference", REAL, "What it is compared with; null without an outcome."),
        Column("statistic", REAL, "Statistic of the test; null if there are too few outcomes for it."),
        Column("p_value", REAL, "p-value of the test; null if there are too few outcomes for it."),
        Column(
            "q_value",
            REAL,
            "p-value adjusted for the number of tests of the night (Benjamini and Hochberg); it decides, at 5%.",
        ),
        Column("verdict", TEXT, "What the test says, in one word; see docs/vocabulary.md."),
        Column("reason", TEXT, "Why, in a sentence with its numbers."),
        Column("due", DATE, "Date on which the next outcome is expected; null if none is."),
        *STAMP,
    ),
)
