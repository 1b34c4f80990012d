"""One writer a workspace: a lock that names its owner and dies with it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pm.clock import utc_now
from pm.errors import LakeBusyError, StorageError
from pm.settings import redact_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["is_locked", "writer_lock"]

_LOCK = "writer.lock"
_OWNER = "writer.json"
_PATIENCE = 0.5
"""Seconds to try for the lock: `is_locked` holds it for a moment too."""


@contextmanager
def writer_lock(lake: Path) -> Iterator[None]:
    """Hold the workspace's only right to write; the system gives it back when the process ends, however it ends.

    Raises
    ------
    LakeBusyError
        Another process holds it; the message names its pid, its command, and since when.
    StorageError
        The folder cannot be written.
    """
    lock = FileLock(lake / _LOCK)
    owner = lake / _OWNER
    try:
        lake.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise LakeBusyError(
            f"Another run is writing to this workspace: {_describe(owner)}.",
            where=str(lake),
            hint="wait for it to end; reading (pm sql, pm signals, …) works meanwhile",
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
        owner.unlink(missing_ok=True)
        lock.release()


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


def _sign(owner: Path) -> None:
    command = " ".join(["pm", *map(redact_credentials, sys.argv[1:])])
    try:
        owner.write_text(
            json.dumps({"pid": os.getpid(), "command": command, "since": f"{utc_now():%Y-%m-%d %H:%M:%S}"})
        )
    except OSError as error:
        raise StorageError(
            f"The lake's folder cannot be written: {error.strerror}.", where=str(owner), hint="free some space"
        ) from error


def _describe(owner: Path) -> str:
    try:
        signed = json.loads(owner.read_text())
        return f"pid {signed['pid']}, `{signed['command']}`, since {signed['since']} UTC"
    except (OSError, ValueError, KeyError):  # it is just starting, or just ending
        return "its process is starting or ending"
