"""Declare the tables of trials: backtests that were ever run, what they made, and what that proves."""

from __future__ import annotations

from pm.tables.declaration import DATE, FLAG, INTEGER, REAL, STAMP, TEXT, TIME, Column, Table

__all__ = [
    "FORECAST_DATES",
    "OVERFITTING_TESTS",
    "TRIALS",
    "TRIAL_FILLS",
    "TRIAL_JUDGEMENTS",
    "TRIAL_RETURNS",
    "TRIAL_TARGETS",
    "TRIAL_TESTS",
]

TRIALS = Table(
    "main",
    "trials",
    "A trial, which is a backtest of one configuration: a row when it starts, and one when it ends or is found to have "
    "been killed. Every trial counts, and the rows are a chain of hashes, so that none can be removed unseen.",
    ("sequence",),
    (
        Column("trial_id", TEXT, "Trial; identifiers sort by time."),
        Column("state", TEXT, "'started', 'done', 'failed' or 'killed'; see docs/vocabulary.md."),
        Column("name", TEXT, "Name that the user gave it, or one made from its configuration."),
        Column("settings_hash", TEXT, "SHA-256 of the settings that its decisions depend on, costs and allocator too."),
        Column("code_hash", TEXT, "Hash of the code, libraries and settings of its stage; see stage_events."),
        Column("universe_hash", TEXT, "SHA-256 of its tickers and the sources of their bars."),
        Column("allocator", TEXT, "Allocator of its weights; see config/portfolio.yml."),
        Column("tickers", INTEGER, "Number of tickers."),
        Column(
            "universe_known_from",
            DATE,
            "Day from which on decisions are about the tickers that were on the watch list then; before it, about all "
            "that are or were on it, chosen with hindsight. Null for hindsight throughout.",
        ),
        Column("from_date", DATE, "First date of a decision."),
        Column("to_date", DATE, "Last session whose return it has."),
        Column("step", INTEGER, "Number of sessions from one decision to the next."),
        Column("decisions", INTEGER, "Number of dates of decisions."),
        Column("costs", TEXT, "'settings' for the costs of the settings, 'none' for no costs, or 'given'."),
        Column("cost", REAL, "Cost of buying or of selling, as a share of the value traded."),
        Column("benchmark", TEXT, "'equal' for equal weights in all tickers at the same costs, 'cash', or a ticker."),
        Column("n_days", INTEGER, "Number of daily returns; null before its end."),
        Column("fills", INTEGER, "Number of fills; null before its end."),
        Column(
            "sharpe",
            REAL,
            "Mean of the daily net returns over the benchmark, divided by their standard deviation; null if not "
            "defined, as without trades or before its end.",
        ),
        Column("skew", REAL, "Skewness of these returns; null if sharpe is."),
        Column("kurtosis", REAL, "Kurtosis of these returns, 3 for a normal distribution; null if sharpe is."),
        Column("returns_hash", TEXT, "SHA-256 of its rows in trial_returns and trial_fills; null before its end."),
        Column(
            "targets_hash",
            TEXT,
            "SHA-256 of its rows in trial_targets; null before its end, and for trials of older versions.",
        ),
        Column("parent", TEXT, "Earlier trial of the same settings, code, tickers, dates and costs; null for none."),
        Column("detail", TEXT, "Why it failed, or a remark; null without one."),
        Column("started_by", TEXT, "User of the operating system who started it."),
        Column("snapshot_id", INTEGER, "Snapshot of the lake that it read."),
        Column("recorded_at", TIME, "Time at which the row was recorded, in UTC."),
        Column("run_id", TEXT, "Run that recorded it; see runs."),
        Column("sequence", INTEGER, "Position of the row in the chain, from 1."),
        Column("previous_hash", TEXT, "Hash of the row before it in the chain; 64 zeros for the first."),
        Column("hash", TEXT, "SHA-256 of the hash of the row before it in the chain, and of this row."),
    ),
    inlined_rows=100,
)

TRIAL_RETURNS = Table(
    "main",
    "trial_returns",
    "A trial's simple return of a session, before and after costs, and that of its benchmark.",
    ("trial_id", "date"),
    (
        Column("trial_id", TEXT, "Trial; see trials."),
        Column("date", DATE, "Session, to whose close the return is."),
        Column("gross", REAL, "Return before the costs of the session's trades."),
        Column("cost", REAL, "Costs of the session's trades, as a share of the equity at the close before."),
        Column("net", REAL, "Return after costs."),
        Column("benchmark", REAL, "Return of the benchmark, after its costs."),
        Column("equal", REAL, "Return of equal weights in all tickers, after the same costs."),
        Column("equity", REAL, "Value of the portfolio at the close."),
        Column("invested", REAL, "Share of the equity that is invested at the close, short positions negative."),
    ),
)

TRIAL_FILLS = Table(
    "main",
    "trial_fills",
    "A simulated fill of a trial. Shares and prices are those of the day, before later splits.",
    ("trial_id", "fill"),
    (
        Column("trial_id", TEXT, "Trial; see trials."),
        Column("fill", INTEGER, "Number of the fill in its trial, from 1."),
        Column("ticker", TEXT, "Ticker."),
        Column("decided_on", DATE, "Date of the decision; null for a ticker that stopped trading."),
        Column("date", DATE, "Session of the fill."),
        Column("shares", REAL, "Number of shares; negative for a sale."),
        Column("price", REAL, "Price of a share, in the currency of the portfolio."),
        Column("cost", REAL, "Cost, in the currency of the portfolio."),
        Column("kind", TEXT, "Price at which it was filled; see docs/vocabulary.md."),
    ),
)

TRIAL_TARGETS = Table(
    "main",
    "trial_targets",
    "The weight of a ticker that a trial decided on, computed as stage portfolio does from bars up to that day.",
    ("trial_id", "cutoff", "ticker"),
    (
        Column("trial_id", TEXT, "Trial; see trials."),
        Column("cutoff", DATE, "Date of the decision; nothing it rests on is later."),
        Column("ticker", TEXT, "Ticker."),
        Column("weight", REAL, "Weight aimed at, as a share of equity."),
        Column("previous_weight", REAL, "Weight held before, at the closes of that day."),
        Column("core_weight", REAL, "Weight by the allocator alone."),
        Column("tilt", REAL, "Difference that views about discovered edges make to core_weight."),
        Column("shares", REAL, "Number of shares aimed at; null where the price is not known."),
        Column("reason", TEXT, "Reason for the weight; see table targets."),
        Column("forecast_run_id", TEXT, "Run whose forecasts of that date it rests on; see forecasts."),
    ),
)

TRIAL_TESTS = Table(
    "main",
    "trial_tests",
    "What the returns of a trial over its benchmark prove, given all trials that were known when it was judged.",
    ("run_id", "trial_id"),
    (
        Column("trial_id", TEXT, "Trial; see trials."),
        Column("verdict", TEXT, "'proven', 'not_proven' or 'worse_than_benchmark'; see docs/vocabulary.md."),
        Column("reasons", TEXT, "Why, in sentences."),
        Column("days", INTEGER, "Number of daily returns."),
        Column("annual_return", REAL, "Return per year after costs, compounded."),
        Column("annual_benchmark", REAL, "Return of the benchmark per year, compounded."),
        Column("sharpe", REAL, "Daily Sharpe ratio over the benchmark; null if not defined, as all that follows."),
        Column("annual_sharpe", REAL, "Sharpe ratio per year, corrected for autocorrelation (Lo 2002)."),
        Column("annual_error", REAL, "Its standard error, with autocorrelation and changing variance (Newey-West)."),
        Column("lower", REAL, "Lower end of the 95% interval of annual_sharpe by the stationary bootstrap."),
        Column("upper", REAL, "Upper end of that interval."),
        Column("block", REAL, "Mean length of the bootstrap's blocks, in sessions (Politis and White)."),
        Column("probabilistic", REAL, "Probability that the true ratio is above 0, were this the only trial."),
        Column(
            "minimum_record", REAL, "Sessions needed for that probability to be 95%; null if the ratio is not positive."
        ),
        Column("deflated", REAL, "Probability that the ratio is above that of the luckiest of all trials; decides."),
        Column("deflated_effective", REAL, "The same at the effective number of trials; shown, does not decide."),
        Column("trials", INTEGER, "Number of trials ever run, those of validation.prior_trials included."),
        Column("effective_trials", REAL, "Effective number of independent trials."),
        Column(
            "compared",
            INTEGER,
            "Number of trials with returns on 90% of this one's sessions, itself included.",
        ),
        Column("superior_p", REAL, "p-value of Hansen's test over these trials, with blocks of the bootstrap."),
        Column("superior", FLAG, "Whether Romano and Wolf's stepwise test names this trial."),
        Column("overfitting", REAL, "Probability of backtest overfitting: median over numbers of blocks."),
        Column("overfitting_low", REAL, "Smallest of them."),
        Column("overfitting_high", REAL, "Largest of them."),
        *STAMP,
    ),
)

TRIAL_JUDGEMENTS = Table(
    "main",
    "trial_judgements",
    "A judgement of all trials: a row of the chain of table trials, with hashes of what was found.",
    ("sequence",),
    (
        Column("trials", INTEGER, "Number of trials ever started when they were judged."),
        Column("tests_hash", TEXT, "SHA-256 of the rows of the judgement in trial_tests."),
        Column("overfitting_hash", TEXT, "SHA-256 of its rows in overfitting_tests."),
        Column("recorded_at", TIME, "Time at which the row was recorded, in UTC."),
        Column("run_id", TEXT, "Run that judged; see runs."),
        Column("sequence", INTEGER, "Position of the row in the chain, which it shares with table trials."),
        Column("previous_hash", TEXT, "Hash of the row before it in the chain; 64 zeros for the first."),
        Column("hash", TEXT, "SHA-256 of the hash of the row before it in the chain, and of this row."),
    ),
    inlined_rows=100,
)

OVERFITTING_TESTS = Table(
    "main",
    "overfitting_tests",
    "The probability that the best of the trials that share a trial's sessions is overfitted, for a number of blocks.",
    ("run_id", "trial_id", "blocks"),
    (
        Column("trial_id", TEXT, "Trial whose sessions are cut into blocks; see trials."),
        Column("blocks", INTEGER, "Number of blocks."),
        Column("trials", INTEGER, "Number of trials compared."),
        Column("splits", INTEGER, "Number of ways to choose half of the blocks."),
        Column(
            "probability",
            REAL,
            "Share of the splits in which the best trial of one half is in the lower half of the trials in the other.",
        ),
        Column("degradation", REAL, "Slope of the ratio in the other half on that in the first; null if not defined."),
        Column(
            "loss", REAL, "Share of the splits in which the best trial loses against the benchmark in the other half."
        ),
        *STAMP,
    ),
)

FORECAST_DATES = Table(
    "main",
    "forecast_dates",
    "A past date that was forecast from, by pm evaluate or pm backtest, and what its forecasts depend on: equal "
    "inputs are not computed again.",
    ("run_id", "cutoff"),
    (
        Column("inputs_hash", TEXT, "SHA-256 of bars up to the date, tickers, settings and code."),
        Column("steps", TEXT, "Steps that were kept, in sessions ahead, separated by commas."),
        *STAMP,
    ),
    inlined_rows=100,
)
