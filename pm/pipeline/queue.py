"""The line of processes that wait to write to a workspace: who came first is next.

Each waiting process has an empty file in a folder, whose name tells its turn and the process: the time at which it
came, its pid and when it was started. A file whose process has ended is deleted by those who wait behind it, so that a
killed process holds nobody up.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Turn", "is_anyone_waiting"]

_NAME = re.compile(r"\d{20}-(?P<pid>\d+)-(?P<started>\d+)-[0-9a-f]+")
_CLOCK = 2_000
"""Largest difference between two readings of when a process was started, in milliseconds: they follow the clock."""


class Turn:
    """A process's place in the line, from `with` to its end.

    Parameters
    ----------
    folder
        Folder of the waiting processes' files; made if it is absent.
    """

    def __init__(self, folder: Path) -> None:
        started = _start_of(os.getpid())
        self._folder = folder
        self._file = folder / f"{time.time_ns():020}-{os.getpid()}-{started}-{secrets.token_hex(4)}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file.touch(exist_ok=False)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.unlink()

    def has_come(self) -> bool:
        """Return whether nobody who still waits came before."""
        return not any(_waiting(self._folder, before=self._file.name))


def is_anyone_waiting(folder: Path) -> bool:
    """Return whether a process waits in the line."""
    return any(_waiting(folder))


def _waiting(folder: Path, *, before: str | None = None) -> Iterator[str]:
    """Yield the files of processes that still wait, of all or of those before one; those of ended ones are deleted."""
    try:
        names = [file.name for file in folder.iterdir()]
    except OSError:  # nobody has ever waited, or the folder cannot be read
        return
    for name in sorted(names):
        found = _NAME.fullmatch(name)
        if found is None:
            continue
        if before is not None and name >= before:
            return
        if _lives(int(found["pid"]), int(found["started"])):
            yield name
        else:
            with suppress(OSError):
                (folder / name).unlink()


def _lives(pid: int, started: int) -> bool:
    """Return whether a process that was started at a time, in milliseconds since 1970, still runs."""
    try:
        return abs(_start_of(pid) - started) <= _CLOCK
    except psutil.AccessDenied:  # that of another user
        return True
    except (psutil.Error, ValueError, OverflowError):
        return False


def _start_of(pid: int) -> int:
    return int(psutil.Process(pid).create_time() * 1000)
