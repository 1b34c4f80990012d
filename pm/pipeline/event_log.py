"""Log what runs report as lines of JSON, for programs: logs/events.jsonl, beside the lines that people read."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pm.pipeline.events import Notice, RunStarted, StageEnded, StageProgressed, StageStarted
from pm.schedule.log import RotatingFile
from pm.settings import redact_credentials
from pm.tables.vocabulary import StageStatus

if TYPE_CHECKING:
    from pathlib import Path

    from pm.pipeline.events import Event, Observer

__all__ = ["EVENT_LOG", "logged"]

EVENT_LOG = "events.jsonl"
"""Name of the file in the workspace's folder `logs`; older ones end in .1 to .5, the newest first."""
_LONGEST = 4_000
"""Largest number of characters of a message; looking for credentials in a longer word would take quadratic time."""
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def logged(observer: Observer, logs: Path, level: str) -> Observer:
    """Return an observer that also logs each event: its time in UTC, level, run, stage, and what happened.

    Nothing of a run depends on the log: where it cannot be written, lines are left out.

    Parameters
    ----------
    observer
        Observer that is told each event too.
    logs
        Folder of the log; it is made with the first line.
    level
        Lowest level that is logged: 'debug', 'info', 'warning' or 'error'. How far a stage is has level debug.
    """
    log = _EventLog(logs, _LEVELS[level])

    def observe(event: Event) -> None:
        log.add(event)
        observer(event)

    return observe


class _EventLog:
    def __init__(self, logs: Path, level: int) -> None:
        self._logs = logs
        self._level = level
        self._run: str | None = None
        self._stage: str | None = None

    def add(self, event: Event) -> None:
        level, fields = self._described(event)
        if level >= self._level:
            line = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "level": logging.getLevelName(level).lower(),
                "run": self._run,
                "stage": self._stage,
                **fields,
            }
            self._write(json.dumps(line, ensure_ascii=False))
        if isinstance(event, StageEnded):
            self._stage = None

    def _described(self, event: Event) -> tuple[int, dict[str, object]]:
        """Return the level of an event, and what is logged of it beside time, run and stage."""
        match event:
            case RunStarted(run_id, resumed):
                self._run = run_id
                return logging.INFO, {"event": "run started", "resumed": resumed}
            case StageStarted(stage):
                self._stage = stage
                return logging.DEBUG, {"event": "stage started"}
            case StageProgressed(stage, done, total):
                self._stage = stage
                return logging.DEBUG, {"event": "stage progressed", "done": done, "total": total}
            case StageEnded(stage, status, seconds, summary):
                self._stage = stage
                level = logging.ERROR if status == StageStatus.FAILED else logging.INFO
                message = _safe(summary)
                return level, {"event": f"stage {status}", "seconds": round(seconds, 3), "message": message}
            case Notice(line):
                return logging.WARNING, {"event": "notice", "message": _safe(line)}

    def _write(self, line: str) -> None:
        try:
            self._logs.mkdir(exist_ok=True)
            file = RotatingFile(self._logs / EVENT_LOG)
        except OSError:
            return
        try:
            file.handle(logging.makeLogRecord({"msg": line}))
        finally:
            file.close()


def _safe(text: str) -> str:
    """Return the beginning of a text, without the credentials of addresses in it."""
    return redact_credentials(text[:_LONGEST])
