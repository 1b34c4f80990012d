"""Stage `validate`: what signals, forecasts, edges, risk and accounts of the nights really run were worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.pipeline.stage import Context, Stage
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.ledger import ACCOUNTS, CASH_EVENTS, FILLS
from pm.tables.pipeline import RUNS, STAGE_EVENTS
from pm.tables.quality import BARS
from pm.tables.risk import PORTFOLIO_RISK, RISK_CONTRIBUTIONS
from pm.tables.signals import SIGNALS
from pm.tables.sources import UNIVERSE
from pm.tables.track import VALIDATIONS
from pm.tables.vocabulary import Judgement
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from datetime import date

    from pm.validation.nightly import Finding

__all__ = ["STAGE"]

_NEWEST = "SELECT max(date) AS day FROM bars"
_LAST = "SELECT max(cutoff) AS day FROM validations"
_DUE_SINCE = """
SELECT count_if(target_date <= ?) AS resolved, min(target_date) FILTER (target_date > ?) AS due
FROM forecasts
JOIN run_basis USING (run_id)
WHERE basis = 'runs' AND model = 'ensemble' AND target_date > ?
"""
_DUE = """
SELECT
    (
        SELECT min(target_date) FROM signals JOIN run_basis USING (run_id) WHERE basis = 'runs' AND target_date > ?
    ) AS signals,
    (
        SELECT min(target_date) FROM forecasts JOIN run_basis USING (run_id)
        WHERE basis = 'runs' AND model = 'ensemble' AND target_date > ?
    ) AS forecasts
"""
_EVENTS = """
SELECT
    event,
    CASE WHEN GROUPING(action) = 0 THEN action ELSE '' END AS part,
    origin_date AS origin,
    max(known) AS known,
    count(*) AS outcomes,
    avg(happened) AS value,
    avg(probability) AS reference
FROM signal_events
WHERE basis = 'runs'
GROUP BY GROUPING SETS ((event, origin_date), (event, origin_date, action))
"""
_FOLLOWED = """
SELECT
    origin_date AS origin,
    max(last_date) AS known,
    count(*) AS outcomes,
    avg(net_result) AS value,
    0.0::DOUBLE AS reference
FROM (
    FROM signal_results
    WHERE basis = 'runs' AND complete AND net_result IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY ticker, origin_date ORDER BY run_id) = 1
)
GROUP BY origin_date
"""
_FORECASTS = """
WITH counted AS (FROM scored_forecasts WHERE basis = 'runs' AND model IN ('ensemble', 'martingale')),
last_steps AS (SELECT run_id, max(step) AS step FROM forecasts WHERE model = 'ensemble' GROUP BY run_id)
SELECT
    e.step,
    e.cutoff AS origin,
    bool_or(e.step = l.step) AS is_last,
    max(e.outcome_date) AS known,
    count(*) AS outcomes,
    avg(e.inside_90::INTEGER) AS inside,
    avg(e.crps) AS crps,
    avg(b.crps) AS base_crps,
    avg((b.crps - e.crps) / nullif(b.sigma, 0)) AS gain,
    -- The middle, in probability, of the two neighbouring quantiles that the outcome is between.
    avg(list_extract(?, e.quantiles_below + 1)) AS pit,
    avg((list_extract(?, e.quantiles_below + 1) - 0.5) ** 2) AS pit_square
FROM (FROM counted WHERE model = 'ensemble') AS e
JOIN (FROM counted WHERE model = 'martingale') AS b
    ON b.run_id = e.run_id AND b.ticker = e.ticker AND b.origin_date = e.origin_date AND b.step = e.step
JOIN last_steps AS l ON l.run_id = e.run_id
GROUP BY e.step, e.cutoff
"""
_EDGES = """
WITH last_steps AS (SELECT run_id, max(step) AS step FROM forecasts WHERE model = 'ensemble' GROUP BY run_id)
SELECT f.cutoff AS origin, max(f.outcome_date) AS known, count(*) AS outcomes,
    avg((f.actual_log_return ** 2 - f.error ** 2) / f.sigma ** 2) AS value, 0.0::DOUBLE AS reference
FROM scored_forecasts AS f
JOIN model_weights AS w
    ON w.run_id = f.run_id AND w.cutoff = f.cutoff AND w.ticker = f.ticker AND w.model = 'ensemble'
JOIN last_steps AS l ON l.run_id = f.run_id AND l.step = f.step
WHERE f.basis = 'runs' AND f.model = 'ensemble' AND f.sigma > 0 AND w.verdict = 'edge'
GROUP BY f.cutoff
"""
_RISK = """
SELECT portfolio, horizon, level, forecasts, exceptions, share, kupiec, kupiec_p
FROM risk_backtest
WHERE basis = 'runs' AND method = 'joint'
"""
_ACCOUNTS = """
SELECT d.account, d.date, d.daily_return, e.daily_return AS benchmark
FROM drawdowns AS d
JOIN equal_weights AS e ON e.date = d.date
WHERE d.daily_return IS NOT NULL
ORDER BY d.account, d.date
"""
_VIEWS = (
    *("run_basis", "signal_events", "scored_signals", "signal_outcomes", "signal_results", "scored_forecasts"),
    *("forecast_outcomes", "risk_backtest", "risk_outcomes", "drawdowns", "equity", "equal_weights", "adjusted_bars"),
    *("returns", "run_outputs", "discoveries", "lot_changes", "exchange_rates"),
)


def _idle(context: Context) -> str | None:
    """Return that nothing has resolved since the last validation, if so, and when the next outcome is due."""
    newest: date | None = context.known_rows(_NEWEST)[0]["day"]
    if newest is None:
        return "there are no bars"
    last: date | None = context.rows(_LAST)[0]["day"]
    if last is not None and newest <= last:
        return f"nothing has resolved since {last}"
    since = last or newest.min
    (row,) = context.rows(_DUE_SINCE, [newest, newest, since])
    if row["resolved"]:
        return None
    due = f": the next outcome is due on {row['due']}" if row["due"] is not None else ""
    return f"nothing has resolved {f'since {last}' if last else 'yet'}{due}"


def _compute(context: Context) -> Result:
    from pm.validation.nightly import (
        PIT_MIDDLES,
        compared,
        excess_finding,
        forecast_findings,
        risk_findings,
        validation_rows,
    )

    newest: date = context.known_rows(_NEWEST)[0]["day"]
    (due,) = context.rows(_DUE, [newest, newest])
    findings: list[Finding] = []
    events = context.query(_EVENTS)
    for event in ("gain", "loss"):
        for part in ("", "BUY", "SELL", "HOLD"):
            own = events.filter(pl.col("event") == event, pl.col("part") == part)
            if own.height or not part:
                measure = f"probability of a {event}"
                findings.append(excess_finding("signals", measure, part, own, is_claim=True, due=due["signals"]))
    followed = context.query(_FOLLOWED)
    measure = "return of following BUY and SELL after costs"
    findings.append(excess_finding("signals", measure, "", followed, is_claim=False, due=due["signals"]))
    middles = list(PIT_MIDDLES)
    findings += forecast_findings(context.query(_FORECASTS, [middles, middles]), due["forecasts"])
    measure = "gain of edges claimed on no change"
    findings.append(excess_finding("edges", measure, "", context.query(_EDGES), is_claim=False, due=due["forecasts"]))
    findings += risk_findings(context.query(_RISK), due["forecasts"])
    for (account,), own in context.query(_ACCOUNTS).partition_by("account", as_dict=True, maintain_order=True).items():
        findings.append(compared(str(account), own["daily_return"].to_numpy(), own["benchmark"].to_numpy()))
    rows = validation_rows(findings)
    return Result([Append(VALIDATIONS, context.stamp(rows, cutoff=newest))], _summary(rows))


def _summary(rows: pl.DataFrame) -> str:
    counts = dict(rows.group_by("verdict").len().iter_rows())
    told = [f"{counts[word.value]:,} {word.value.replace('_', ' ')}" for word in Judgement if word.value in counts]
    return f"{plural(rows.height, 'test')}: {', '.join(told)}"


STAGE = Stage(
    "validate",
    _compute,
    reads=(
        *(BARS, SIGNALS, FORECASTS, MODEL_WEIGHTS, VOLATILITY, PORTFOLIO_RISK, RISK_CONTRIBUTIONS),
        *(ACCOUNTS, FILLS, CASH_EVENTS, UNIVERSE, RUNS, STAGE_EVENTS),
    ),
    past=(VALIDATIONS,),
    writes=(VALIDATIONS,),
    views=_VIEWS,
    depends=lambda _: None,
    idle=_idle,
)
"""Test what came of earlier nights; skipped if nothing has resolved since the last time."""
