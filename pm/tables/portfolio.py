"""Declare the tables of the portfolio that a run aims at."""

from __future__ import annotations

from pm.tables.declaration import REAL, STAMP, TEXT, Column, Table

__all__ = ["TARGETS"]

TARGETS = Table(
    "main",
    "targets",
    "The weight of a ticker that a run aims at, and what it is made of.",
    ("run_id", "portfolio", "ticker", "cutoff"),
    (
        Column("portfolio", TEXT, "Portfolio: the name of an account, or 'model' where there is none."),
        Column("ticker", TEXT, "Ticker."),
        Column("weight", REAL, "Weight aimed at, as a share of equity; negative for a short position."),
        Column("previous_weight", REAL, "Weight before, at today's prices."),
        Column("core_weight", REAL, "Weight in the core, before any tilt."),
        Column("tilt", REAL, "Difference that the forecasts make."),
        Column("shares", REAL, "Number of shares aimed at; null where there is no equity to buy them with."),
        Column("reason", TEXT, "Reason for the weight, in one word; see docs/vocabulary.md."),
        *STAMP,
    ),
)
