"""Stage `report`: one HTML file from what the stages before left in the lake."""

from __future__ import annotations

import filecmp
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from pm import __version__
from pm.clock import utc_today
from pm.errors import StorageError
from pm.open_files import delete, write_whole
from pm.pipeline.holdings import HELD_VIEWS, is_look
from pm.pipeline.request import Request
from pm.pipeline.run_scope import is_newest, run_scope
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stale import stale_tickers
from pm.pipeline.watch_list import WATCH_LIST_TABLES, run_day, run_tickers, scope, watch_list
from pm.pipeline.writes import Result
from pm.tables.commentary import COMMENTARY, COMMENTARY_CELLS, RISK_ASSESSMENTS, RISK_CONCERNS
from pm.tables.features import FEATURES
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.pipeline import EXCLUSIONS, RUNS, STAGE_EVENTS
from pm.tables.portfolio import TARGETS
from pm.tables.quality import BAR_FLAGS, QUARANTINE, RECONCILIATION, RESTATEMENTS
from pm.tables.risk import LIMIT_EVENTS, PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STAGES_WITH_LIMITS
from pm.tables.signals import SIGNALS
from pm.tables.track import VALIDATIONS
from pm.tables.validation import TRIAL_TESTS, TRIALS
from pm.tables.vocabulary import RiskMethod, RunScope
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    import polars as pl

    from pm.report import Before, Books, Record, ReportData
    from pm.tables.declaration import Table
    from pm.workspace import Workspace

__all__ = ["LATEST", "STAGE", "report_path"]

LATEST = "latest.html"
"""Name of the file that is a copy of the newest report of the whole watch list as of now."""

_REPORT_FILE = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}\.html")

_HISTORY = """
SELECT ticker, date, close / last_value(adj_factor) OVER everything AS close
FROM adjusted_bars
WHERE date <= ? AND ticker IN (SELECT unnest(?::VARCHAR[]))
WINDOW everything AS (
    PARTITION BY ticker ORDER BY date ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
)
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY date DESC) <= ?
ORDER BY ticker, date
"""

_QUALITY = "SELECT * FROM ticker_quality WHERE ticker IN (SELECT unnest(?::VARCHAR[])) ORDER BY ticker"

_TIMINGS = """
SELECT e.* FROM stage_events e
JOIN (SELECT unnest(?::VARCHAR[]) AS stage, unnest(?::VARCHAR[]) AS run_id) USING (stage, run_id)
WHERE status = 'done'
ORDER BY e.finished_at
"""

_BEFORE = """
SELECT b.run_id, b.as_of, b.started_at
FROM runs AS b
JOIN runs AS r ON r.run_id = ?
WHERE b.kind = 'run' AND b.status = 'done' AND b.scope = 'whole' AND b.run_id <> r.run_id
    AND b.started_at < r.started_at
ORDER BY b.started_at DESC, b.run_id DESC
LIMIT 1
"""
_BEFORE_ROWS = """
SELECT DISTINCT {columns} FROM {table} AS t
JOIN run_outputs AS o ON o.run_id = ? AND o.output_run_id = t.run_id AND list_contains(?, o.stage)
"""
_TRADES = "SELECT account, ticker, side, quantity, price, currency FROM fills WHERE recorded_at > ?"
_SINCE = """
SELECT
    (SELECT count(*) FROM bars WHERE date > ?) AS new_bars,
    (SELECT count(DISTINCT (ticker, date)) FROM restatements WHERE seen_at > ?) AS restated,
    (
        SELECT count(*) FROM quarantine
        WHERE rule <> 'other_source' AND batch_id IN (SELECT batch_id FROM raw.batches WHERE landed_at > ?)
    ) AS refused
"""
_PAST = """
SELECT o.ticker, o.step, o.origin_date, o.origin_close, o.outcome_date, f.q05, f.q25, f.q50, f.q75, f.q95
FROM scored_forecasts AS o
JOIN forecasts AS f USING (run_id, ticker, model, origin_date, target_date)
WHERE o.basis = 'runs' AND o.model = 'ensemble' AND o.ticker IN (SELECT unnest(?::VARCHAR[])) AND o.step IN (1, 5, ?)
"""
_BENCHMARK = "SELECT date, close FROM adjusted_bars WHERE ticker = ? AND date <= ? ORDER BY date"
_OUTCOMES = {
    "signal_outcomes": "FROM signal_outcomes WHERE basis = 'runs'",
    "scored_forecasts": """
        SELECT
            run_id, basis, ticker, model, step, origin_date, target_date, outcome_date, origin_close, regime,
            inside_50, inside_80, inside_90, inside_95, crps
        FROM scored_forecasts
        WHERE basis = 'runs' AND model IN ('ensemble', 'martingale')
    """,
    "risk_outcomes": "FROM risk_outcomes WHERE basis = 'runs' AND method = 'joint'",
}
"""Views that several of the queries below read, and what these read of them."""
_RECORD = {
    "equal": "SELECT date, daily_return FROM equal_weights",
    "nights": "FROM night_scores",
    "coverage": "FROM interval_coverage WHERE basis = 'runs' AND model = 'ensemble' AND slice = 'all'",
    "reliability": "FROM reliability WHERE basis = 'runs' AND slice = 'all'",
    "calibration": "FROM signal_calibration WHERE basis = 'runs' AND slice = 'all'",
    "risk_outcomes": "FROM risk_outcomes WHERE basis = 'runs' AND method = 'joint'",
    "risk_backtest": "FROM risk_backtest WHERE basis = 'runs' AND method = 'joint'",
    "validations": "FROM validations WHERE run_id = (SELECT max(run_id) FROM validations)",
}
"""Queries of what became of all nights."""
_EQUITY = {"equity": "FROM equity"}
"""View that several of the queries below read."""
_BOOKS = {
    "accounts": """
        SELECT e.account, a.broker, e.currency, e.cash, e.equity, e.date
        FROM equity AS e JOIN accounts AS a USING (account)
        QUALIFY row_number() OVER (PARTITION BY e.account ORDER BY e.date DESC) = 1
    """,
    "positions": "FROM positions",
    "orders": "FROM open_orders",
    "halts": "FROM active_halts",
    "payments": "FROM account_payments",
    "equity": "SELECT account, date, equity, flow, daily_return, growth, drawdown FROM drawdowns",
    "heads": "SELECT rows, head FROM audit_heads ORDER BY sequence DESC LIMIT 1",
}
"""Queries of what is about accounts."""


def report_path(workspace: Workspace, run_id: str) -> Path:
    """Return the path of a run's report, whether it is there or not."""
    return workspace.reports / f"{run_id}.html"


def _data(context: Context) -> ReportData:
    from pm.report import ReportData, card_tickers

    watched = watch_list(context)
    tickers = list(watched.tickers)
    sessions = context.settings.report.history_sessions
    started_at = context.rows("SELECT started_at FROM runs WHERE run_id = ?", [context.run_id])[0]["started_at"]
    features = context.read(
        FEATURES,
        "date <= ?",
        [watched.as_of],
        among={"ticker": tickers},
        columns=("ticker", "date", "drawdown", "volatility_20", "ewm_volatility"),
    )
    look = is_look(context)
    data = ReportData(
        run_id=context.run_id,
        as_of=watched.as_of,
        source=", ".join(sorted(set(watched.sources.values()))),
        snapshot_id=context.snapshot,
        version=__version__,
        started_at=started_at,
        scope=run_scope(context.known_rows, context.request),
        watched=len(run_tickers(context.known_rows, Request())),
        made_on=utc_today(),
        max_age_days=context.settings.forecast.max_age_days,
        signals=context.read_outputs(SIGNALS),
        forecasts=context.read_outputs(FORECASTS, "model = 'ensemble'"),
        volatility=context.read_outputs(VOLATILITY),
        weights=context.read_outputs(MODEL_WEIGHTS),
        history=context.query(_HISTORY, [watched.as_of, tickers, sessions]),
        features=features.group_by("ticker", maintain_order=True).tail(sessions),
        quality=context.query(_QUALITY, [tickers]),
        flags=context.read(BAR_FLAGS, "date <= ?", [watched.as_of], among={"ticker": tickers}),
        reconciliation=context.read(RECONCILIATION),
        exclusions=context.read_outputs(EXCLUSIONS),
        commentary=context.read_outputs(COMMENTARY),
        commentary_cells=context.read_outputs(COMMENTARY_CELLS),
        assessments=context.read_outputs(RISK_ASSESSMENTS),
        concerns=context.read_outputs(RISK_CONCERNS),
        targets=context.read_outputs(TARGETS),
        risk=context.read_outputs(PORTFOLIO_RISK, "method = ?", [RiskMethod.JOINT.value]),
        contributions=context.read_outputs(RISK_CONTRIBUTIONS),
        limit_events=context.read_outputs(LIMIT_EVENTS),
        trials=context.query("FROM trial_verdicts WHERE NOT ?", [look]),
        timings=context.query(_TIMINGS, [list(context.outputs), list(context.outputs.values())]),
        stale=_stale(context),
        books=None if look else _books(context),
        before=None if look else _before(context),
        benchmark_name=context.settings.validation.benchmark,
    )
    if data.before is None:
        return data
    cards = card_tickers(data, context.settings.report.max_charts)
    return replace(data, record=_record(context, data, cards))


def _books(context: Context) -> Books | None:
    """Return the accounts; None if there is none."""
    from pm.report import Books

    if not context.rows("SELECT account FROM accounts LIMIT 1"):
        return None
    with context.once(_EQUITY) as query:
        return Books(**{name: query(select, ()) for name, select in _BOOKS.items()})


def _record(context: Context, data: ReportData, cards: list[str]) -> Record:
    """Return what became of the nights, and of the forecasts of the tickers with cards."""
    from pm.report import Record

    with context.once(_OUTCOMES) as query:
        return Record(
            benchmark=query(_BENCHMARK, [data.benchmark_name, data.as_of]),
            past_forecasts=query(_PAST, [cards, data.forecasts["step"].max()]),
            **{name: query(select, ()) for name, select in _RECORD.items()},
        )


def _before(context: Context) -> Before | None:
    """Return what the whole run before this one said, and what has happened since."""
    from pm.report import Before

    found = context.rows(_BEFORE, [context.run_id])
    if not found:
        return None
    run_id, as_of, started_at = found[0]["run_id"], found[0]["as_of"], found[0]["started_at"]

    def rows(columns: str, table: Table, *stages: str) -> pl.DataFrame:
        return context.query(_BEFORE_ROWS.format(columns=columns, table=table.name), [run_id, list(stages)])

    (since,) = context.rows(_SINCE, [as_of, started_at, started_at])
    return Before(
        run_id=run_id,
        as_of=as_of,
        signals=rows("t.ticker, t.action", SIGNALS, "signals"),
        verdicts=rows("t.ticker, t.verdict", MODEL_WEIGHTS, "forecast"),
        limits=rows("t.portfolio, t.limit_name, t.subject", LIMIT_EVENTS, *STAGES_WITH_LIMITS),
        left_out=context.query(
            f"{_BEFORE_ROWS.format(columns='t.ticker', table='exclusions')} AND o.stage = t.stage",
            [run_id, list(context.outputs)],
        ),
        trades=context.query(_TRADES, [started_at]),
        **since,
    )


def _depends(context: Context) -> list[object]:
    stale = sorted(_stale(context))
    return [*scope(context), run_scope(context.known_rows, context.request).value, _is_old(context), stale, __version__]


def _compute(context: Context) -> Result:
    from pm.report import render_report

    path = report_path(context.workspace, context.run_id)
    html = render_report(_data(context), settings=context.settings.report)
    try:
        path.parent.mkdir(exist_ok=True)
        write_whole(path, html)
    except OSError as error:
        raise StorageError(
            f"The report cannot be written: {error.strerror}.",
            where=str(path),
            hint="free some space, or correct the folder's permissions",
        ) from error
    if _is_newest(context):
        try:
            write_whole(path.with_name(LATEST), html)
        except OSError as error:
            context.notify(f"report: {LATEST} stays as it was, since it cannot be replaced: {error.strerror}")
    _delete_old(context, path.parent)
    return Result([], f"{path.parent.name}/{path.name}")


def _is_newest(context: Context) -> bool:
    return is_newest(context.rows, run_scope(context.known_rows, context.request))


def _is_old(context: Context) -> bool:
    """Return whether the newest bar is too old for the present day, of which the report warns."""
    limit = utc_today() - timedelta(days=context.settings.forecast.max_age_days)
    newest = run_day(context.known_rows, context.request)
    return newest is not None and newest < limit


def _stale(context: Context) -> dict[str, date]:
    """Return the tickers whose vendors have no new bars, and the dates of their last ones."""
    request, limit = context.request, context.settings.forecast.max_age_days
    if run_scope(context.known_rows, request) is RunScope.PAST:
        return {}
    found = stale_tickers(context.known_rows, Request(request.source, request.tickers), max_age_days=limit)
    return {each.ticker: each.last_date for each in found}


def _is_intact(context: Context, run_id: str) -> bool:
    path = report_path(context.workspace, run_id)
    if not _is_newest(context):
        return path.is_file()
    latest = path.with_name(LATEST)
    # It can be an older report: another program had it open when it was to be replaced.
    return path.is_file() and latest.is_file() and filecmp.cmp(path, latest, shallow=False)


def _delete_old(context: Context, folder: Path) -> None:
    """Delete all but the newest reports; their numbers stay in the lake. One that cannot be deleted is told."""
    reports = [file for file in folder.glob("*.html") if _REPORT_FILE.fullmatch(file.name)]
    # By time, not by name: a resumed run is named after the time it first began.
    reports.sort(key=lambda file: (file.stat().st_mtime_ns, file.name))
    for file in reports[: -context.settings.report.keep]:
        try:
            delete(file)
        except OSError as error:
            context.notify(f"report: the old report {file.name} cannot be deleted: {error.strerror}")


_VIEWS = (
    *("adjusted_bars", "ticker_quality", "open_orders", "active_halts", "account_payments"),
    *("realised_gains", "equal_weights", "returns", "run_outputs", "run_basis", "night_scores", "signal_events"),
    *("scored_signals", "signal_outcomes", "signal_results", "scored_forecasts", "forecast_outcomes", "discoveries"),
    *("interval_coverage", "reliability", "signal_calibration", "risk_outcomes", "risk_backtest", "trial_verdicts"),
    *HELD_VIEWS,
)

STAGE = Stage(
    "report",
    _compute,
    reads=(
        *WATCH_LIST_TABLES,
        FEATURES,
        BAR_FLAGS,
        RECONCILIATION,
        QUARANTINE,
        SIGNALS,
        FORECASTS,
        VOLATILITY,
        MODEL_WEIGHTS,
        EXCLUSIONS,
        COMMENTARY,
        COMMENTARY_CELLS,
        RISK_ASSESSMENTS,
        RISK_CONCERNS,
        TARGETS,
        PORTFOLIO_RISK,
        RISK_CONTRIBUTIONS,
        LIMIT_EVENTS,
        RESTATEMENTS,
        TRIALS,
        TRIAL_TESTS,
        *CHAINED_TABLES,
        RUNS,
        STAGE_EVENTS,
    ),
    # New judgements come with new bars only, which make the report anew; validate comes before in RUN_STAGES.
    past=(VALIDATIONS,),
    views=_VIEWS,
    sections=("report", "forecast.max_age_days", "validation.benchmark"),
    depends=_depends,
    is_intact=_is_intact,
)
"""Write the report of the run, and a copy of it as latest.html unless it is a look at a part or at the past."""
