"""Read what a message tells about the last night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.errors import PmError
from pm.notify.message import Change, NightResult

if TYPE_CHECKING:
    from datetime import tzinfo

    from pm.lake import Lake
    from pm.monitor import Finding
    from pm.schedule.record import NightRecord
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["night_result"]

_NEWEST_RUNS = """
SELECT o.output_run_id AS made_by
FROM runs AS r
JOIN run_outputs AS o ON o.run_id = r.run_id AND o.stage = 'signals'
WHERE r.kind = 'run' AND r.status = 'done' AND r.scope = 'whole'
ORDER BY r.finished_at DESC, r.run_id DESC
LIMIT 2
"""
_CHECKS_BEFORE = """
SELECT subject, status
FROM health_checks
WHERE checked_at = (SELECT max(checked_at) FROM health_checks)
"""


def night_result(workspace: Workspace, settings: Settings, record: NightRecord, zone: tzinfo) -> NightResult:
    """Return how the last night went: its record, the signals that it changed, and the checks.

    The checks are compared with those recorded last, and then recorded themselves.

    Parameters
    ----------
    workspace, settings
        The workspace and its settings.
    record
        Record of the night.
    zone
        The machine's time zone.
    """
    from pm.pipeline.monitoring import check_system, record_checks
    from pm.pipeline.opening import read_lake
    from pm.pipeline.stages.report import LATEST

    changes: list[Change] = []
    findings: list[Finding] = []
    changed: list[str] = []
    unreadable = None
    try:
        with read_lake(workspace, settings) as lake:
            changes = _changes(lake)
            findings = check_system(workspace, settings, lake)
            before = {row["subject"]: row["status"] for row in lake.rows(_CHECKS_BEFORE)}
        changed = [f.subject for f in findings if before and before.get(f.subject) != f.status.value]
        record_checks(workspace, settings, findings)
    except PmError as error:
        unreadable = error.what
    latest = workspace.reports / LATEST
    return NightResult(
        workspace=workspace.root.name,
        day=record.started_at.astimezone(zone).date(),
        exit_code=record.exit_code if record.exit_code is not None else 1,
        error=record.error,
        changes=changes,
        findings=findings,
        changed_checks=changed,
        report=str(latest) if latest.is_file() else None,
        unreadable=unreadable,
    )


def _changes(lake: Lake) -> list[Change]:
    """Return the signals of the newest whole run that are others than those of the one before."""
    runs = [row["made_by"] for row in lake.rows(_NEWEST_RUNS)]
    if len(runs) < 2 or runs[0] == runs[1]:
        return []
    now, before = (
        {row["ticker"]: row["action"] for row in lake.select_rows("signals", columns=("ticker", "action"), run_id=run)}
        for run in runs
    )
    return [
        Change(ticker, before.get(ticker), now.get(ticker))
        for ticker in sorted({*now, *before})
        if now.get(ticker) != before.get(ticker)
    ]
