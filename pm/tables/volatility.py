"""Declare the tables of volatility forecasts and of the fitted models that they rest on."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, Column, Table
from pm.tables.quantiles import QUANTILES, quantile_column

__all__ = ["PANEL_FITS", "PANEL_MARKET", "VOLATILITY", "VOLATILITY_FITS", "VOLATILITY_MEMBERS"]

VOLATILITY = Table(
    "main",
    "volatility",
    "A ticker's volatility forecast at each step, and the distribution of the return from the origin to the step.",
    ("run_id", "cutoff", "ticker", "step"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("step", INTEGER, "Number of sessions after the origin date, from 1."),
        Column(
            "model",
            TEXT,
            "'pool_and_panel', 'garch_pool' (an equally weighted mixture of the models in volatility_fits), 'panel' or "
            "'ewma'; see volatility_members.",
        ),
        Column("origin_date", DATE, "Date of the last bar used."),
        Column("sigma", REAL, "Standard deviation of the log return of this one session."),
        Column("cumulative_sigma", REAL, "Standard deviation of the total log return from the origin to this step."),
        *(
            Column(
                quantile_column("r", level),
                REAL,
                f"{level:.3g} quantile of the total log return from the origin to this step, with conformal "
                "correction.",
            )
            for level in QUANTILES
        ),
        *(
            Column(
                quantile_column("u", level),
                REAL,
                f"Level of the combined distribution at which {quantile_column('r', level)} was taken; {level:.3g} if "
                "past outcomes called for no correction.",
            )
            for level in QUANTILES
        ),
        Column(
            "regime",
            TEXT,
            "Third of the ticker's last 250 sessions, ordered by volatility, in which the origin date is: low, "
            "middle or high.",
        ),
        Column("outcomes", INTEGER, "Number of past outcomes of this step that the correction of the levels uses."),
        Column("fits", INTEGER, "Number of fitted models in the pool; see volatility_fits. 0 without a pool."),
        Column("observations", INTEGER, "Number of returns that the ticker has."),
        *STAMP,
    ),
)

_ERRORS = "Robust standard error of"

VOLATILITY_FITS = Table(
    "main",
    "volatility_fits",
    "A volatility model fitted to a window of a ticker's returns. Those with parameters make up the ticker's pool.",
    ("run_id", "cutoff", "ticker", "model", "window_size"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("model", TEXT, "'garch', 'gjr' (leverage), 'garch_t' and 'gjr_t' (Student t), or 'ewma'."),
        Column("window_size", INTEGER, "Largest number of returns that the model was fitted to."),
        Column("origin_date", DATE, "Date of the last bar used."),
        Column("observations", INTEGER, "Number of returns that the model was fitted to."),
        Column(
            "mu",
            REAL,
            "Mean log return per session. This and all later columns are null if the model could not be fitted.",
        ),
        Column("omega", REAL, "Constant of the variance of a session's log return; 0 for ewma."),
        Column("alpha", REAL, "Weight of the last squared shock; 1 − decay for ewma."),
        Column("gamma", REAL, "Additional weight of the last squared shock if it was negative; 0 without leverage."),
        Column("beta", REAL, "Weight of the last variance; the decay for ewma."),
        Column("nu", REAL, "Degrees of freedom of Student's t; null for normal shocks."),
        Column("mu_error", REAL, f"{_ERRORS} mu (Bollerslev and Wooldridge 1992); null at a bound, and for ewma."),
        Column("omega_error", REAL, f"{_ERRORS} omega."),
        Column("alpha_error", REAL, f"{_ERRORS} alpha."),
        Column("gamma_error", REAL, f"{_ERRORS} gamma."),
        Column("beta_error", REAL, f"{_ERRORS} beta."),
        Column("nu_error", REAL, f"{_ERRORS} nu."),
        Column(
            "persistence",
            REAL,
            "Share of an excess of variance over its long-run level that is left one session later.",
        ),
        Column("next_sigma", REAL, "Standard deviation of the next session's log return by this model alone."),
        Column("log_likelihood", REAL, "Log-likelihood of the returns in percent; null for ewma."),
        Column("reason", TEXT, "Why the model could not be fitted; null if it was."),
        *STAMP,
    ),
)

VOLATILITY_MEMBERS = Table(
    "main",
    "volatility_members",
    "The distributions of a ticker that has a pool of GARCH models and the panel model: each alone, with its weight in "
    "the combination that table volatility has.",
    ("run_id", "cutoff", "ticker", "member", "step"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("step", INTEGER, "Number of sessions after the origin date, from 1."),
        Column("origin_date", DATE, "Date of the last bar used."),
        Column("member", TEXT, "'garch_pool' or 'panel'."),
        Column("weight", REAL, "Weight of the member's quantiles at this step; a ticker's weights sum to 1."),
        Column(
            "loss",
            REAL,
            "Mean CRPS of the member's forecasts of this step from past sessions, on which the weight rests, of log "
            "returns; null without an outcome.",
        ),
        Column("outcomes", INTEGER, "Number of past outcomes of this step."),
        Column("cumulative_sigma", REAL, "Standard deviation of the total log return by this member."),
        *(
            Column(
                quantile_column("r", level),
                REAL,
                f"{level:.3g} quantile of the total log return by this member, with its own conformal correction.",
            )
            for level in QUANTILES
        ),
        *STAMP,
    ),
)

PANEL_FITS = Table(
    "main",
    "panel_fits",
    "The panel model of volatility that a run used: coefficients of the volatility equation, quantiles of the "
    "standardised return, and the levels that tickers learnt from each other.",
    ("run_id", "cutoff", "kind", "step", "term"),
    (
        Column("kind", TEXT, "'range' or 'close': what the moves of the tickers are read from; 'all' for levels."),
        Column("step", INTEGER, "Number of sessions over which the equation forecasts, or step of a level."),
        Column(
            "term",
            TEXT,
            "A coefficient: 'constant', the log of the mean move with a mean age of 1 ('day'), 5 ('week'), 25 "
            "('month') and 125 sessions ('half_year'), the share of 'falls', 'market'. 'scale': variance in units "
            "of the squared volatility. A quantile of the standardised return, such as 'q0.05'. The level at which "
            "all tickers' quantiles are read, such as 'u0.05', and its weight, 'level_weight'.",
        ),
        Column("value", REAL, "Value of the term."),
        Column("rows", INTEGER, "Number of outcomes that the equation was fitted to; null for levels."),
        Column("tickers", INTEGER, "Number of tickers that it was fitted to."),
        Column(
            "source",
            TEXT,
            "'run' if this run fitted the model to all of its tickers. If the run names tickers: the run_id of the "
            "earlier run whose model it read, or 'named' if there was none, so that it was fitted to these tickers.",
        ),
        *STAMP,
    ),
)

PANEL_MARKET = Table(
    "main",
    "panel_market",
    "The market factor of the panel model that a run fitted, on each day of its window.",
    ("run_id", "cutoff", "date"),
    (
        Column("date", DATE, "Day."),
        Column(
            "value",
            REAL,
            "Mean over tickers of the log of the last session's move relative to the ticker's mean, less its usual "
            "value, shrunk to 0 where tickers are few.",
        ),
        *STAMP,
    ),
)
