"""Run the programs of schedulers, such as `systemctl`, and tell what they refuse."""

from __future__ import annotations

import subprocess
from shutil import which
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from pm.errors import ScheduleError
from pm.settings import child_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["answer", "refuse", "run_program"]

_PATIENCE = 30
"""Seconds after which a program is taken to hang."""


def run_program(words: Sequence[str], *, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a program with messages in English, and return its exit code and what it printed.

    Raises
    ------
    ScheduleError
        It is missing, cannot be started, or does not end.
    """
    found = which(words[0])
    if found is None:
        raise ScheduleError(f"There is no program {words[0]}.", where="PATH", hint="choose another --backend")
    # Files, not pipes: a service that the program starts may hold a pipe open for ever.
    with TemporaryFile() as given, TemporaryFile() as printed, TemporaryFile() as complaints:
        given.write(stdin)
        given.seek(0)
        try:
            done = subprocess.run(  # noqa: S603 - a scheduler's own program
                [found, *words[1:]],
                stdin=given,
                stdout=printed,
                stderr=complaints,
                check=False,
                timeout=_PATIENCE,
                env=child_environment(LC_ALL="C"),
            )
        except subprocess.TimeoutExpired:
            raise ScheduleError(
                f"{words[0]} has not answered for {_PATIENCE} seconds.",
                where=" ".join(words),
                hint="choose another --backend",
            ) from None
        except OSError as error:
            raise ScheduleError(
                f"{words[0]} cannot be started: {error.strerror}.", where=found, hint="choose another --backend"
            ) from None
        for file in (printed, complaints):
            file.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, printed.read(), complaints.read())


def answer(*words: str) -> str | None:
    """Return what a program printed; None if it is missing or fails."""
    try:
        done = run_program(words)
    except ScheduleError:
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None


def refuse(words: Sequence[str], done: subprocess.CompletedProcess[bytes], *, hint: str) -> ScheduleError:
    """Return the error of a program that failed, with the first line that it printed."""
    printed = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    said = printed[0].strip().rstrip(".") if printed else f"exit code {done.returncode}"
    return ScheduleError(f"{words[0]} refuses: {said}.", where=" ".join(words), hint=hint)
