"""The line of processes that wait to write to a workspace: who came first is next.

Each waiting process has an empty file in a folder. Its name tells its turn, and its time that the process still waits:
it is renewed at each look. A process that was killed or stopped renews nothing, and holds nobody up.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Turn", "is_anyone_waiting"]

_NAME = re.compile(r"\d{20}-\d+-[0-9a-f]+")
_STALE = 10.0
"""Age of a file in seconds from which its process no longer waits."""
_LEFT_BEHIND = 600.0
"""Age of a file in seconds from which it is deleted; a process that was stopped until then makes it anew."""


class Turn:
    """A process's place in the line, from `with` to its end.

    Parameters
    ----------
    folder
        Folder of the waiting processes' files; made if it is absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / f"{time.time_ns():020}-{os.getpid()}-{secrets.token_hex(4)}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file.touch()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.unlink()

    def has_come(self) -> bool:
        """Return whether nobody who still waits came before; to be asked more often than every few seconds."""
        self._file.touch()
        return next(_waiting(self._folder), self._file.name) >= self._file.name


def is_anyone_waiting(folder: Path) -> bool:
    """Return whether a process waits in the line."""
    return any(_waiting(folder))


def _waiting(folder: Path) -> Iterator[str]:
    """Yield the names of the files of processes that still wait, in their order; delete what was left behind."""
    try:
        files = sorted(file for file in folder.iterdir() if _NAME.fullmatch(file.name))
    except OSError:  # nobody has ever waited, or the folder cannot be read
        return
    for file in files:
        try:
            age = abs(time.time() - file.stat().st_mtime)  # clocks are put back, too
        except OSError:  # its process has got in
            continue
        if age < _STALE:
            yield file.name
        elif age > _LEFT_BEHIND:
            with suppress(OSError):
                file.unlink()
