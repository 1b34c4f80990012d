"""Hand jobs to cron: a line in the user's crontab for each workspace."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pm.schedule.crontab import add_line, parse_crontab, remove_lines, render_line
from pm.schedule.job import Installed
from pm.schedule.programs import refuse, run_program

if TYPE_CHECKING:
    from datetime import datetime

    from pm.schedule.job import Job

__all__ = ["Cron"]

_LIST = ("crontab", "-l")
_WRITE = ("crontab", "-")
_EMPTY = ("no crontab for", "can't open")
"""What crontabs say for a user who has none: Vixie's, Debian's and cronie's; BusyBox's."""
_HINT = "ask the administrator for /etc/cron.allow, or choose another --backend"
_DAEMONS = {"cron", "crond", "fcron", "anacron", "systemd-cron"}
"""Names of the processes that read crontabs."""


class Cron:
    """The user's crontab. It runs in the machine's time zone, and leaves out nights on which the machine was off."""

    name = "cron"
    own_zone_only = True

    def is_there(self) -> bool:
        """Return whether there is a crontab program."""
        return shutil.which(_LIST[0]) is not None

    def preview(self, job: Job, since: datetime) -> str:
        """Return what `install` writes."""
        return f"# a line of your crontab\n{render_line(job, since)}\n"

    def find(self, key: str) -> Installed | None:
        """Return the job of a key; None if there is none.

        Raises
        ------
        ScheduleError
            The crontab cannot be read.
        """
        if not self.is_there():
            return None
        found = parse_crontab(self._read(), key)
        return None if found is None else Installed(*found, "cron, `crontab -l`")

    def install(self, job: Job, since: datetime) -> None:
        """Add the job's line to the crontab, in place of an earlier one.

        Raises
        ------
        ScheduleError
            The crontab cannot be read or written, or the command is too long for cron.
        """
        self._write(add_line(self._read(), render_line(job, since), job.key))

    def remove(self, key: str) -> bool:
        """Take the job of a key out of the crontab, and return whether there was one.

        Raises
        ------
        ScheduleError
            The crontab cannot be read or written.
        """
        if not self.is_there():
            return False
        before = self._read()
        after = remove_lines(before, key)
        if after == before:
            return False
        self._write(after)
        return True

    def hints(self) -> list[str]:
        """Return what the user should do so that the nights take place."""
        import psutil

        running = {process.info["name"] for process in psutil.process_iter(["name"])}
        if running & _DAEMONS:
            return []
        return ["No cron is running on this machine, so that nothing will start: service cron start"]

    @staticmethod
    def _read() -> str:
        """Return the user's crontab; an empty text if there is none."""
        done = run_program(_LIST)
        if done.returncode == 0:
            return done.stdout.decode(errors="surrogateescape")
        if any(words in done.stderr.decode(errors="replace") for words in _EMPTY):
            return ""
        raise refuse(_LIST, done, hint=_HINT)

    @staticmethod
    def _write(text: str) -> None:
        done = run_program(_WRITE, stdin=text.encode(errors="surrogateescape"))
        if done.returncode:
            raise refuse(_WRITE, done, hint=_HINT)
