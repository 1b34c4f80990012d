"""The data of a report: the frames of one run, which the stage reads from the lake."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    import polars as pl

    from pm.tables.vocabulary import RunScope

__all__ = ["Before", "Books", "Record", "ReportData"]


@dataclass(frozen=True)
class Before:
    """What the newest whole run before this one said, and what has happened since.

    Attributes
    ----------
    run_id, as_of
        That run, and the day it took for today.
    signals
        ticker, action: of its rows in table `signals`.
    verdicts
        ticker, verdict: of its rows in table `model_weights`.
    limits
        portfolio, limit_name, subject: of its rows in table `limit_events`.
    left_out
        ticker: of its rows in table `exclusions`, each once.
    trades
        Rows of table `fills` that were recorded since: account, ticker, side, quantity, price, currency.
    new_bars, restated, refused
        Number of new bars, of restated bars, and of refused rows since.
    """

    run_id: str
    as_of: date
    signals: pl.DataFrame
    verdicts: pl.DataFrame
    limits: pl.DataFrame
    left_out: pl.DataFrame
    trades: pl.DataFrame
    new_bars: int
    restated: int
    refused: int


@dataclass(frozen=True)
class Books:
    """The accounts, of which there is at least one.

    Attributes
    ----------
    accounts
        The accounts on their newest day: account, broker, currency, cash, equity (null if it is not known), date.
    positions, orders, halts
        Views `positions`, `open_orders` and `active_halts`.
    payments
        View `account_payments`: deposits, realised_gain, dividends and commissions of each account.
    equity
        View `drawdowns`: account, date, equity, flow, daily_return, growth, drawdown.
    heads
        The newest row of table `audit_heads`: rows, head.
    """

    accounts: pl.DataFrame
    positions: pl.DataFrame
    orders: pl.DataFrame
    halts: pl.DataFrame
    payments: pl.DataFrame
    equity: pl.DataFrame
    heads: pl.DataFrame


@dataclass(frozen=True)
class Record:
    """What became of the nights that were really run.

    Attributes
    ----------
    equal
        View `equal_weights`: date, daily_return.
    benchmark
        date, close: adjusted closes of the ticker of setting `validation.benchmark`; empty for 'equal' and 'cash'.
    nights
        View `night_scores`.
    past_forecasts
        Earlier forecasts whose outcome is known: ticker, step, origin_date, origin_close, outcome_date, and q05, q25,
        q50, q75 and q95 as they were; of the tickers with cards.
    coverage, reliability, calibration
        Views `interval_coverage` (model ensemble), `reliability` and `signal_calibration`: all slices together.
    risk_outcomes, risk_backtest
        Views of these names: method 'joint'.
    validations
        Table `validations`: the newest judgement.
    """

    equal: pl.DataFrame
    benchmark: pl.DataFrame
    nights: pl.DataFrame
    past_forecasts: pl.DataFrame
    coverage: pl.DataFrame
    reliability: pl.DataFrame
    calibration: pl.DataFrame
    risk_outcomes: pl.DataFrame
    risk_backtest: pl.DataFrame
    validations: pl.DataFrame


@dataclass(frozen=True)
class ReportData:
    """The frames of a run, as the lake's tables hold them, and the description of the run.

    Other columns than those named are ignored, rows may be in any order, and any frame may be empty. Columns have the
    meaning that `pm.tables` declares.

    Attributes
    ----------
    run_id, as_of, source, snapshot_id, version, started_at
        Description of the run: its identifier, the date up to which it used bars, the source of the bars, the snapshot
        of the lake it read, the version of Portfolio Maximizer, and its start (UTC).
    scope
        Whether the run is about the whole watch list as of now, a part of it, or the past.
    books
        The accounts; None if there is none, and for a look.
    before
        The whole run before; None if there is none, and for a look.
    record
        What became of earlier nights; None where `before` is.
    benchmark_name
        Setting `validation.benchmark`.
    watched
        Number of tickers on the watch list that have bars.
    made_on, max_age_days
        Present day on which the report is made (UTC), and the age of the newest bar, in days, from which it warns.
    stale
        Tickers whose bars a vendor is to send and whose last bar is older than that, and the date of this bar.
    signals
        Table `signals`, one row per ticker.
    forecasts
        Table `forecasts`, the rows of the model that the signals read (the ensemble).
    volatility
        Table `volatility`: ticker, step, model, sigma. The dates of its steps are those of `forecasts`.
    weights
        Table `model_weights`: ticker, model, weight, verdict, relative_rmse, reason.
    history
        ticker, date, close: the adjusted close, scaled so that each ticker's last one is as traded, as in its forecast.
        The charts show the newest `history_sessions` of them.
    features
        Table `features`: ticker, date, drawdown, volatility_20, ewm_volatility.
    quality
        One row per ticker: ticker, bars (number of clean bars), first_date, last_date, quarantined (number of rows
        refused), flagged (number of flags on bars that were kept).
    flags
        Table `bar_flags`: ticker, date, rule, value, detail.
    reconciliation
        Table `reconciliation`: landed, inserted, updated, unchanged, quarantined; one row per batch.
    exclusions
        Table `exclusions`: stage, ticker, reason, detail.
    commentary, commentary_cells, assessments, concerns
        Tables `commentary`, `commentary_cells`, `risk_assessments` and `risk_concerns`.
    targets, risk, limit_events
        Tables `targets`, `portfolio_risk` (the rows of method 'joint') and `limit_events`.
    contributions
        Table `risk_contributions`: portfolio, ticker, horizon, level, component_es.
    trials
        View `trial_verdicts`.
    timings
        Table `stage_events`: stage, status, seconds, rows, peak_memory_mb; in the order the stages ran.
    """

    run_id: str
    as_of: date
    source: str
    snapshot_id: int
    version: str
    started_at: datetime
    scope: RunScope
    watched: int
    made_on: date
    max_age_days: int
    signals: pl.DataFrame
    forecasts: pl.DataFrame
    volatility: pl.DataFrame
    weights: pl.DataFrame
    history: pl.DataFrame
    features: pl.DataFrame
    quality: pl.DataFrame
    flags: pl.DataFrame
    reconciliation: pl.DataFrame
    exclusions: pl.DataFrame
    commentary: pl.DataFrame
    commentary_cells: pl.DataFrame
    assessments: pl.DataFrame
    concerns: pl.DataFrame
    targets: pl.DataFrame
    risk: pl.DataFrame
    contributions: pl.DataFrame
    limit_events: pl.DataFrame
    trials: pl.DataFrame
    timings: pl.DataFrame
    stale: Mapping[str, date] = field(default_factory=dict)
    books: Books | None = None
    before: Before | None = None
    record: Record | None = None
    benchmark_name: str = "equal"
