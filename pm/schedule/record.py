"""The record of a workspace's last night: when it took place, how it ended, and when the lake was last compacted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock, Timeout

from pm.open_files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LOG_NAME", "NightRecord", "is_under_way", "night_lock"]

LOG_NAME = "night.log"
"""Name of the file with what nights printed, in the workspace's folder `logs`."""
_RECORD_NAME = "night.json"
_LOCK_NAME = "night.lock"


@dataclass(frozen=True)
class NightRecord:
    """What is known of the last night. Times have a time zone.

    Parameters
    ----------
    started_at, finished_at
        Start and end; the end is None while the night lasts, and stays so if it was cut off.
    task
        What it did: 'run' or 'refresh'.
    exit_code
        Exit code; None without an end.
    error
        First error message that it printed, in one line; None if it printed none.
    compacted_at
        Last time the lake was compacted by a night; None for never.
    on_failure_code
        Exit code of the command that is run on failure; None if it was not run.
    """

    started_at: datetime
    task: str
    finished_at: datetime | None = None
    exit_code: int | None = None
    error: str | None = None
    compacted_at: datetime | None = None
    on_failure_code: int | None = None

    @classmethod
    def read(cls, logs: Path) -> Self | None:
        """Return the record of the last night; None if there was none, or its record is not readable."""
        try:
            values = json.loads((logs / _RECORD_NAME).read_text(encoding="utf-8"))
            known = {field.name: values[field.name] for field in fields(cls)}
            times = {name: _as_time(value) for name, value in known.items() if name.endswith("_at")}
            return cls(**known | times)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, logs: Path) -> None:
        """Write the record, in place of that of the night before.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        values: dict[str, Any] = asdict(self)
        write_whole(logs / _RECORD_NAME, json.dumps(values, default=datetime.isoformat, indent=1) + "\n")


def _as_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


def night_lock(logs: Path) -> FileLock:
    """Return the lock that a night holds while it lasts; the system releases it however the night ends."""
    return FileLock(logs / _LOCK_NAME, timeout=0)


def is_under_way(logs: Path) -> bool:
    """Return whether a night is under way."""
    if not (logs / _LOCK_NAME).exists():
        return False
    try:
        with night_lock(logs):
            return False
    except Timeout:
        return True
    except OSError:  # who may not write here asks for another user's workspace
        return False
