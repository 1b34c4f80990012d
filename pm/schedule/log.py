"""The log of nights: lines with their time, in files of a bounded size."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

from pm.schedule.record import LOG_NAME

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NightLog", "RotatingFile"]

_BYTES = 1_048_576
"""Size in bytes beyond which a new file is begun."""
_OLDER_FILES = 5
"""Number of older files that are kept: night.log.1, the newest, to night.log.5."""


class RotatingFile(RotatingFileHandler):
    """A file of lines that goes on growing where its place cannot be taken, and never stops who writes to it.

    Beyond 1 MiB a new one is begun; five older ones are kept.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(
            file, maxBytes=_BYTES, backupCount=_OLDER_FILES, encoding="utf-8", errors="replace", delay=True
        )

    def doRollover(self) -> None:  # noqa: N802 - logging's name
        """Begin a new file, or go on with this one where that is impossible."""
        try:
            super().doRollover()
        except OSError:  # on Windows, a program that has the file open
            if self.stream is None:
                self.stream = self._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Leave the line out: a full disk is told by what else fails."""


class NightLog:
    """A log of one workspace, written to by one night at a time.

    Parameters
    ----------
    logs
        The workspace's folder of logs, which exists.
    echo
        Print each line to standard output as well, without its time.
    """

    def __init__(self, logs: Path, *, echo: bool = False) -> None:
        self._file = RotatingFile(logs / LOG_NAME)
        formatter = logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%SZ")
        formatter.converter = time.gmtime
        self._file.setFormatter(formatter)
        self._echo = echo

    def add(self, line: str) -> None:
        """Add a line."""
        self._file.handle(logging.makeLogRecord({"msg": line}))
        if self._echo:
            with suppress(OSError, ValueError):  # nobody reads it any more
                print(line, flush=True)  # noqa: T201 - a container's log

    def close(self) -> None:
        """Close the file."""
        self._file.close()
