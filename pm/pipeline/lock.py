"""One writer a workspace: a lock that names its owner and dies with it."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pm.clock import utc_now
from pm.errors import LakeBusyError, StorageError
from pm.open_files import delete, is_held, write_whole
from pm.pipeline.queue import Turn, is_anyone_waiting
from pm.settings import redact_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["command_line", "is_locked", "writer_lock"]

_LOCK = "writer.lock"
_OWNER = "writer.json"
_QUEUE = "waiting"
_PATIENCE = 0.5
"""Seconds to try for the lock before another process counts as its holder: `is_locked` holds it for a moment too."""
_POLL = 0.1
"""Seconds between two tries for the lock."""


@contextmanager
def writer_lock(
    lake: Path, *, wait_seconds: float = 0, on_wait: Callable[[str], object] | None = None
) -> Iterator[None]:
    """Hold the workspace's only right to write; the system gives it back when the process ends, however it ends.

    Parameters
    ----------
    lake
        The workspace's lake folder.
    wait_seconds
        Longest wait for another process that holds it, and for those who came before, in seconds.
    on_wait
        Function that is told once, in a sentence, which process is waited for.

    Raises
    ------
    LakeBusyError
        Another process still holds it; the message names its pid, its command, and since when.
    StorageError
        The folder cannot be written.
    """
    lock = FileLock(lake / _LOCK)
    owner = lake / _OWNER
    try:
        lake.mkdir(parents=True, exist_ok=True)
        _acquire(lock, lake, wait_seconds, on_wait)
    except Timeout:
        raise LakeBusyError(
            f"Another run is writing to this workspace: {_describe(owner)}.",
            where=str(lake),
            hint="wait for it to end, or raise lake.wait_seconds; reading (pm sql, pm signals, …) works meanwhile",
        ) from None
    except OSError as error:
        raise StorageError(
            f"The lake's folder cannot be written: {error.strerror or error}.",
            where=str(lake),
            hint="correct its permissions, or choose another workspace: pm --workspace DIR",
        ) from error
    try:
        _sign(owner)
        yield
    finally:
        try:
            with suppress(OSError):  # who waits may be reading it; the next writer replaces it
                delete(owner)
        finally:
            lock.release()


def _acquire(lock: FileLock, lake: Path, wait_seconds: float, on_wait: Callable[[str], object] | None) -> None:
    """Take the lock, in line behind those who wait for it already; raise `Timeout` if the wait was too short."""
    line = lake / _QUEUE
    if not is_anyone_waiting(line) and _is_taken(lock, _PATIENCE):
        return
    if not wait_seconds:
        raise Timeout(lock.lock_file)
    until = time.monotonic() + wait_seconds
    with Turn(line) as turn:
        if on_wait is not None:
            on_wait(
                f"Waiting up to {wait_seconds:,g} s for another process to finish writing to this workspace: "
                f"{_describe(lake / _OWNER)}."
            )
        while not (turn.has_come() and _is_taken(lock, 0)):
            if time.monotonic() > until:
                raise Timeout(lock.lock_file)
            time.sleep(_POLL)


def _is_taken(lock: FileLock, seconds: float) -> bool:
    """Try to take the lock for so long, and return whether it is taken."""
    try:
        lock.acquire(timeout=seconds, poll_interval=_POLL)
    except Timeout:
        return False
    return True


def is_locked(lake: Path) -> bool:
    """Whether a process is writing to the lake right now."""
    if not (lake / _LOCK).exists():
        return False
    try:
        with FileLock(lake / _LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written has no writer
        return False


def command_line() -> str:
    """Return the command that the user gave, without credentials, to be told to those who wait for it."""
    return " ".join(["pm", *map(redact_credentials, sys.argv[1:])])


def _sign(owner: Path) -> None:
    signed = {"pid": os.getpid(), "command": command_line(), "since": f"{utc_now():%Y-%m-%d %H:%M:%S}"}
    try:
        write_whole(owner, json.dumps(signed))
    except OSError as error:
        if is_held(owner):  # it only tells others who writes: the lock itself does not need it
            return
        raise StorageError(
            f"The lake's folder cannot be written: {error.strerror}.", where=str(owner), hint="free some space"
        ) from error


def _describe(owner: Path) -> str:
    try:
        signed = json.loads(owner.read_text(encoding="utf-8"))
        return f"pid {signed['pid']}, `{signed['command']}`, since {signed['since']} UTC"
    except (OSError, ValueError, KeyError):  # it is just starting, or just ending
        return "its process is starting or ending"
