"""Tell whether the files of a folder have changed, without reading them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from pm.errors import InputError
from pm.sources.finding import find_files, is_folder

__all__ = ["MISSING", "folder_state", "require_folder_of_files", "whole_path"]

MISSING = "missing"
"""State of a folder that is not there."""


def folder_state(folder: Path) -> str:
    """Return a hash of the names, sizes and times of the files of bars in a folder; of one that is not there, of that.

    Two states are equal if no file was added, removed, replaced or written to in between.
    """
    if not folder.exists():
        return MISSING
    rows: list[list[object]] = []
    for path in find_files([folder]).files:
        try:
            found = path.stat()
        except OSError as error:  # deleted meanwhile, or not to be looked at: reading it tells which
            rows.append([str(path), str(error.errno)])
        else:
            rows.append([str(path), found.st_size, found.st_mtime_ns])
    return hashlib.blake2b(json.dumps(rows).encode(), digest_size=12).hexdigest()


def whole_path(path: str | Path) -> Path:
    """Return the path of a folder from its root, without `..`, so that one folder is watched once."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - Path.absolute keeps `..`


def require_folder_of_files(path: str | Path) -> Path:
    """Return the whole path of a folder that is to be watched.

    Raises
    ------
    InputError
        There is no such folder, or it is a file.
    """
    folder = whole_path(path)
    if not folder.exists() or not is_folder(folder):
        raise InputError("There is no such folder.", where=str(folder), hint="name a folder of files of bars")
    return folder
