"""Find out whether other users of the computer can read a file."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["grants_reading_to_others", "others_can_read"]

_EVERYONE = frozenset({"WD", "AU", "BU", "BG", "AN", "IU", "S-1-1-0", "S-1-5-11", "S-1-5-32-545", "S-1-5-4"})
"""Groups that other people belong to, as Windows abbreviates them: everyone, authenticated users, users, guests,
anonymous and interactive users."""
_ENTRY = re.compile(r"\((?P<kind>[^;)]*);(?P<flags>[^;)]*);(?P<rights>[^;)]*);[^;)]*;[^;)]*;(?P<group>[^;)]*)")
_READING = ("FA", "FR", "GA", "GR", "KA", "KR")
_READ_DATA, _GENERIC_READ, _GENERIC_ALL = 0x1, 0x80000000, 0x10000000


def others_can_read(file: Path) -> bool:
    """Return whether somebody other than the owner and administrators can read a file, as far as its rights tell."""
    if sys.platform == "win32":
        descriptor = _windows_descriptor(file)
        return descriptor is not None and grants_reading_to_others(descriptor)
    return bool(os.stat(file).st_mode & 0o077)  # noqa: PTH116 - as Path.stat, on one line with the mask


def grants_reading_to_others(descriptor: str) -> bool:
    """Return whether a list of rights lets a group read that other people belong to.

    Parameters
    ----------
    descriptor
        Security descriptor as Windows writes it in text (SDDL), such as `D:(A;;FA;;;SY)(A;;FR;;;BU)`.

    Examples
    --------
    >>> grants_reading_to_others("D:(A;;FA;;;SY)(A;;FR;;;BU)")
    True
    >>> grants_reading_to_others("D:PAI(A;;FA;;;SY)(A;;FA;;;BA)")
    False
    """
    rights = descriptor.partition("D:")[2].partition("S:")[0]
    if rights.startswith("NO_ACCESS_CONTROL"):
        return True
    return any(
        entry["kind"] == "A" and entry["group"] in _EVERYONE and "IO" not in entry["flags"] and _reads(entry["rights"])
        for entry in _ENTRY.finditer(rights)
    )


def _reads(rights: str) -> bool:
    if rights.lower().startswith("0x"):
        return bool(int(rights, 16) & (_READ_DATA | _GENERIC_READ | _GENERIC_ALL))
    return any(rights[place : place + 2] in _READING for place in range(0, len(rights), 2))


def _windows_descriptor(file: Path) -> str | None:
    """Return the security descriptor of a file; None if Windows does not give it."""
    if sys.platform != "win32":
        return None
    import ctypes
    from ctypes import wintypes

    file_object, discretionary, revision = 1, 4, 1
    advapi, kernel = ctypes.WinDLL("advapi32"), ctypes.WinDLL("kernel32")
    descriptor, text = ctypes.c_void_p(), wintypes.LPWSTR()
    failed = advapi.GetNamedSecurityInfoW(
        wintypes.LPCWSTR(str(file)), file_object, discretionary, None, None, None, None, ctypes.byref(descriptor)
    )
    if failed:
        return None
    try:
        done = advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor, revision, discretionary, ctypes.byref(text), None
        )
        return str(text.value) if done else None
    finally:
        for memory in (text, descriptor):
            kernel.LocalFree(ctypes.cast(memory, ctypes.c_void_p))
