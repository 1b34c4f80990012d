"""Replace, delete and open files that another program may have open.

Windows refuses that while a program, such as a browser or a virus scanner, has the file open. Most close it at once, so
it is tried again for a short time.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Result = TypeVar("Result")

__all__ = ["delete", "is_held", "patiently", "replace", "write_whole"]

_PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds between two attempts."""
_SHARING_REFUSED = (32, 33)
"""Windows' error codes for a file that another program has open: sharing violation, lock violation."""
_ACCESS_DENIED = 5
"""Windows' error code for replacing a file that another program has open; for one without the right to it, too."""


def replace(draft: Path, target: Path) -> None:
    """Move a file to the place of another; it is tried again while another program has that one open.

    Raises
    ------
    OSError
        It is impossible. The draft is removed, and what was at the target is unchanged.
    """
    try:
        patiently(lambda: draft.replace(target))
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def write_whole(target: Path, text: str) -> None:
    """Write a text as UTF-8, so that never half of it can be read: beside its place, then moved there.

    Raises
    ------
    OSError
        It is impossible. No draft is left, and what was at the target is unchanged.
    """
    draft = target.with_name(f"{target.name}.part")
    try:
        draft.write_text(text, encoding="utf-8")
    except OSError:
        if draft.is_file():
            draft.unlink()
        raise
    replace(draft, target)


def delete(file: Path) -> None:
    """Delete a file if it exists; it is tried again while another program has it open.

    Raises
    ------
    OSError
        It is impossible.
    """
    patiently(lambda: file.unlink(missing_ok=True))


def is_held(file: Path) -> bool:
    """Return whether another program has the file open and so keeps it from being replaced or deleted.

    Only on Windows is that ever so.
    """
    try:
        os.rename(file, file)  # noqa: PTH104 - to its own name: Windows refuses it, and nothing changes elsewhere
    except OSError as error:
        return getattr(error, "winerror", None) in _SHARING_REFUSED
    return False


def patiently(action: Callable[[], Result]) -> Result:
    """Do something to a file, and return the result; it is tried again for a short time while another program has it.

    Raises
    ------
    OSError
        It is impossible.
    """
    for pause in _PAUSES:
        try:
            return action()
        except OSError as error:
            if not _is_refusal(error):
                raise
            time.sleep(pause)
    return action()


def _is_refusal(error: OSError) -> bool:
    code = getattr(error, "winerror", None)
    if code is None:  # `open` goes through the C library, which keeps only that access was denied
        return os.name == "nt" and error.errno == errno.EACCES
    return code in {_ACCESS_DENIED, *_SHARING_REFUSED}
