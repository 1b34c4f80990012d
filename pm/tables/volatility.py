"""Volatility paths and the fits behind them."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, Column, Table
from pm.tables.quantiles import QUANTILES, quantile_column

__all__ = ["VOLATILITY", "VOLATILITY_FITS"]

VOLATILITY = Table(
    "main",
    "volatility",
    "A ticker's path of volatility: sigma of each step, and the distribution of the return up to it.",
    ("run_id", "cutoff", "ticker", "step"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("step", INTEGER, "Sessions ahead, from 1."),
        Column("model", TEXT, "'garch_pool', the fits of volatility_fits in equal parts, or 'ewma'."),
        Column("origin_date", DATE, "Date of the last bar used."),
        Column("sigma", REAL, "Standard deviation of that one session's log return."),
        Column("cumulative_sigma", REAL, "Standard deviation of the log return from the origin to the step."),
        *(
            Column(
                quantile_column("r", level),
                REAL,
                f"{level:.3g} quantile of that return, by filtered historical simulation, conformally corrected.",
            )
            for level in QUANTILES
        ),
        *(
            Column(
                quantile_column("u", level),
                REAL,
                f"Level of the simulated distribution that {quantile_column('r', level)} was read at: {level:.3g} "
                "where past outcomes asked for no correction.",
            )
            for level in QUANTILES
        ),
        Column("regime", TEXT, "Third of the ticker's last 250 sessions its volatility is in: low, middle, high."),
        Column("outcomes", INTEGER, "Past outcomes of this step that the levels have learnt from."),
        Column("fits", INTEGER, "Fits in the pool; see volatility_fits."),
        Column("observations", INTEGER, "Returns there were."),
        *STAMP,
    ),
)

_ERRORS = "Robust standard error of"

VOLATILITY_FITS = Table(
    "main",
    "volatility_fits",
    "A volatility model fitted to a window of a ticker's returns; those with parameters are in its pool.",
    ("run_id", "cutoff", "ticker", "model", "window_size"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("model", TEXT, "'garch', 'gjr' (leverage), 'garch_t' and 'gjr_t' (Student t), or 'ewma'."),
        Column("window_size", INTEGER, "Returns it was to see at most."),
        Column("origin_date", DATE, "Date of the last bar used."),
        Column("observations", INTEGER, "Returns it saw."),
        Column("mu", REAL, "Mean log return, per day; null, as all below, where the fit did not come off."),
        Column("omega", REAL, "Constant of the variance, per day²; 0 for ewma."),
        Column("alpha", REAL, "Weight of the last squared shock; 1 − λ for ewma."),
        Column("gamma", REAL, "Further weight of it after a fall; 0 without leverage."),
        Column("beta", REAL, "Weight of the last variance; λ for ewma."),
        Column("nu", REAL, "Degrees of freedom of Student's t; null without."),
        Column("mu_error", REAL, f"{_ERRORS} mu (Bollerslev and Wooldridge 1992); null at a bound, and for ewma."),
        Column("omega_error", REAL, f"{_ERRORS} omega."),
        Column("alpha_error", REAL, f"{_ERRORS} alpha."),
        Column("gamma_error", REAL, f"{_ERRORS} gamma."),
        Column("beta_error", REAL, f"{_ERRORS} beta."),
        Column("nu_error", REAL, f"{_ERRORS} nu."),
        Column("persistence", REAL, "Share of an excess of variance that is left a day later."),
        Column("next_sigma", REAL, "Standard deviation of the next session's log return under this fit alone."),
        Column("log_likelihood", REAL, "Log-likelihood of the returns in percent; null for ewma."),
        Column("reason", TEXT, "Why the fit did not come off; null if it did."),
        *STAMP,
    ),
)
