"""Show how it went: the nights really run, the accounts beside 1/N, and whether what was said came true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.number_format import integer, percent
from pm.plural import plural
from pm.report.charts import Line, Share, calibration_chart, line_chart
from pm.report.frames import Row, held_risk, rows_of
from pm.report.proof import PROOF_WORDS
from pm.report.returns import ReturnSeries, describe

if TYPE_CHECKING:
    from pm.report.data import Record, ReportData

__all__ = ["benchmarks", "record"]

_NIGHTS = 15
"""Number of nights in the table."""
_MIN_RETURNS = 2
"""Minimum number of daily returns of an account that is shown: one is no record."""


def record(data: ReportData, limit: int) -> Row:
    """Return what the section on the record shows; `is_there` is false if nothing has an outcome yet."""
    trials = _trials(data)
    found: Row = {"trials": trials[:limit], "trials_total": len(trials), "sources": _SOURCES, "nights_total": 0}
    if data.record is None:
        shown = ("accounts", "nights", "intervals", "probabilities", "losses", "backtests", "tests")
        return dict.fromkeys(shown, ()) | found | {"is_there": bool(trials)}
    kept = data.record
    held = held_risk(data).select("portfolio")
    nights = kept.nights.sort("night", descending=True)
    found |= {
        "accounts": _accounts(data, kept),
        "nights": rows_of(nights.head(_NIGHTS)),
        "nights_total": nights.height,
        "resolved": int(nights["resolved"].sum()),
        "due": nights["due"].min(),
        "intervals": _intervals(kept.coverage),
        "probabilities": _probabilities(kept.reliability),
        "scores": rows_of(kept.calibration.sort("event")),
        "losses": _losses(kept.risk_outcomes.join(held, on="portfolio", how="semi")),
        "backtests": rows_of(kept.risk_backtest.sort("portfolio", "horizon", "level").head(limit)),
        "tests": rows_of(kept.validations.sort("subject", "measure", "part")),
    }
    return found | {"is_there": True}


def benchmarks(equal: pl.DataFrame, closes: pl.DataFrame, name: str) -> list[ReturnSeries]:
    """Return equal weights, and the ticker that the settings compare with if there is one.

    Parameters
    ----------
    equal
        View `equal_weights`.
    closes
        date, close: adjusted closes of the benchmark; empty if it is no ticker.
    name
        Setting `validation.benchmark`.
    """
    found = [ReturnSeries.from_frame("1/N", equal)]
    if not closes.is_empty():
        found.append(ReturnSeries.from_closes(name, closes))
    return [one for one in found if one.dates]


def _accounts(data: ReportData, kept: Record) -> list[Row]:
    if data.books is None:
        return []
    others = benchmarks(kept.equal, kept.benchmark, data.benchmark_name)
    found = []
    for account in data.books.accounts.sort("account")["account"]:
        own = data.books.equity.filter(account=account)
        series = ReturnSeries.from_frame(str(account), own)
        if len(series.returns) >= _MIN_RETURNS and own["equity"].n_unique() > 1:
            found.append(describe(series, others))
    return found


def _intervals(own: pl.DataFrame) -> list[Row]:
    """Return a chart of the coverage of intervals for the shortest and the longest step that have outcomes."""
    steps = own["step"].unique().sort().to_list()
    found = []
    for step in dict.fromkeys([*steps[:1], *steps[-1:]]):
        rows = own.filter(step=step).sort("level").to_dicts()
        shares = [Share(row["level"], row["coverage"], row["lower"], row["upper"]) for row in rows]
        told = "; ".join(f"{percent(row['level'], 0)} interval: {percent(row['coverage'])}" for row in rows)
        ahead = plural(step, "session")
        title = f"Share of closes inside the intervals of forecasts {ahead} ahead"
        found.append(
            {
                "title": f"Intervals, {ahead} ahead",
                "chart": calibration_chart(shares, title=title, description=told),
                "told": told,
                "forecasts": rows[0]["forecasts"],
            }
        )
    return found


def _probabilities(own: pl.DataFrame) -> list[Row]:
    """Return a chart of what the probabilities of a gain and of a loss were worth."""
    found = []
    for event in ("gain", "loss"):
        rows = own.filter(event=event).sort("probability").to_dicts()
        if not rows:
            continue
        shares = [Share(row["probability"], row["came_true"], weight=row["signals"]) for row in rows]
        signals = sum(row["signals"] for row in rows)
        said = sum(row["signals"] * row["probability"] for row in rows) / signals
        happened = sum(row["signals"] * row["came_true"] for row in rows) / signals
        told = f"said {percent(said)} on average, happened {percent(happened)}"
        title = f"How often a {event} happened, by the probability that was said"
        chart = calibration_chart(shares, title=title, description=told)
        found.append({"title": f"P({event})", "chart": chart, "told": told, "signals": signals})
    return found


def _losses(outcomes: pl.DataFrame) -> list[Row]:
    """Return for each portfolio a chart of the losses over the shortest horizon beside the value at risk."""
    if outcomes.is_empty():
        return []
    own = outcomes.filter(pl.col("horizon") == pl.col("horizon").min(), pl.col("level") == pl.col("level").max())
    found = []
    for (portfolio,), part in own.partition_by("portfolio", as_dict=True, maintain_order=True).items():
        rows = part.sort("outcome_date")
        if rows.height < 2:
            continue
        exceeded, level = int(rows["exceeded"].sum()), rows["level"][0]
        dates = rows["outcome_date"].to_list()
        told = (
            f"{integer(exceeded)} of {plural(rows.height, 'loss', 'losses')} exceeded the value at risk; "
            f"{(1 - level) * rows.height:.1f} are expected at {percent(level)}."
        )
        chart = line_chart(
            [
                Line(dates, (-rows["loss"]).to_list(), "ink"),
                Line(dates, (-rows["var"]).to_list(), "loss"),
            ],
            title=f"Returns of {portfolio} over {plural(rows['horizon'][0], 'session')} and the value at risk",
            description=told,
            percent=True,
            height=150,
            level=0.0,
        )
        found.append({"portfolio": portfolio, "chart": chart, "told": told, "level": level})
    return sorted(found, key=lambda row: str(row["portfolio"]))


def _trials(data: ReportData) -> list[Row]:
    """Return the trials, newest first, with their verdict in words."""
    rows = rows_of(data.trials.sort("started_at", "trial_id", descending=True))
    return [row | {"word": PROOF_WORDS.get(row["verdict"] or "", "not judged")} for row in rows]


_SOURCES = (
    ("Nights really run", "SELECT * FROM night_scores ORDER BY night DESC"),
    ("Accounts by day", "SELECT * FROM drawdowns ORDER BY account, date DESC"),
    ("Equal weights (1/N)", "SELECT * FROM equal_weights ORDER BY date DESC"),
    (
        "Coverage of intervals",
        "SELECT * FROM interval_coverage WHERE basis = 'runs' AND model = 'ensemble' AND slice = 'all'",
    ),
    ("Probabilities", "SELECT * FROM reliability WHERE basis = 'runs' AND slice = 'all'"),
    ("Scores of probabilities", "SELECT * FROM signal_calibration WHERE basis = 'runs'"),
    ("Losses beside the value at risk", "SELECT * FROM risk_outcomes WHERE basis = 'runs' AND method = 'joint'"),
    ("Tests of the value at risk", "SELECT * FROM risk_backtest WHERE basis = 'runs' AND method = 'joint'"),
    ("Tests of the newest night", "SELECT * FROM validations WHERE run_id = (SELECT max(run_id) FROM validations)"),
    ("Trials", "SELECT * FROM trial_verdicts"),
)
