"""Hand jobs to Windows' Task Scheduler: a task for each workspace, in the folder "Portfolio Maximizer"."""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pm.schedule.job import Installed
from pm.schedule.programs import refuse, run_program
from pm.schedule.task_xml import ENCODING, parse_task, render_task

if TYPE_CHECKING:
    from datetime import datetime

    from pm.schedule.job import Job

__all__ = ["TaskScheduler"]

_HINT = "run the command as the user whose nights these are; a domain's policy may forbid tasks"


class TaskScheduler:
    """Windows' Task Scheduler. It runs in the machine's time zone, and catches up on nights that were missed."""

    name = "schtasks"
    own_zone_only = True

    def is_there(self) -> bool:
        """Return whether this is Windows."""
        return sys.platform == "win32"

    def preview(self, job: Job, since: datetime) -> str:
        """Return what `install` writes."""
        return f"<!-- task {_task(job.key)} -->\n{render_task(job, since)}"

    def find(self, key: str) -> Installed | None:
        """Return the job of a key; None if there is none."""
        if not self.is_there():
            return None
        done = run_program(["schtasks", "/Query", "/TN", _task(key), "/XML"])
        if done.returncode or not done.stdout.strip():
            return None
        return Installed(*parse_task(_decoded(done.stdout)), f"Task Scheduler, {_task(key)}")

    def install(self, job: Job, since: datetime) -> None:
        """Create the job's task, in place of an earlier one.

        Raises
        ------
        ScheduleError
            Task Scheduler refuses.
        """
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            file = Path(folder) / "task.xml"
            file.write_text(render_task(job, since), encoding=ENCODING)
            words = ["schtasks", "/Create", "/TN", _task(job.key), "/XML", str(file), "/F"]
            done = run_program(words)
        if done.returncode:
            raise refuse(words, done, hint=_HINT)

    def remove(self, key: str) -> bool:
        """Delete the task of a key, and return whether there was one.

        Raises
        ------
        ScheduleError
            Task Scheduler refuses.
        """
        if not self.is_there():
            return False
        words = ["schtasks", "/Delete", "/TN", _task(key), "/F"]
        done = run_program(words)
        if done.returncode and self.find(key) is not None:
            raise refuse(words, done, hint=_HINT)
        return not done.returncode

    def hints(self) -> list[str]:
        """Return what the user should do so that the nights take place."""
        return ["The nights take place only while you are logged in; those missed are made up for at the next login."]


def _task(key: str) -> str:
    return f"\\Portfolio Maximizer\\{key}"


def _decoded(printed: bytes) -> str:
    """Return what `schtasks` printed, in whichever encoding: that of the console, or what its first line says."""
    if printed[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return printed.decode("utf-16", errors="replace")
    for encoding in ("utf-8", "oem"):
        with suppress(UnicodeDecodeError, LookupError):
            return printed.decode(encoding)
    return printed.decode("latin-1")
