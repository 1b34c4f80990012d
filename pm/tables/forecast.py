"""Declare the tables of forecasts, model weights, and policies of the mSSA-CP forecaster."""

from __future__ import annotations

from pm.tables.declaration import DATE, FLAG, INTEGER, REAL, STAMP, TEXT, TIME, Column, Table
from pm.tables.quantiles import QUANTILES, quantile_column

__all__ = ["FORECASTS", "MEMBER_SETS", "MODEL_WEIGHTS", "POLICIES"]

FORECASTS = Table(
    "main",
    "forecasts",
    "A model's forecast of a ticker's close on a target date. The forecast to use is that of model 'ensemble'.",
    ("run_id", "ticker", "model", "origin_date", "target_date"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column(
            "model",
            TEXT,
            "Forecaster; 'ensemble', the weighted combination; 'martingale', a random walk of constant volatility; or "
            "'garch_hs', in evaluations: no change, with the simulated distribution of one GARCH(1,1) model.",
        ),
        Column("target_date", DATE, "Session (trading day) that is forecast."),
        Column("step", INTEGER, "Number of sessions from the origin date to the target date, from 1."),
        Column("origin_date", DATE, "Date of the last bar that the forecast used."),
        Column(
            "origin_close",
            REAL,
            "Close as traded on the origin date, per share. Every price of the row is in the same units.",
        ),
        Column("mean_log_return", REAL, "Mean total log return from the origin date to the target date."),
        Column("sigma", REAL, "Standard deviation of the total log return from the origin date to the target date."),
        Column(
            "mean", REAL, "Geometric mean of the price: origin_close × exp(mean_log_return); not the arithmetic mean."
        ),
        *(
            Column(quantile_column("q", level), REAL, f"{level:.3g} quantile of the price on the target date.")
            for level in QUANTILES
        ),
        Column(
            "spread",
            REAL,
            "Factor by which the spread of table volatility was multiplied around this mean: 1 if the ticker has no "
            "edge, "
            "otherwise a factor estimated from the model's out-of-sample errors.",
        ),
        Column("regime", TEXT, "Regime of volatility on the origin date: low, middle or high; see table volatility."),
        Column(
            "naive_scale", REAL, "Mean absolute one-session log return of the bars used, by which MASE divides errors."
        ),
        *STAMP,
    ),
)

MODEL_WEIGHTS = Table(
    "main",
    "model_weights",
    "A model's weight in a ticker's ensemble, and the out-of-sample errors that it rests on; also the errors of the "
    "ensemble.",
    ("run_id", "ticker", "model", "cutoff"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("model", TEXT, "Forecaster; or 'ensemble', their weighted combination."),
        Column(
            "weight",
            REAL,
            "Weight of the model in the ensemble's mean; a ticker's weights sum to 1. Null for the ensemble.",
        ),
        Column(
            "verdict",
            TEXT,
            "'edge' if the ensemble's row has a dm_p_value below 0.05 and a relative_rmse below √(1 − 1.44/√n) for n "
            "origins whose windows do not overlap (0.8 for 16), or, for evidence 'pooled', if the pooled errors have; "
            "otherwise 'no edge', and naive has all the weight. Equal in all rows of a ticker.",
        ),
        Column(
            "evidence",
            TEXT,
            "Errors that weights and verdict rest on: the ticker's 'own'; those of all tickers ('pooled'), if its own "
            "are too few; or 'none'.",
        ),
        Column(
            "rmse",
            REAL,
            "Out-of-sample root mean squared error of the log price, over all steps; null if the model took no part. "
            "The ensemble's is that of weights fitted and shrunk without the origin, whatever the verdict.",
        ),
        Column("mae", REAL, "Out-of-sample mean absolute error of the log price, over all steps."),
        Column(
            "smape",
            REAL,
            "Out-of-sample mean of 2|F − A| / (F + A), F the forecast and A the realised price; 0.02 is 2%.",
        ),
        Column(
            "mase",
            REAL,
            "Mean absolute scaled error: mae, each error divided by the mean absolute one-session log return up to "
            "its origin.",
        ),
        Column(
            "loss",
            REAL,
            "Out-of-sample mean of squared errors of the log price, each divided by step × variance of returns "
            "before the origin.",
        ),
        Column("relative_rmse", REAL, "rmse / rmse of naive: below 1 is better than assuming no change."),
        Column(
            "directional_accuracy",
            REAL,
            "Share of origins for which the sign of the return over the horizon was forecast; returns of 0 are left "
            "out.",
        ),
        Column("directional_lower", REAL, "Lower end of the 95% Wilson interval of directional_accuracy."),
        Column("directional_upper", REAL, "Upper end of the 95% Wilson interval of directional_accuracy."),
        Column("directional_origins", INTEGER, "Number of origins that directional_accuracy counts."),
        Column(
            "dm_statistic",
            REAL,
            "Diebold-Mariano statistic against naive, with the correction of Harvey, Leybourne and Newbold; positive "
            "if "
            "naive has the larger loss. Null for naive.",
        ),
        Column(
            "dm_p_value",
            REAL,
            "One-sided p-value of dm_statistic: small if the model is significantly better than naive.",
        ),
        Column("mcs_p_value", REAL, "p-value of the model in the model confidence set of the ticker's models."),
        Column(
            "in_confidence_set",
            FLAG,
            "Whether the model belongs to the 90% model confidence set: mcs_p_value above 0.1.",
        ),
        Column("origins", INTEGER, "Number of origins of the cross-validation."),
        Column("first_origin", DATE, "First origin date of the cross-validation."),
        Column("last_target", DATE, "Last target date of the cross-validation; never after the cutoff."),
        Column("reason", TEXT, "Why the model took no part in the ensemble; null if it did."),
        *STAMP,
    ),
)

MEMBER_SETS = Table(
    "main",
    "member_sets",
    "The combined volatility, its members and a GARCH model in an evaluation: how good their distributions of no "
    "change were, and whether they are among the best.",
    ("run_id", "step", "model"),
    (
        Column("step", INTEGER, "Number of sessions after the origin date."),
        Column("model", TEXT, "'naive', whose distribution is combined; 'garch_pool', 'panel' or 'garch_hs'."),
        Column("dates", INTEGER, "Number of dates; a date counts once, since tickers move together."),
        Column("forecasts", INTEGER, "Number of tickers and dates that all models forecast."),
        Column("scaled_crps", REAL, "Mean over the dates of the tickers' mean CRPS, in units of naive's sigma."),
        Column("mcs_p_value", REAL, "p-value of the model in the model confidence set; null with fewer than 8 dates."),
        Column("in_confidence_set", FLAG, "Whether it is in the 90% confidence set: mcs_p_value above 0.1."),
        *STAMP,
    ),
)

POLICIES = Table(
    "main",
    "policies",
    "A policy by which mssa_cp chooses rank and window (a contextual bandit), and its test on later data.",
    ("policy_id",),
    (
        Column("policy_id", TEXT, "Policy; identifiers sort by time."),
        Column("run_id", TEXT, "Run that trained it; see runs. Null for policies of older versions."),
        Column("trained_at", TIME, "Time at which the training ended, in UTC."),
        Column(
            "accepted",
            FLAG,
            "Whether forecasts use the policy: it was better than the fixed action by the model confidence set.",
        ),
        Column("verdict", TEXT, "Why the policy was accepted or refused."),
        Column("tickers", TEXT, "Tickers that it was trained on, separated by commas."),
        Column("seed", INTEGER, "Random seed of the training."),
        Column("horizon", INTEGER, "Horizon of the forecasts that it was rewarded for, in sessions."),
        Column("policy", TEXT, "The policy itself as JSON: states, actions, visits, rewards and gains."),
        Column("first_origin", DATE, "First origin date of the test; after the cutoff."),
        Column(
            "last_target", DATE, "Last target date of the test; forecasts from earlier dates do not use the policy."
        ),
        Column("dates", INTEGER, "Number of origin dates of the test."),
        Column("origins", INTEGER, "Number of forecasts of the test, over all tickers."),
        Column(
            "differing", REAL, "Share of the test's forecasts for which the policy did not choose the fixed action."
        ),
        *(
            column
            for name, what in (("naive", "no change"), ("fixed", "the fixed action"), ("policy", "the policy"))
            for column in (
                Column(
                    f"{name}_loss",
                    REAL,
                    f"Mean loss of {what} in the test: squared error divided by the variance of returns.",
                ),
                Column(
                    f"{name}_p_value",
                    REAL,
                    f"p-value of {what} in the model confidence set; in the 90% set if above 0.1.",
                ),
            )
        ),
        Column(
            "dm_statistic",
            REAL,
            "Diebold-Mariano statistic of the policy against the fixed action; positive if the policy is better.",
        ),
        Column("dm_p_value", REAL, "Two-sided p-value of dm_statistic."),
        Column(
            "fold_gain",
            REAL,
            "Mean gain in reward over the fixed action, in the training, on dates not learnt from: the mean over the "
            "paths of a combinatorial purged cross-validation. Null in rows of older versions.",
        ),
        Column("fold_gain_lowest", REAL, "Smallest gain of a path."),
        Column("snapshot_id", INTEGER, "Snapshot of the lake whose bars it was trained and tested on."),
        Column("cutoff", DATE, "Last date of the training data; only forecasts from later dates use the policy."),
    ),
)
