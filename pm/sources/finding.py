"""Find the files to import, in folders too, without opening anything that is not a file."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pm.errors import InputError
from pm.sources.text_file import ARCHIVES, WORKBOOKS
from pm.windows_paths import is_windows_device

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["READ", "EmptyFolderError", "Found", "find_files", "is_folder", "require_readable_name"]

_SEARCHED = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", *ARCHIVES, *WORKBOOKS)
"""Endings of the files that a folder is searched for."""
_NAMED = (".txt", ".txt.gz")
"""Endings of the files that are read if they are named: in a folder, they are notes as often as bars."""
READ = (*_SEARCHED, *_NAMED)
"""Endings of the files that can be read."""
_LAKE = "catalog.sqlite"
"""File by which the folder of a lake is known: its Parquet files are no files of bars."""

_INVALID_NAME = 123
"""Windows' error code for a name that no file has there, such as a pattern that matches nothing."""


class EmptyFolderError(InputError):
    """A folder holds no files of bars."""


@dataclass(frozen=True)
class Found:
    """Files to import, and an error for each path that is none.

    Attributes
    ----------
    files
        Files, each once, in the order in which they were named; those of a folder are sorted.
    refused
        What is wrong with the other paths, one error for each.
    left_out
        Files in folders that can be read if they are named, sorted.
    incidental
        Archives and workbooks found in folders, which can hold other things than bars.
    """

    files: list[Path] = field(default_factory=list)
    refused: list[InputError] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)
    incidental: set[Path] = field(default_factory=set)


def find_files(paths: Iterable[str | Path]) -> Found:
    """Return the files to import: the files named, and those found in the folders named.

    A folder is searched at every depth for files of every format that can be read but *.txt, except hidden files and
    folders, files that a spreadsheet keeps beside a workbook that it has open, and lakes. A path is taken literally: it
    is not a pattern. Refused are paths that do not exist or cannot be read, pipes and devices, names that are not
    UTF-8, and folders without files of bars.
    """
    files: dict[Path, None] = {}
    found = Found()
    for path in map(Path, paths):
        try:
            inside = _search(path) if is_folder(path) else Found([path])
        except InputError as error:
            found.refused.append(error)
            continue
        files.update(dict.fromkeys(inside.files))
        found.refused.extend(inside.refused)
        found.left_out.extend(inside.left_out)
        found.incidental.update(inside.incidental)
    found.files.extend(files)
    found.left_out[:] = [path for path in dict.fromkeys(found.left_out) if path not in files]
    return found


def require_readable_name(path: Path) -> None:
    """Check that a path is a file with an ending that can be read, without opening it.

    Raises
    ------
    InputError
        It is not.
    """
    if is_folder(path):
        raise InputError("This is a folder, not a file.", where=str(path), hint="name the files in it")
    if not path.name.lower().endswith(READ):
        raise InputError(
            "The name of the file does not end like a format that can be read.",
            where=str(path),
            hint=f"let the name end in one of: {', '.join(READ)}",
        )


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder and not a file.

    Raises
    ------
    InputError
        It is neither, or its name is not UTF-8.
    """
    if _is_device_of_windows(path):
        raise _neither(path)
    try:
        kind = path.stat().st_mode  # never opens it: reading a pipe or a device can wait, or go on, forever
    except FileNotFoundError:
        raise _missing(path) from None
    except PermissionError:
        raise _no_permission(str(path)) from None
    except (OSError, ValueError) as error:
        if getattr(error, "winerror", None) == _INVALID_NAME:
            raise _missing(path) from None
        detail = getattr(error, "strerror", None) or error
        raise InputError(f"The path cannot be used: {detail}.", where=str(path), hint="check it") from None
    if not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
        raise _neither(path)
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError("The name of the file is not UTF-8.", where=str(path), hint="rename it") from None
    return stat.S_ISDIR(kind)


def _missing(path: Path) -> InputError:
    return InputError("There is no such file or folder.", where=str(path), hint="check the path")


def _is_device_of_windows(path: Path) -> bool:
    if os.name != "nt":
        return False
    return is_windows_device(str(path))


def _search(folder: Path) -> Found:
    """Return the files of bars in a folder, sorted."""
    names: list[Path] = []
    named: list[Path] = []
    errors: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=errors.append):
        if _LAKE in files:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        visible = [name for name in files if not name.startswith((".", "~$"))]
        names += [Path(place) / name for name in visible if name.lower().endswith(_SEARCHED)]
        named += [Path(place) / name for name in visible if name.lower().endswith(_NAMED)]
    found = Found(left_out=sorted(named))
    found.refused.extend(_unreadable_folder(error, folder) for error in errors)
    for path in sorted(names):
        try:
            is_folder(path)
        except InputError as error:
            found.refused.append(error)
        else:
            found.files.append(path)
            if path.name.lower().endswith((*ARCHIVES, *WORKBOOKS)):
                found.incidental.add(path)
    if not found.files and not found.refused:
        wanted = ", ".join("*" + suffix for suffix in _SEARCHED)
        hint = f"put {wanted} there" + (f", or name the files, such as {named[0].name!r}" if named else "")
        found.refused.append(EmptyFolderError("The folder holds no files of bars.", where=str(folder), hint=hint))
    return found


def _unreadable_folder(error: OSError, folder: Path) -> InputError:
    where = str(error.filename or folder)
    if isinstance(error, PermissionError):
        return _no_permission(where)
    return InputError(f"The folder cannot be read: {error.strerror}.", where=where, hint="check it")


def _no_permission(where: str) -> InputError:
    return InputError(
        "There is no permission to read this.", where=where, hint="change its permissions, or copy it to another place"
    )


def _neither(path: Path) -> InputError:
    return InputError("This is neither a file nor a folder.", where=str(path), hint="copy its content to a file")
