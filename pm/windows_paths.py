"""Check that Windows allows a path, for files that the user names and for the folder of the workspace."""

from __future__ import annotations

import re
import sys
from pathlib import PureWindowsPath

__all__ = ["is_windows_device", "long_paths_enabled", "windows_problem"]

_DEVICES = ("\\\\.\\", "\\\\?\\GLOBALROOT")
"""Starts of the paths of devices and pipes."""
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *", re.IGNORECASE)
"""Names that Windows keeps for devices in every folder, with any ending."""
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')
"""Characters that the name of a file cannot have on Windows."""
_LONGEST_PATH = 259
"""Maximum number of characters of a path for programs and machines without long paths."""


def windows_problem(path: str, *, below: int = 0, long_paths: bool = True) -> str | None:
    """Return what Windows does not allow in a path, as the end of a sentence 'The path has …'; None if it is allowed.

    Parameters
    ----------
    path
        Path, with or without a drive or a network share at its start.
    below
        Number of characters of the longest path below it.
    long_paths
        Whether a path can be longer than 259 characters.

    Examples
    --------
    >>> windows_problem("C:/bars/a?.csv")
    "'?' in the name 'a?.csv', which Windows does not allow"
    >>> windows_problem("C:/bars/a.csv")
    """
    whole = PureWindowsPath(path)
    if path.startswith(_DEVICES):
        return f"the name {path!r}, which Windows keeps for a device"
    for name in whole.parts[1:] if whole.anchor else whole.parts:
        if found := _FORBIDDEN.search(name):
            return f"{found[0]!r} in the name {name!r}, which Windows does not allow"
        if is_windows_device(name):
            return f"the name {name!r}, which Windows keeps for a device"
        if name.endswith((" ", ".")) and name not in {".", ".."}:
            return f"a dot or a space at the end of the name {name!r}, which Windows does not allow"
    if not long_paths and len(path) + below > _LONGEST_PATH:
        return f"{len(path)} characters, which are too many for files below it: Windows allows {_LONGEST_PATH}"
    return None


def is_windows_device(path: str) -> bool:
    r"""Return whether a path is that of a device on Windows, as NUL, con.csv and \\.\COM1 are.

    Windows 11 takes a name with an ending for a file; versions before do not.
    """
    name = PureWindowsPath(path).name.partition(".")[0].partition(":")[0]
    return path.startswith(_DEVICES) or _DEVICE.fullmatch(name) is not None


def long_paths_enabled() -> bool:
    """Return whether this process can use paths of more than 259 characters; always so but on Windows."""
    if sys.platform != "win32":
        return True
    import ctypes

    try:
        return bool(ctypes.WinDLL("ntdll").RtlAreLongPathsEnabled())
    except (AttributeError, OSError):  # before Windows 10 of 2016
        return False
