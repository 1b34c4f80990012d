"""The lake's tables, declared once: names, types, keys, and the comments that SQL users read.

Schema `raw` holds what landed, as it landed; schema `main` what was derived. A derived row carries the `run_id`
that made it, the `snapshot_id` of the lake that run read, and its `cutoff`: the last date it may have seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from polars.datatypes import DataTypeClass

from pm.errors import LakeError

__all__ = ["QUANTILES", "TABLES", "Column", "Table", "quantile_column", "table"]

QUANTILES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
"""Levels of every stored distribution."""

DType = pl.DataType | DataTypeClass

TEXT, REAL, INTEGER, DATE, FLAG = pl.String, pl.Float64, pl.Int64, pl.Date, pl.Boolean
TIME = pl.Datetime("us")
"""UTC, without a zone: fetching zoned times from DuckDB needs one more package."""

_SQL = {TEXT: "VARCHAR", REAL: "DOUBLE", INTEGER: "BIGINT", DATE: "DATE", FLAG: "BOOLEAN", TIME: "TIMESTAMP"}


def quantile_column(prefix: str, level: float) -> str:
    """Name the column of a quantile: `quantile_column("q", 0.05)` is 'q05', and that of 0.025 is 'q025'."""
    digits = f"{level:.3f}".removeprefix("0.")
    return prefix + digits[:2] + digits[2:].rstrip("0")


@dataclass(frozen=True)
class Column:
    """A column: its name, its type, and what a reader should know of it."""

    name: str
    dtype: DType
    comment: str

    @property
    def sql_type(self) -> str:
        """The type as SQL writes it."""
        return _SQL[self.dtype]


@dataclass(frozen=True)
class Table:
    """A table of the lake."""

    schema: str
    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def qualified(self) -> str:
        """The name as SQL finds it: `raw.bars`; those of `main` need no schema."""
        return self.name if self.schema == "main" else f"{self.schema}.{self.name}"

    @property
    def polars_schema(self) -> pl.Schema:
        """Names and types, in order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def unstamped_schema(self) -> pl.Schema:
        """Names and types without those of the stamp: what a room gives, before a stage says which run it was."""
        stamp = {column.name for column in _STAMP}
        return pl.Schema({name: dtype for name, dtype in self.polars_schema.items() if name not in stamp})

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Give the frame with exactly this table's columns, in order and of its types.

        Raises
        ------
        LakeError
            A column is missing or one too many, or a value does not fit its type: a bug, not a user's mistake.
        """
        expected = set(self.polars_schema)
        if expected != set(frame.columns):
            missing, extra = sorted(expected - set(frame.columns)), sorted(set(frame.columns) - expected)
            raise LakeError(f"Frame does not fit {self.qualified}: missing {missing}, unexpected {extra}.")
        return frame.select(pl.col(name).cast(dtype) for name, dtype in self.polars_schema.items())


_STAMP = (
    Column("run_id", TEXT, "Run that made this row; see runs."),
    Column(
        "snapshot_id",
        INTEGER,
        "Snapshot of the lake the run read: select … from bars at (version => snapshot_id).",
    ),
    Column("cutoff", DATE, "Last date this row may have seen."),
)

_LANDED = (
    Column("source", TEXT, "Who sent it: the file's own source column if it has one, else the source's name."),
    Column("fetched_at", TIME, "When it was fetched, UTC."),
    Column("batch_id", TEXT, "Batch it came in; see raw.batches."),
    Column("row", INTEGER, "Its place in the batch, from 1."),
)

_PRICES = (
    Column("open", REAL, "Opening price as traded; null for close-only data."),
    Column("high", REAL, "Highest price as traded; null for close-only data."),
    Column("low", REAL, "Lowest price as traded; null for close-only data."),
    Column("close", REAL, "Closing price as traded."),
)

_BARS = Table(
    "raw",
    "bars",
    "Bars exactly as a source sent them; append only.",
    ("batch_id", "row"),
    (
        Column("ticker", TEXT, "Ticker as the source spells it."),
        Column("date", DATE, "Session."),
        *_PRICES,
        Column(
            "adj_close",
            REAL,
            "Close adjusted for splits and dividends by the source; null where it sends none.",
        ),
        Column("volume", REAL, "Shares traded; null where the source sends none."),
        *_LANDED,
    ),
)

_ACTIONS = Table(
    "raw",
    "actions",
    "Dividends and splits exactly as a source sent them; append only.",
    ("batch_id", "row"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Ex-date: the first session that trades without the dividend, or after the split."),
        Column("kind", TEXT, "'dividend' or 'split'."),
        Column("value", REAL, "Dividend in currency a share, or new shares for an old one."),
        *_LANDED,
    ),
)

_BATCHES = Table(
    "raw",
    "batches",
    "One delivery of bars: a fetch, or an imported file.",
    ("batch_id",),
    (
        Column("batch_id", TEXT, "Batch."),
        Column("run_id", TEXT, "Run that landed it; see runs."),
        Column("origin", TEXT, "Source it came through: sample, files, …"),
        Column("path", TEXT, "File it was read from; null for a fetch."),
        Column("fingerprint", TEXT, "Hash of the content, by which a second import of the same file is known."),
        Column("bars", INTEGER, "Bars that landed."),
        Column("actions", INTEGER, "Dividends and splits that landed."),
        Column("tickers", INTEGER, "Distinct tickers among them."),
        Column("first_date", DATE, "First date among the bars."),
        Column("last_date", DATE, "Last date among the bars."),
        Column("landed_at", TIME, "When it landed, UTC."),
    ),
)

_CLEAN = Table(
    "main",
    "bars",
    "The chosen clean bar of a ticker on a date, as traded, with its adjustment factor. Adjusted: view adjusted_bars.",
    ("ticker", "date"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session."),
        *_PRICES,
        Column("volume", REAL, "Shares traded; null where unknown."),
        Column("adj_factor", REAL, "Total-return factor: adjusted price = price as traded × adj_factor."),
        *_LANDED,
        *_STAMP,
    ),
)

_QUARANTINE = Table(
    "main",
    "quarantine",
    "A refused row, the rule that refused it, and the row itself.",
    ("batch_id", "row"),
    (
        Column("batch_id", TEXT, "Batch the row landed in."),
        Column("row", INTEGER, "Its place in the batch, from 1."),
        Column("ticker", TEXT, "Ticker, if the row has one."),
        Column("date", DATE, "Date, if the row has one."),
        Column("rule", TEXT, "The rules it broke, comma-separated; see docs/quality.md."),
        Column("original", TEXT, "The row as it landed, as JSON."),
        *_STAMP,
    ),
)

_FLAGS = Table(
    "main",
    "bar_flags",
    "A doubt about a bar that was kept: a jump, a stale run, a gap.",
    ("ticker", "date", "rule"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session it is about; for a gap, the first session after it."),
        Column("rule", TEXT, "'jump', 'stale' or 'gap'."),
        Column("value", REAL, "Jump: the return; stale: sessions without a move; gap: sessions missing."),
        Column("detail", TEXT, "The same in words."),
        *_STAMP,
    ),
)

_RECONCILIATION = Table(
    "main",
    "reconciliation",
    "Where every row of a batch went: landed = inserted + updated + unchanged + quarantined.",
    ("batch_id",),
    (
        Column("batch_id", TEXT, "Batch."),
        Column("landed", INTEGER, "Bars in raw.bars."),
        Column("inserted", INTEGER, "New in bars."),
        Column("updated", INTEGER, "Replaced a bar that said otherwise."),
        Column("unchanged", INTEGER, "Said what bars already said."),
        Column("quarantined", INTEGER, "Refused; see quarantine."),
        *_STAMP,
    ),
)

_RESTATEMENTS = Table(
    "main",
    "restatements",
    "A field of a past bar that its source rewrote.",
    ("ticker", "date", "field", "seen_at"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session."),
        Column(
            "field",
            TEXT,
            "open, high, low, close or volume. Factors restate with each dividend and are not listed.",
        ),
        Column("old_value", REAL, "What bars said."),
        Column("new_value", REAL, "What it says now."),
        Column("first_seen", TIME, "When the old value was fetched, UTC."),
        Column("seen_at", TIME, "When the new value was fetched, UTC."),
        Column("old_batch_id", TEXT, "Batch of the old value."),
        Column("new_batch_id", TEXT, "Batch of the new value."),
        *_STAMP,
    ),
)

_FEATURES = Table(
    "main",
    "features",
    "Features of a ticker on a date, from adjusted bars up to that date. Scale-free; sigmas are per day.",
    ("ticker", "date"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Session."),
        Column("log_return", REAL, "ln(adjusted close / the previous one)."),
        Column("volatility_5", REAL, "Standard deviation of the last 5 log returns."),
        Column("volatility_20", REAL, "Standard deviation of the last 20 log returns."),
        Column("volatility_60", REAL, "Standard deviation of the last 60 log returns."),
        Column(
            "ewm_volatility",
            REAL,
            "Root of the exponentially weighted squared returns, λ = 0.94 (RiskMetrics).",
        ),
        Column("parkinson_20", REAL, "Parkinson (1980) volatility from high and low, 20 sessions."),
        Column("garman_klass_20", REAL, "Garman-Klass (1980) volatility from OHLC, 20 sessions."),
        Column("yang_zhang_20", REAL, "Yang-Zhang (2000) volatility with overnight gaps, 20 sessions."),
        Column("momentum_5", REAL, "Log return over 5 sessions."),
        Column("momentum_20", REAL, "Log return over 20 sessions."),
        Column("momentum_60", REAL, "Log return over 60 sessions."),
        Column("momentum_120", REAL, "Log return over 120 sessions."),
        Column("momentum_250", REAL, "Log return over 250 sessions."),
        Column("rsi_14", REAL, "Wilder's relative strength index, 14 sessions, 0 to 100."),
        Column("atr_14", REAL, "Wilder's average true range, 14 sessions, as a share of the close."),
        Column("macd", REAL, "12-session less 26-session exponential average, as a share of the close."),
        Column(
            "macd_signal",
            REAL,
            "9-session exponential average of the unscaled MACD, as a share of the close.",
        ),
        Column("macd_histogram", REAL, "macd − macd_signal."),
        Column("bollinger_position", REAL, "0 at the lower band, 1 at the upper: 20 sessions, 2 deviations."),
        Column("drawdown", REAL, "Adjusted close over its highest so far, less 1."),
        Column("drawdown_250", REAL, "Adjusted close over its highest of the last 250 sessions, less 1."),
        Column(
            "volume_zscore_20",
            REAL,
            "Log volume, as traded, against its last 20 sessions, in standard deviations; a split shows in it.",
        ),
        Column("day_of_week", INTEGER, "Monday 1 to Sunday 7."),
        Column("day_of_month", INTEGER, "1 to 31."),
        Column("month", INTEGER, "1 to 12."),
        Column("days_since_previous", INTEGER, "Calendar days since the ticker's previous bar."),
        *_STAMP,
    ),
)

_VOLATILITY = Table(
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
        *_STAMP,
    ),
)

_ERRORS = "Robust standard error of"

_VOLATILITY_FITS = Table(
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
        *_STAMP,
    ),
)

_FORECASTS = Table(
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
        *_STAMP,
    ),
)

_WEIGHTS = Table(
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
        *_STAMP,
    ),
)

_EXCLUSIONS = Table(
    "main",
    "exclusions",
    "A ticker that a stage could not serve, or served in a lesser way, and why.",
    ("run_id", "stage", "ticker", "reason", "cutoff"),
    (
        Column("stage", TEXT, "Stage of the pipeline."),
        Column("ticker", TEXT, "Ticker."),
        Column("reason", TEXT, "Short name of the reason."),
        Column("detail", TEXT, "The reason in words, with its numbers."),
        *_STAMP,
    ),
)

_SIGNALS = Table(
    "main",
    "signals",
    "A decision about a ticker, with the numbers it came from.",
    ("run_id", "ticker"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("action", TEXT, "BUY, SELL or HOLD."),
        Column("origin_date", DATE, "Date of the last bar used."),
        Column("target_date", DATE, "End of the horizon."),
        Column("horizon", INTEGER, "Sessions from the origin to the target date."),
        Column("close", REAL, "Close as traded on the origin date."),
        Column("expected_return", REAL, "Median simple return over the horizon, before costs."),
        Column("lower", REAL, "Lower end of the interval of that return."),
        Column("upper", REAL, "Upper end of the interval of that return."),
        Column("interval_level", REAL, "Level of the interval."),
        Column("probability_gain", REAL, "Probability that a long position gains more than the round trip costs."),
        Column(
            "probability_loss",
            REAL,
            "Probability that a short position gains more than the round trip costs.",
        ),
        Column(
            "confidence",
            REAL,
            "Probability of the action taken; for HOLD, of neither gain nor loss beyond costs.",
        ),
        Column("size", REAL, "Suggested position as a share of equity; negative is short."),
        Column(
            "stop",
            REAL,
            "Price to give up at; null for HOLD, and where the quantile is on the wrong side of the close.",
        ),
        Column("target", REAL, "Price to take profit at; null likewise."),
        Column("source", TEXT, "Model whose forecast was read."),
        Column("reasons", TEXT, "The values that decided, as JSON."),
        Column("provenance", TEXT, "The runs, snapshot and batches the values came from, as JSON."),
        *_STAMP,
    ),
)

_POLICIES = Table(
    "main",
    "policies",
    "A policy by which mssa_cp picks rank and window (a contextual bandit), and how it was judged on later data.",
    ("policy_id",),
    (
        Column("policy_id", TEXT, "Policy; sorts by time."),
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

_RUNS = Table(
    "main",
    "runs",
    "One run of the pipeline, or one import.",
    ("run_id",),
    (
        Column("run_id", TEXT, "Run; sorts by time."),
        Column("kind", TEXT, "'run', 'import' or 'evaluate'."),
        Column("status", TEXT, "'running', 'done', 'failed' or 'abandoned'."),
        Column("started_at", TIME, "UTC."),
        Column("finished_at", TIME, "UTC; null while running."),
        Column("source", TEXT, "Source of the bars."),
        Column("tickers", TEXT, "Tickers asked for, comma-separated; null for all."),
        Column("as_of", DATE, "The day taken for today; the cutoff of what was derived."),
        Column("attempts", INTEGER, "1, and one more for each time it was resumed."),
        Column("version", TEXT, "Version of Portfolio Maximizer."),
        Column("settings", TEXT, "Every setting, as JSON."),
        Column("error", TEXT, "What failed; null if nothing did."),
    ),
)

_EVENTS = Table(
    "main",
    "stage_events",
    "A stage of a run: what it read, what it wrote, how long and how much memory it took.",
    ("run_id", "stage", "attempt"),
    (
        Column("run_id", TEXT, "Run."),
        Column("stage", TEXT, "Stage."),
        Column("attempt", INTEGER, "The run's attempt this belongs to."),
        Column("status", TEXT, "'done', 'skipped' (nothing it reads has changed) or 'failed'."),
        Column("started_at", TIME, "UTC."),
        Column("finished_at", TIME, "UTC."),
        Column("seconds", REAL, "Wall time."),
        Column("rows", INTEGER, "Rows written."),
        Column("peak_memory_mb", REAL, "Highest resident memory of the process and its workers, in MiB."),
        Column("snapshot_id", INTEGER, "Snapshot of the lake it read."),
        Column("fingerprint", TEXT, "Hash of all it depends on: tables, settings, code, what it was asked."),
        Column("recipe", TEXT, "Hash of its settings and code alone."),
        Column(
            "output_run_id",
            TEXT,
            "Run whose rows stand as this stage's result: its own, or that of an equal one.",
        ),
        Column("summary", TEXT, "One line of what came out."),
        Column("error", TEXT, "What failed; null if nothing did."),
    ),
)

_DICTIONARY = Table(
    "main",
    "dictionary",
    "What every column of every table and view means. DuckLake has no comments on a view's columns; this has.",
    ("table_name", "column_name"),
    (
        Column("table_name", TEXT, "Table or view, with its schema unless that is main."),
        Column("kind", TEXT, "'table' or 'view'."),
        Column("position", INTEGER, "The column's place, from 1."),
        Column("column_name", TEXT, "Column."),
        Column("type", TEXT, "SQL type."),
        Column("comment", TEXT, "Meaning."),
    ),
)

TABLES: dict[str, Table] = {
    item.qualified: item
    for item in (
        _BARS,
        _ACTIONS,
        _BATCHES,
        _CLEAN,
        _QUARANTINE,
        _FLAGS,
        _RECONCILIATION,
        _RESTATEMENTS,
        _FEATURES,
        _VOLATILITY,
        _VOLATILITY_FITS,
        _FORECASTS,
        _WEIGHTS,
        _EXCLUSIONS,
        _SIGNALS,
        _POLICIES,
        _RUNS,
        _EVENTS,
        _DICTIONARY,
    )
}


def table(name: str) -> Table:
    """Give a table by its name as SQL writes it: 'raw.bars', 'forecasts'."""
    return TABLES[name]
