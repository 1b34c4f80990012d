"""Forecasts, the weights of the models behind them, and policies of the mSSA-CP forecaster."""

from __future__ import annotations

from pm.tables.declaration import DATE, FLAG, INTEGER, REAL, STAMP, TEXT, TIME, Column, Table
from pm.tables.quantiles import QUANTILES, quantile_column

__all__ = ["FORECASTS", "MODEL_WEIGHTS", "POLICIES"]

FORECASTS = Table(
    "main",
    "forecasts",
    "A model's forecast of a ticker's close on a target date. The one to use is model 'ensemble'.",
    ("run_id", "ticker", "model", "origin_date", "target_date"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("model", TEXT, "Forecaster; 'ensemble'; or 'martingale', a random walk of constant volatility."),
        Column("target_date", DATE, "Session forecast."),
        Column("step", INTEGER, "Sessions ahead, from 1."),
        Column("origin_date", DATE, "Date of the last bar used."),
        Column("origin_close", REAL, "Close as traded on the origin date; every price here is in its units."),
        Column("mean_log_return", REAL, "Expected total log return from the origin to the target date."),
        Column("sigma", REAL, "Standard deviation of that return."),
        Column("mean", REAL, "origin_close × exp(mean_log_return): the centre of the forecast price."),
        *(Column(quantile_column("q", level), REAL, f"{level:.3g} quantile of the price.") for level in QUANTILES),
        Column(
            "spread",
            REAL,
            "Times the spread of table volatility that is about this mean: 1 where the ticker has no edge, else what "
            "the model's errors out of sample came to.",
        ),
        Column("regime", TEXT, "Regime of volatility on the origin date: low, middle, high; see volatility."),
        Column("naive_scale", REAL, "Mean absolute one-session log return of the bars used: the unit of MASE."),
        *STAMP,
    ),
)

MODEL_WEIGHTS = Table(
    "main",
    "model_weights",
    "A model's weight in the ensemble and the out-of-sample errors behind it; the ensemble's own errors too.",
    ("run_id", "ticker", "model", "cutoff"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("model", TEXT, "Forecaster."),
        Column("weight", REAL, "Share in the ensemble's mean; a ticker's weights sum to 1. Null for the ensemble."),
        Column(
            "verdict",
            TEXT,
            "Of the ticker, in each of its rows: 'edge' if the combined models lost less than naive out of sample, at "
            "a 5% level; else 'no edge', and naive has all the weight.",
        ),
        Column(
            "evidence",
            TEXT,
            "What weights and verdict rest on: the ticker's 'own' origins, those of all tickers ('pooled') where its "
            "own are too few, or 'none'.",
        ),
        Column(
            "rmse",
            REAL,
            "Out-of-sample root mean squared error of the log price, all steps; null if excluded.",
        ),
        Column("mae", REAL, "Out-of-sample mean absolute error of the log price, all steps."),
        Column("smape", REAL, "Out-of-sample mean of 2|F − A| / (F + A) of the price: a share, 0.02 is 2%."),
        Column("mase", REAL, "mae, each error over the mean absolute one-session log return up to its origin."),
        Column(
            "loss",
            REAL,
            "Mean squared error out of sample, of errors over √(step × variance before the origin).",
        ),
        Column("relative_rmse", REAL, "rmse over that of naive: below 1 is better than no change."),
        Column(
            "directional_accuracy",
            REAL,
            "Share of origins from which the sign of the whole horizon's move was foretold; moves of 0 are left out.",
        ),
        Column("directional_lower", REAL, "Lower end of its 95% Wilson interval."),
        Column("directional_upper", REAL, "Upper end of its 95% Wilson interval."),
        Column("directional_origins", INTEGER, "Origins it was counted on."),
        Column(
            "dm_statistic",
            REAL,
            "Diebold and Mariano's statistic against naive, with the correction of Harvey, Leybourne and Newbold; "
            "positive if naive lost more. Null for naive.",
        ),
        Column("dm_p_value", REAL, "Its one-sided p-value: small if the model is better than naive beyond chance."),
        Column("mcs_p_value", REAL, "p-value of belonging to the model confidence set of the ticker's models."),
        Column("in_confidence_set", FLAG, "Whether it belongs to that set at 10%: mcs_p_value above 0.1."),
        Column("origins", INTEGER, "Origins cross-validated."),
        Column("first_origin", DATE, "First date forecast from."),
        Column("last_target", DATE, "Last date forecast in cross-validation; never after the cutoff."),
        Column("reason", TEXT, "Why the model took no part; null if it did."),
        *STAMP,
    ),
)

POLICIES = Table(
    "main",
    "policies",
    "A policy by which mssa_cp picks rank and window (a contextual bandit), and how it was judged on later data.",
    ("policy_id",),
    (
        Column("policy_id", TEXT, "Policy; sorts by time."),
        Column("run_id", TEXT, "Run that trained it; see runs. Null for policies of older versions."),
        Column("trained_at", TIME, "UTC."),
        Column("accepted", FLAG, "Whether forecasts use it: it beat the fixed action in the model confidence set."),
        Column("verdict", TEXT, "Why it was accepted or refused."),
        Column("tickers", TEXT, "Tickers it was trained on, comma-separated."),
        Column("seed", INTEGER, "Seed of its draws."),
        Column("horizon", INTEGER, "Sessions ahead that it was rewarded for."),
        Column("policy", TEXT, "States, actions, visits, rewards and gains, as JSON."),
        Column("first_origin", DATE, "First date it was judged at; after the cutoff."),
        Column("last_target", DATE, "Last date whose outcome it was judged by; before it the policy is not used."),
        Column("dates", INTEGER, "Dates judged at."),
        Column("origins", INTEGER, "Forecasts judged, over all tickers."),
        Column("differing", REAL, "Share of them for which it did not choose the fixed action."),
        *(
            column
            for name, what in (("naive", "no change"), ("fixed", "the fixed action"), ("policy", "the policy"))
            for column in (
                Column(f"{name}_loss", REAL, f"Mean loss of {what}, in units of the variance of a return."),
                Column(f"{name}_p_value", REAL, f"P-value of {what} in the model confidence set; outside at .1."),
            )
        ),
        Column("dm_statistic", REAL, "Diebold-Mariano's, policy against fixed; positive where the policy is better."),
        Column("dm_p_value", REAL, "Its p-value, two-sided."),
        Column("snapshot_id", INTEGER, "Snapshot of the lake whose bars it was trained and judged on."),
        Column("cutoff", DATE, "Last date of the training; forecasts from later dates alone use it."),
    ),
)
