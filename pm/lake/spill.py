"""Name the folders in the lake's for what exceeds a connection's memory, and for frames that SQL reads."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import time
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["remove_abandoned_spill", "spill_folder"]

_SPILL = "spill"
"""Start of such a folder's name; numbers for the machine and the process, and random digits follow."""
_ABANDONED_SECONDS = 86_400
"""Age in seconds at which such a folder of another machine counts as left behind."""


def spill_folder(root: Path) -> Path:
    """Return the path of a folder, not there yet, for what this process writes beside the lake and then removes."""
    return root / f"{_SPILL}-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"


def _machine() -> int:
    """Return a number for this machine: another one that shares the folder has other processes of the same numbers."""
    return zlib.crc32(platform.node().encode())


def remove_abandoned_spill(root: Path) -> None:
    """Remove the folders of processes that were killed."""
    for folder in root.glob(f"{_SPILL}-*-*-*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    machine, process = folder.name.split("-")[1:3]
    if machine == str(_machine()) and process.isdecimal():
        import psutil

        return not psutil.pid_exists(int(process))
    try:
        return time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS
    except OSError:  # another process has just removed it
        return False
