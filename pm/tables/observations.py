"""Declare the tables of observations that a user brings, and of the tests whether forecasts may use them."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, TIME, Column, Table

__all__ = ["OBSERVATIONS", "OBSERVATION_TESTS"]

OBSERVATIONS = Table(
    "main",
    "observations",
    "A number about a ticker that is no price, as a file told it; append only. A value that is told again for a date, "
    "and known later, is a revision: each date sees what was known then.",
    ("source", "ticker", "date", "name", "known_at"),
    (
        Column("source", TEXT, "Source of the number: a column of the file, or the name that the import was given."),
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Day that the number is about."),
        Column(
            "known_at", TIME, "Time from which it was known, in UTC: a cutoff sees it if it is not before that day."
        ),
        Column("name", TEXT, "Name of the number, such as short_interest."),
        Column("value", REAL, "The number."),
        Column("fetched_at", TIME, "Time at which it was imported, in UTC."),
        Column("run_id", TEXT, "Run that imported it; see runs."),
    ),
)

OBSERVATION_TESTS = Table(
    "main",
    "observation_tests",
    "A test whether forecasts with an observation as regressor are better than no change, out of sample: the test that "
    "every edge must pass. Forecasts use an observation only if its newest test passes, among all names ever tested.",
    ("run_id", "name"),
    (
        Column("name", TEXT, "Name of the observation."),
        Column("horizon", INTEGER, "Horizon of the forecasts, in sessions."),
        Column("tickers", INTEGER, "Number of tickers with enough observations."),
        Column("origins", INTEGER, "Number of forecasts, over all tickers."),
        Column("periods", INTEGER, "Number of periods of time that the test counts: tickers move together."),
        Column("first_origin", DATE, "First date forecast from; null if nothing could be tested."),
        Column(
            "last_target",
            DATE,
            "Last target date: forecasts from earlier dates do not use the observation. Null if nothing was tested.",
        ),
        Column("relative_loss", REAL, "Mean loss of the combination with no change / that of no change alone."),
        Column("dm_statistic", REAL, "Diebold-Mariano statistic of the periods; positive if the observation helps."),
        Column("dm_p_value", REAL, "One-sided p-value of dm_statistic; null if nothing could be tested."),
        Column("claimed", INTEGER, "Number of tickers for which it is proven alone, at 5%."),
        Column("discovered", INTEGER, "Number of them that survive the control of false discoveries over all tickers."),
        Column("reason", TEXT, "What the test found, in a sentence."),
        *STAMP,
    ),
)
