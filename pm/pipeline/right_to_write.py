"""The right to write to a lake: of one command a workspace, and of one at a time among those that share a lake."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pm.pipeline.lock import command_line, is_locked, writer_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pm.lake.advisory import AdvisoryLock
    from pm.lake.location import LakeLocation

__all__ = ["is_being_written", "right_to_write"]


@contextmanager
def right_to_write(
    location: LakeLocation,
    *,
    wait_seconds: float = 0,
    on_wait: Callable[[str], object] | None = None,
) -> Iterator[AdvisoryLock | None]:
    """Hold the right to write, and yield what a shared lake is to prove it by; None for a lake in the workspace.

    Parameters
    ----------
    location
        The lake.
    wait_seconds
        Longest wait for others who hold it, or came before, in seconds.
    on_wait
        Function that is told in a sentence which command is waited for.

    Raises
    ------
    LakeBusyError
        Another command still holds it.
    StorageError
        The workspace cannot be written.
    LakeError
        The server of a shared lake's catalog cannot be used.
    """
    started = time.monotonic()
    with writer_lock(location.folder, wait_seconds=wait_seconds, on_wait=on_wait):
        if not location.is_shared:
            yield None
            return
        from pm.lake.advisory import AdvisoryLock

        left = max(0.0, wait_seconds - (time.monotonic() - started))
        with AdvisoryLock(location, command_line(), wait_seconds=left, on_wait=on_wait) as lock:
            yield lock


def is_being_written(location: LakeLocation) -> bool:
    """Return whether a command that writes to the lake is active, of this workspace or of another that shares it."""
    if is_locked(location.folder):
        return True
    if not location.is_shared:
        return False
    from pm.lake import advisory

    return advisory.is_being_written(location)
