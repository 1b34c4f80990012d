"""Read what the checks of the system judge, and record what they found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm import __version__
from pm.clock import utc_now, utc_today
from pm.errors import LakeBusyError
from pm.monitor.bars import check_freshness, check_refusals
from pm.monitor.calibration import check_intervals, check_signals, check_value_at_risk
from pm.monitor.ledger import check_ledger
from pm.monitor.model import check_model
from pm.monitor.nights import check_last_night, check_schedule, check_times
from pm.monitor.storage import check_storage
from pm.pipeline.health import data_health
from pm.pipeline.opening import open_lake
from pm.pipeline.right_to_write import is_being_written
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.monitor import HEALTH_CHECKS
from pm.tables.vocabulary import HaltAction, OrderState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from pm.lake import Lake
    from pm.monitor import Finding
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["check_system", "record_checks"]

_STAGE_RUNS = 60
"""Number of the newest runs whose stages give the usual times."""

_LANDINGS = """
WITH refused AS (SELECT batch_id, count(*) AS refused FROM quarantine WHERE rule <> 'other_source' GROUP BY batch_id)
SELECT
    landed_at::DATE AS day,
    sum(landed)::BIGINT AS landed,
    coalesce(sum(refused), 0)::BIGINT AS refused,
    count_if(balanced IS NOT DISTINCT FROM false)::BIGINT AS unbalanced
FROM batch_accounts
LEFT JOIN refused USING (batch_id)
WHERE landed > 0
GROUP BY day
ORDER BY day
"""
_STAGES = """
SELECT e.run_id, e.stage, e.seconds
FROM stage_events AS e
JOIN (
    FROM runs WHERE kind IN ('run', 'refresh') AND status = 'done' ORDER BY started_at DESC, run_id DESC LIMIT {limit}
) AS r USING (run_id)
WHERE e.status = 'done' AND e.seconds IS NOT NULL
ORDER BY r.started_at, e.finished_at
"""
_SHARES = """
SELECT origin_date, avg(inside_90::DOUBLE) AS share
FROM forecast_outcomes
WHERE basis = 'runs' AND model = 'ensemble' AND step = 1 AND inside_90 IS NOT NULL
GROUP BY origin_date
ORDER BY origin_date
"""
_NEXT_OUTCOME = """
SELECT max(f.target_date) AS day
FROM forecasts AS f
JOIN run_basis AS b USING (run_id)
WHERE b.basis = 'runs' AND f.model = 'ensemble' AND f.step = 1
"""
_NEXT_TARGET = """
SELECT min(s.target_date) AS day
FROM signals AS s
JOIN run_basis AS b USING (run_id)
WHERE b.basis = 'runs'
"""
_LAST_RUN = """
SELECT run_id, kind, status, started_at, finished_at, error
FROM runs
WHERE kind IN ('run', 'refresh')
ORDER BY started_at DESC, run_id DESC
LIMIT 1
"""


def check_system(workspace: Workspace, settings: Settings, lake: Lake, *, now: datetime | None = None) -> list[Finding]:
    """Return what each check of the system finds, from one snapshot of the lake.

    Parameters
    ----------
    workspace
        The workspace, whose record of nights and whose schedule are read.
    settings
        Its settings.
    lake
        Its lake, open for reading.
    now
        The present moment, with a time zone; by default the clock's.
    """
    today = utc_today()
    with lake.reading():
        bars = [
            check_freshness(data_health(lake, settings), today, max_age_days=settings.forecast.max_age_days),
            check_refusals(
                _frame(lake, _LANDINGS, day=pl.Date, landed=pl.Int64, refused=pl.Int64, unbalanced=pl.Int64)
            ),
        ]
        nights = _nights(workspace, lake, now)
        forecasts = _forecasts(lake, today)
        rest = [_ledger(workspace, lake), _model(lake, enabled=settings.llm.enabled), _storage(lake)]
    return [*bars, *nights, *forecasts, *rest]


def _frame(lake: Lake, sql: str, **schema: type[pl.DataType]) -> pl.DataFrame:
    """Return the few rows of a query as a frame, without importing pyarrow, as `Lake.query` does."""
    return pl.DataFrame(lake.rows(sql), schema=schema)


def _nights(workspace: Workspace, lake: Lake, now: datetime | None) -> list[Finding]:
    from datetime import UTC
    from datetime import datetime as clock

    from pm.schedule.backends import find_everywhere
    from pm.schedule.health import find_problems
    from pm.schedule.job import job_key
    from pm.schedule.record import NightRecord, is_under_way
    from pm.schedule.times import find_zone, local_zone

    here = local_zone()
    present, _ = find_everywhere(job_key(workspace.root))
    installed = [one for _, one in present]
    zones = [find_zone(one.job.zone) if one.job is not None and one.job.zone else here for one in installed]
    record, under_way = NightRecord.read(workspace.logs), is_under_way(workspace.logs)
    moment = now or clock.now(UTC).astimezone(here)
    problems = find_problems(record, installed, under_way=under_way, now=moment, zones=zones)
    runs = lake.rows(_LAST_RUN)
    return [
        check_last_night(
            runs[0] if runs else None,
            record.exit_code if record is not None and not under_way else None,
            being_written=is_being_written(lake.location),
        ),
        check_times(
            _frame(lake, _STAGES.format(limit=_STAGE_RUNS), run_id=pl.String, stage=pl.String, seconds=pl.Float64)
        ),
        check_schedule(problems, len(installed)),
    ]


def _forecasts(lake: Lake, today: date) -> list[Finding]:
    tests = lake.select_rows("risk_backtest", basis="runs", method="joint", horizon=1, order=("portfolio", "level"))
    scores = lake.select_rows("signal_scores", basis="runs", slice="all", order=("action",))
    weights = lake.select("latest_weights", columns=("ticker", "verdict"), model="ensemble")
    edges = dict(weights.drop_nulls().group_by("verdict").len().iter_rows())
    next_outcome = lake.scalar(_NEXT_OUTCOME)
    return [
        check_intervals(_frame(lake, _SHARES, origin_date=pl.Date, share=pl.Float64), next_outcome, today),
        check_value_at_risk(tests, next_outcome, today),
        check_signals(scores, lake.scalar(_NEXT_TARGET), today, edges),
    ]


def _ledger(workspace: Workspace, lake: Lake) -> Finding:
    from pm.audit.chain import verify_chain
    from pm.broker.halts import HALT_FILE, file_says_halt

    accounts = lake.select("accounts", columns=("account",)).height
    halts = lake.select_rows(
        "halts", columns=("action", "reason"), order=("sequence",), descending=("sequence",), limit=1
    )
    halt = halts[0]["reason"] if halts and halts[0]["action"] == HaltAction.HALT else None
    if file_says_halt(workspace.root):
        halt = halt or f"the file {HALT_FILE} is in the workspace."
    fault = None
    if accounts:
        _, found = verify_chain(
            {
                table.qualified: lake.select_rows(table.qualified, columns=tuple(table.polars_schema), order=table.key)
                for table in CHAINED_TABLES
            }
        )
        fault = found.reason if found is not None else None
    return check_ledger(
        accounts=accounts,
        halt=halt,
        differences=lake.select_rows("broker_differences", order=("account", "ticker")),
        unknown_orders=lake.select("open_orders", columns=("order_id",), state=OrderState.UNKNOWN.value).height,
        chain_fault=fault,
    )


def _model(lake: Lake, *, enabled: bool) -> Finding:
    calls = lake.select_rows("llm_latency", order=("role", "model"))
    newest = lake.select_rows("latest_run", columns=("run_id",))
    health = lake.select_rows("llm_health", run_id=newest[0]["run_id"]) if newest else []
    return check_model(calls, health[0] if health else None, enabled=enabled)


def _storage(lake: Lake) -> Finding:
    from psutil import disk_usage

    files = lake.files()
    free = None if lake.location.is_in_object_store else int(disk_usage(str(lake.location.data_folder)).free)
    return check_storage(
        files=len(files),
        size=sum(file.bytes for file in files),
        snapshots=lake.scalar("SELECT count(*) FROM lake.snapshots()"),
        free=free,
    )


def record_checks(workspace: Workspace, settings: Settings, findings: Sequence[Finding]) -> bool:
    """Write findings to table `health_checks`; return whether that was possible: not while another process writes.

    Raises
    ------
    PmError
        The lake cannot be written for another reason.
    """
    frame = pl.DataFrame(
        {
            "checked_at": [utc_now()] * len(findings),
            "subject": [finding.subject for finding in findings],
            "status": [finding.status.value for finding in findings],
            "detail": [finding.detail for finding in findings],
            "rule": [finding.rule for finding in findings],
            "version": [__version__] * len(findings),
        },
        schema=HEALTH_CHECKS.polars_schema,
    )
    try:
        with open_lake(workspace, settings) as lake:
            lake.commit("monitor", lambda to: to.append(HEALTH_CHECKS, frame))
    except LakeBusyError:
        return False
    return True
