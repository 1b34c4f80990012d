"""What each page shows: rows of tables and views, read from one snapshot of the lake."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.age import age
from pm.clock import utc_today
from pm.errors import InputError, NoResultsError, UnknownTickerError
from pm.pipeline.health import data_health
from pm.report.charts import Line, line_chart, sparkline
from pm.report.tickers import TickerFrames, price_chart
from pm.serve import columns
from pm.serve.tables import ROWS, table
from pm.signals import centred_quantiles

if TYPE_CHECKING:
    from pathlib import Path

    from markupsafe import Markup

    from pm.lake import Lake
    from pm.reader import Reader

__all__ = [
    "data_page",
    "index_page",
    "portfolio_page",
    "report_file",
    "reports_of",
    "run_page",
    "runs_page",
    "ticker_page",
    "tickers_page",
    "track_page",
    "trials_page",
]

Values = dict[str, Any]

_SESSIONS = 250
"""Number of past sessions in a ticker's charts."""
_SPARK = 60
"""Number of sessions in a sparkline."""
_REPORT = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")

_CLOSES = """
SELECT date, close / last_value(adj_factor) OVER everything AS close
FROM adjusted_bars
WHERE ticker = ?
WINDOW everything AS (ORDER BY date ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
QUALIFY row_number() OVER (ORDER BY date DESC) <= ?
ORDER BY date
"""
_SPARKS = """
SELECT ticker, list(close ORDER BY date) AS closes
FROM (FROM adjusted_bars QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY date DESC) <= {count})
GROUP BY ticker
"""


def index_page(reader: Reader, lake: Lake) -> Values:
    """Return the newest run with its signals, the newest checks, and the reports that are there."""
    signals = lake.select("latest_signals").sort("ticker")
    newest = _first(lake.select_rows("latest_run", columns=("run_id", "as_of", "scope", "finished_at")))
    checked = lake.scalar("SELECT max(checked_at) FROM health_checks")
    checks = lake.select_rows("health_checks", checked_at=checked) if checked is not None else []
    last_bar = lake.scalar("SELECT max(date) FROM bars")
    today = utc_today()
    return {
        "run": newest,
        "signals": signals.head(ROWS).to_dicts(),
        "counts": {action: signals.filter(action=action).height for action in ("BUY", "SELL", "HOLD")},
        "edges": lake.select("latest_weights", model="ensemble").filter(verdict="edge").height,
        "checks": checks,
        "checked_at": checked,
        "last_bar": last_bar,
        "age": age(last_bar, today) if last_bar is not None else None,
        "is_old": last_bar is not None and (today - last_bar).days > reader.settings.forecast.max_age_days,
        "accounts": lake.select_rows("latest_accounts", order=("account",)),
        "reports": reports_of(reader.workspace.reports),
    }


def reports_of(folder: Path) -> list[str]:
    """Return the runs that have a report, the newest first."""
    try:
        names = [file.stem for file in folder.glob("*.html") if _REPORT.fullmatch(file.stem)]
    except OSError:
        return []
    return sorted(names, reverse=True)[:60]


def report_file(folder: Path, run: str) -> Path:
    """Return the file of a report.

    Raises
    ------
    InputError
        The name is not that of a run, or there is no such report.
    """
    file = folder / f"{run}.html"
    if not _REPORT.fullmatch(run) or not file.is_file():
        raise InputError("There is no such report.", where="reports", hint="choose one from the first page")
    return file


def tickers_page(reader: Reader, lake: Lake) -> Values:
    """Return every ticker with its signal, how fresh its bars are, and a sparkline."""
    shown = ("ticker", "action", "close", "expected_return", "probability_gain")
    signals = lake.select("latest_signals", columns=shown)
    health = data_health(lake, reader.settings)
    joined = health.join(signals, on="ticker", how="left", maintain_order="left")
    rows = joined.head(ROWS).to_dicts()
    closes = dict(lake.query(_SPARKS.format(count=_SPARK)).iter_rows())
    for row in rows:
        row["spark"] = sparkline(closes.get(row["ticker"], []))
    return {"rows": rows, "total": joined.height}


def ticker_page(_: Reader, lake: Lake, ticker: str) -> Values:
    """Return what the lake knows of a ticker.

    Raises
    ------
    UnknownTickerError
        There are neither bars of it nor is it on the watch list.
    """
    health = lake.select_rows("data_health", ticker=ticker)
    if not health:
        known = lake.select("data_health", columns=("ticker",))["ticker"]
        raise UnknownTickerError.from_missing([ticker], known, where="view data_health")
    closes = lake.query(_CLOSES, (ticker, _SESSIONS))
    forecast = lake.select("latest_forecasts", ticker=ticker, model="ensemble").sort("step")
    forecast = forecast.with_columns(centred_quantiles())
    features = lake.query(
        "SELECT date, drawdown, ewm_volatility FROM features WHERE ticker = ? "
        "QUALIFY row_number() OVER (ORDER BY date DESC) <= ? ORDER BY date",
        (ticker, _SESSIONS),
    )
    outcomes = lake.select_rows(
        "signal_outcomes", ticker=ticker, basis="runs", order=("origin_date",), descending=("origin_date",), limit=20
    )
    return {
        "ticker": ticker,
        "health": health[0],
        "age": age(health[0]["last_date"], utc_today()) if health[0]["last_date"] else None,
        "signal": _first(lake.select_rows("latest_signals", ticker=ticker)),
        "words": _first(lake.select_rows("latest_commentary", ticker=ticker)),
        "concerns": lake.select_rows("latest_concerns", ticker=ticker),
        "weights": lake.select("latest_weights", ticker=ticker).sort("model").to_dicts(),
        "exclusions": lake.select_rows("latest_exclusions", ticker=ticker),
        "forecast": forecast.to_dicts(),
        "outcomes": outcomes,
        "chart": _price_chart(ticker, closes, forecast),
        "volatility": _feature_chart(features, "ewm_volatility", f"Volatility of {ticker} per year", 252**0.5),
        "drawdown": _feature_chart(features, "drawdown", f"Drawdown of {ticker}", 1.0),
    }


def _price_chart(ticker: str, closes: pl.DataFrame, forecast: pl.DataFrame) -> Markup:
    none = pl.DataFrame()
    return price_chart(ticker, TickerFrames(closes, none, forecast, none, none))


def _feature_chart(features: pl.DataFrame, column: str, label: str, scale: float) -> Markup:
    values = (features[column] * scale).to_list()
    return line_chart([Line(features["date"].to_list(), values, "ink")], title=label, percent=True, height=130)


def portfolio_page(_: Reader, lake: Lake) -> Values:
    """Return accounts, positions, open orders, equity and risk."""
    accounts = lake.select_rows("latest_accounts", order=("account",))
    equity = lake.select("drawdowns", order=("account", "date"))
    for account in accounts:
        own = equity.filter(account=account["account"])
        account["paid_in"] = own["flow"].sum()  # shares that were brought in, too
        account["chart"] = line_chart(
            [Line(own["date"].to_list(), own["equity"].cast(pl.Float64).to_list(), "ink")],
            title=f"Equity of {account['account']}",
        )
    risk = lake.select("latest_risk").filter(pl.col("method").is_in(["joint", "drawdown"]))
    return {
        "accounts": accounts,
        "tables": [
            table("Positions", "positions", lake.select("positions", order=("account", "ticker")), columns.POSITIONS),
            table(
                "Open orders", "open_orders", lake.select("open_orders", order=("account", "ticker")), columns.ORDERS
            ),
            table(
                "Targets of the newest run", "latest_targets", _targets(lake), columns.TARGETS, note=columns.OF_TARGETS
            ),
            table(
                "Risk of the newest run",
                "latest_risk",
                risk.sort("portfolio", "method", "horizon", "level", descending=[False, True, False, False]),
                columns.RISK,
                note=columns.OF_RISK,
            ),
        ],
        "halts": lake.select_rows("active_halts", order=("sequence",)),
    }


def _targets(lake: Lake) -> pl.DataFrame:
    """Return the targets of the newest run that are, or were, not zero."""
    targets = lake.select("latest_targets", order=("portfolio", "ticker"))
    return targets.filter((pl.col("weight").fill_null(0.0) != 0.0) | (pl.col("previous_weight").fill_null(0.0) != 0.0))


def track_page(_: Reader, lake: Lake) -> Values:
    """Return how past forecasts, signals and risk did: those of nights, and those of all evaluations."""
    bases = ["runs", "evaluations"]
    coverage = _shortest_and_longest(lake.select("interval_coverage", model="ensemble", basis=bases, slice="all"))
    models = _shortest_and_longest(lake.select("model_leaderboard", basis=bases, slice="all"))
    scores = lake.select("signal_scores", order=("basis", "action"), basis=bases, slice="all")
    risk = lake.select("risk_backtest", basis="runs", method="joint", order=("portfolio", "horizon", "level"))
    return {
        "tables": [
            table("Signals whose horizon is over", "signal_scores", scores, columns.SCORES, note=columns.OF_SCORES),
            table(
                "Coverage of intervals",
                "interval_coverage",
                coverage.sort("basis", "step", "level", descending=[True, False, False]),
                columns.COVERAGE,
                note=columns.OF_COVERAGE,
            ),
            table("Value at risk", "risk_backtest", risk, columns.BACKTESTS, note=columns.OF_BACKTESTS),
            table(
                "Models",
                "model_leaderboard",
                models.sort("basis", "step", "place", "model", descending=[True, False, False, False], nulls_last=True),
                columns.MODELS,
                note=columns.OF_MODELS,
            ),
        ]
    }


def _shortest_and_longest(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the shortest and of the longest step of each basis."""
    step = pl.col("step")
    return frame.filter((step == step.min().over("basis")) | (step == step.max().over("basis")))


def trials_page(_: Reader, lake: Lake) -> Values:
    """Return the trials with their verdicts, the newest first."""
    trials = lake.select("trial_verdicts", order=("started_at", "trial_id"), descending=("started_at", "trial_id"))
    return {
        "tables": [
            table("Trials and what they prove", "trial_verdicts", trials, columns.TRIALS, note=columns.OF_TRIALS)
        ]
    }


def data_page(reader: Reader, lake: Lake) -> Values:
    """Return how fresh the bars are, what was refused, and what stages left out."""
    health = data_health(lake, reader.settings)
    batches = lake.select("batch_accounts").sort("landed_at", descending=True)
    left_out = lake.select("latest_exclusions", order=("ticker", "stage", "reason"))
    refused, flags = lake.select("quarantine", limit=ROWS), lake.select("bar_flags", limit=ROWS)
    counted = {name: int(lake.scalar(f"SELECT count(*) FROM {name}") or 0) for name in ("quarantine", "bar_flags")}  # noqa: S608
    return {
        "tables": [
            table("Freshness of bars", "data_health", health, columns.HEALTH, note=columns.OF_HEALTH),
            table("Left out, or computed with less", "latest_exclusions", left_out, columns.EXCLUSIONS),
            table("Refused rows", "quarantine", refused, columns.REFUSED, total=counted["quarantine"]),
            table("Flagged bars", "bar_flags", flags, columns.FLAGS, note=columns.OF_FLAGS, total=counted["bar_flags"]),
            table("Batches", "batch_accounts", batches, columns.BATCHES),
        ]
    }


def runs_page(_: Reader, lake: Lake) -> Values:
    """Return the newest runs."""
    columns = ("run_id", "kind", "status", "started_at", "finished_at", "scope", "as_of", "error")
    order = ("started_at", "run_id")
    runs = lake.select("runs", columns=columns, order=order, descending=order, limit=200)
    return {"runs": runs.to_dicts()}


def run_page(reader: Reader, lake: Lake, run: str) -> Values:
    """Return a run and its stages.

    Raises
    ------
    NoResultsError
        There is no run of this name.
    """
    found = lake.select_rows("runs", run_id=run)
    if not found:
        raise NoResultsError("There is no such run.", where="table runs", hint="see the list of runs")
    columns = ("stage", "attempt", "status", "seconds", "rows", "peak_memory_mb", "output_run_id", "summary", "error")
    stages = lake.select("stage_events", columns=columns, order=("attempt", "finished_at"), run_id=run)
    return {
        "run": {name: value for name, value in found[0].items() if name != "settings"},
        "stages": stages,
        "has_report": (reader.workspace.reports / f"{run}.html").is_file(),
    }


def _first(rows: list[Values]) -> Values | None:
    return rows[0] if rows else None
