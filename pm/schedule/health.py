"""Say what is wrong with a workspace's nights."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from pm.schedule.night import INTERRUPTED
from pm.schedule.program import missing_part
from pm.schedule.times import previous_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from pm.schedule.job import Installed
    from pm.schedule.record import NightRecord

__all__ = ["find_problems"]

_LATE = timedelta(minutes=15)
"""Time after which a night that has not begun counts as left out."""
_EARLY = timedelta(hours=2)
"""Time by which a night may begin early: schedulers differ in when they start one that daylight saving skips."""
_MINUTE = "%Y-%m-%d %H:%M"
_SIGNALS = 128
_KILLED = _SIGNALS + 9
"""Exit code of a program that was killed."""


def find_problems(
    record: NightRecord | None,
    installed: Sequence[Installed],
    *,
    under_way: bool,
    now: datetime,
    zones: Sequence[ZoneInfo],
) -> list[str]:
    """Return a sentence for each problem, those of the last night first.

    Parameters
    ----------
    record
        Record of the last night; None if there was none.
    installed
        What the schedulers of the machine hold for the workspace.
    under_way
        Whether a night is under way.
    now
        The present moment, with a time zone.
    zones
        The time zone in which each of `installed` is meant.
    """
    problems = [] if under_way else _of_last_night(record, now)
    for one, zone in zip(installed, zones, strict=True):
        if one.problem is not None:
            problems.append(one.problem)
        if one.job is None:
            problems.append(
                f"What is scheduled was changed by hand and is not understood ({one.where}): install it again."
            )
            continue
        missing = missing_part(one.job.program)
        if missing is not None:
            problems.append(
                f"The scheduled command no longer exists: {missing}. Install it again: pm schedule install."
            )
        due = previous_time(one.job.at, zone, now.astimezone(UTC) - _LATE)
        held = record is not None and record.started_at >= due.astimezone(UTC) - _EARLY
        if not held and not under_way and one.since is not None and one.since < due:
            problems.append(f"The night of {due:{_MINUTE}} {zone.key} did not take place.")
    if len(installed) > 1:
        problems.append(
            f"Several schedulers hold the nights: {', '.join(one.where for one in installed)}. Install again."
        )
    return problems


def _of_last_night(record: NightRecord | None, now: datetime) -> list[str]:
    if record is None:
        return []
    began = f"{record.started_at.astimezone(now.tzinfo):{_MINUTE}}"
    if record.finished_at is None or record.exit_code is None:
        return [f"The night of {began} was cut off: its process ended before it did. The next one continues."]
    problems = []
    if record.exit_code == INTERRUPTED:
        problems.append(f"The night of {began} was interrupted (exit code {INTERRUPTED}). The next one continues.")
    elif record.exit_code == _KILLED:
        problems.append(f"The night of {began} was killed (exit code {_KILLED}), as by a machine without memory.")
    elif record.exit_code:
        reason = f": {record.error}" if record.error else "."
        problems.append(f"The night of {began} failed with exit code {record.exit_code}{reason}")
    if record.on_failure_code:
        problems.append(f"The command of --on-failure failed too, with exit code {record.on_failure_code}.")
    return problems
