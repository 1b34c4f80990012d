"""Start a command, hand on its lines as they come, and interrupt it as Ctrl-C would."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from pm.settings import child_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Child"]

_SIGNAL_BASE = 128
"""What shells add to the number of the signal that killed a program, for its exit code."""
_LAST_LINES_SECONDS = 10
"""Seconds to wait for the last lines after the end: a worker that has not ended may still hold the pipe."""


class Child:
    """A command that runs until it ends or is interrupted.

    On POSIX it has a process group of its own, so that only `interrupt` interrupts it and its workers, once. On Windows
    Ctrl-C in the console reaches it directly.

    Parameters
    ----------
    command
        Words of the command, or a line for the system's shell.
    folder
        Folder to run it in.
    on_line
        Called with each line that it prints, without the line's end; from another thread.
    variables
        Environment variables to add.
    """

    def __init__(
        self,
        command: Sequence[str] | str,
        folder: Path,
        on_line: Callable[[str], object],
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - `pm` itself, or the user's own line as given to --on-failure
            command if isinstance(command, str) else list(command),
            shell=isinstance(command, str),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=os.name == "posix",
            env=child_environment(**(variables or {})),
        )
        self._is_interrupted = False
        self._reader = threading.Thread(target=self._read, args=(on_line,), daemon=True)
        self._reader.start()

    def _read(self, on_line: Callable[[str], object]) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with self._process.stdout as lines:
            for line in lines:
                on_line(line.rstrip("\r\n"))

    def wait(self, seconds: float | None = None) -> int:
        """Wait for the end, and return the exit code: 128 and the signal's number if a signal killed it.

        Raises
        ------
        TimeoutError
            It has not ended after so many seconds.
        """
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        self._reader.join(_LAST_LINES_SECONDS)
        return _SIGNAL_BASE - code if code < 0 else code

    def interrupt(self) -> None:
        """Interrupt the command and the processes that it started, as Ctrl-C does; once, however often it is called."""
        if os.name == "posix" and not self._is_interrupted:
            self._is_interrupted = True
            self._send(signal.SIGINT)

    def kill(self) -> None:
        """End the command at once, and on POSIX the processes that it started."""
        if os.name == "posix":
            self._send(signal.SIGKILL)
        else:
            self._process.kill()

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # it has just ended
            os.killpg(self._process.pid, number)
