"""Declare the tables of the portfolio that a run aims at."""

from __future__ import annotations

from pm.tables.declaration import FLAG, INTEGER, REAL, STAMP, TEXT, Column, Table

__all__ = ["PORTFOLIO_RUNS", "TARGETS"]

TARGETS = Table(
    "main",
    "targets",
    "The weight of a ticker that a run aims at, and what it is made of.",
    ("run_id", "portfolio", "ticker", "cutoff"),
    (
        Column("portfolio", TEXT, "Portfolio: the name of an account, or 'model' where there is none."),
        Column("ticker", TEXT, "Ticker."),
        Column("weight", REAL, "Weight aimed at, as a share of equity; negative for a short position."),
        Column("previous_weight", REAL, "Weight held before, at today's prices."),
        Column(
            "core_weight",
            REAL,
            "Weight by the allocator alone, before tilts, the volatility target, turnover and bands.",
        ),
        Column("tilt", REAL, "Difference that the views about discovered edges make to core_weight."),
        Column("shares", REAL, "Number of shares aimed at; null where the price or the equity is not known."),
        Column("reason", TEXT, "Reason for the weight, in one word; see docs/vocabulary.md."),
        *STAMP,
    ),
)

PORTFOLIO_RUNS = Table(
    "main",
    "portfolio_runs",
    "The weights of an allocator on a night, in numbers: of the one in use, whose weights are in targets, and of those "
    "computed beside it. 'equal' always is.",
    ("run_id", "portfolio", "allocator", "cutoff"),
    (
        Column("portfolio", TEXT, "Portfolio: the name of an account, or 'model' where there is none."),
        Column("allocator", TEXT, "Allocator; see config/portfolio.yml."),
        Column("in_use", FLAG, "Whether targets has the weights of this allocator."),
        Column("status", TEXT, "'done', 'relaxed' or 'kept'; see docs/vocabulary.md."),
        Column("detail", TEXT, "What was relaxed, or why the weights held stay, in a sentence; null if all is well."),
        Column("currency", TEXT, "Currency that the portfolio is valued in."),
        Column("equity", REAL, "Value of the portfolio before trading, in that currency; null if it is not known."),
        Column("tickers", INTEGER, "Number of tickers that weights were computed of."),
        Column("positions", INTEGER, "Number of weights other than 0."),
        Column("views", INTEGER, "Number of views about discovered edges."),
        Column("invested", REAL, "Sum of the weights."),
        Column("gross", REAL, "Sum of the absolute weights."),
        Column("largest_weight", REAL, "Largest absolute weight."),
        Column("annual_volatility", REAL, "Forecast volatility of the portfolio's simple returns per year."),
        Column(
            "volatility_scale",
            REAL,
            "Factor by which all weights were multiplied to keep target_annual_volatility; 1 if they kept it.",
        ),
        Column(
            "var_975", REAL, "Loss over the horizon that is exceeded in 2.5% of the scenarios, as a share of equity."
        ),
        Column("es_975", REAL, "Mean loss in the worst 2.5% of the scenarios over the horizon, as a share of equity."),
        Column("horizon", INTEGER, "Number of sessions of the horizon."),
        Column("effective_number", REAL, "Effective number of positions: 1 / the sum of squared shares of the gross."),
        Column("turnover", REAL, "Sum of the absolute changes of the weights."),
        Column("cost", REAL, "Expected cost of these changes, as a share of equity."),
        Column("trades", INTEGER, "Number of tickers whose weight changes."),
        *STAMP,
    ),
)
