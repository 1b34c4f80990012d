"""Declare the tables of the model of relative returns: what it was fitted to, and the test that decides its weight."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, Column, Table

__all__ = ["RELATIVE_FITS", "RELATIVE_TESTS"]

RELATIVE_FITS = Table(
    "main",
    "relative_fits",
    "A feature of the model of relative returns: one ridge regression of all tickers' returns over the horizon, each "
    "relative to the mean of all, on the ranks of their features.",
    ("run_id", "cutoff", "feature"),
    (
        Column("feature", TEXT, "Column of table features."),
        Column(
            "coefficient",
            REAL,
            "Forecast relative return, in standard deviations of the return over the horizon, for a ticker whose "
            "feature is one standard deviation above the mean of all; null if no ticker has the feature.",
        ),
        Column(
            "importance",
            REAL,
            "Share of the variance of the forecasts that the feature explains; negative if it offsets others. They sum "
            "to 1.",
        ),
        Column(
            "slope", REAL, "Mean over the dates of the test of the slope of relative returns on this feature alone."
        ),
        Column("slope_t", REAL, "t statistic of slope, with the standard error of Newey and West."),
        Column(
            "equal_to", TEXT, "Feature that orders the tickers in the same way, with which it shares its coefficient."
        ),
        Column("sections", INTEGER, "Number of past dates that the regression was fitted to."),
        *STAMP,
    ),
)

RELATIVE_TESTS = Table(
    "main",
    "relative_tests",
    "What the model of relative returns was worth on past dates, each forecast by a regression on what was known then; "
    "and whether the ensembles of the run use it.",
    ("run_id", "cutoff"),
    (
        Column("status", TEXT, "Whether the model has weight, or why it could not be fitted or tested."),
        Column("tickers", INTEGER, "Number of tickers that are forecast."),
        Column("dates", INTEGER, "Number of dates of the test, whose horizons do not overlap."),
        Column("first_date", DATE, "First of them."),
        Column("last_target", DATE, "Last date on which a return of the test ends; never after the cutoff."),
        Column(
            "rank_correlation",
            REAL,
            "Mean over the dates of the rank correlation of forecast and realised relative returns (information "
            "coefficient).",
        ),
        Column("rank_correlation_t", REAL, "Its t statistic, with the standard error of Newey and West."),
        Column(
            "slope",
            REAL,
            "Mean over the dates of the slope of realised relative returns on the forecasts (Fama and MacBeth), for a "
            "forecast one standard deviation larger.",
        ),
        Column("slope_t", REAL, "Its t statistic, with the standard error of Newey and West."),
        Column("relative_loss", REAL, "Mean squared error of relative returns with the model / without it."),
        Column("dm_statistic", REAL, "Diebold-Mariano statistic over the dates; positive if the model is better."),
        Column("dm_p_value", REAL, "One-sided p-value of dm_statistic."),
        Column("weight", REAL, "Weight of the model in the ensembles of tickers without an edge of their own."),
        Column("reason", TEXT, "What the test found, in a sentence."),
        *STAMP,
    ),
)
