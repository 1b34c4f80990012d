"""Expand the paths that a user names before anything is made or locked.

Some shells, those of Windows among them, expand neither patterns nor `~`.
"""

from __future__ import annotations

from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from pm.errors import InputError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["expand_home", "expand_paths", "expand_pattern", "workspace_path"]


def workspace_path(text: str) -> Path:
    """Return the folder that a user names as the workspace.

    Raises
    ------
    WorkspaceError
        The name is empty, as that of a variable that is not set.
    """
    if not text:
        raise WorkspaceError(
            "The name of the workspace is empty.", where="DIR", hint="name its folder; `.` is the current one"
        )
    return expand_home(Path(text))


def expand_home(path: Path) -> Path:
    """Return the path with `~` at its start replaced by the user's home; unchanged if it exists as it is."""
    if not path.parts or not path.parts[0].startswith("~") or _exists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path


def expand_pattern(path: Path) -> list[Path]:
    """Return the paths that a pattern such as `bars/*.csv` matches, sorted; the path itself if there are none.

    What exists is no pattern, whatever its name: neither the path nor the folders at its start.
    """
    if not has_magic(str(path)) or _exists(path):
        return [path]
    folder = next((parent for parent in path.parents if _exists(parent)), None)
    if folder is None:
        return [path]
    names = glob(str(path.relative_to(folder)), root_dir=folder)  # noqa: PTH207 - skips hidden files, as shells do
    return [folder / name for name in sorted(names)] or [path]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def expand_paths(texts: Iterable[str]) -> list[Path]:
    """Return the paths of files or folders that a user names, with patterns and `~` expanded.

    Raises
    ------
    InputError
        A path is empty, as that of a variable that is not set.
    """
    found: list[Path] = []
    for text in texts:
        if not text:
            raise InputError(
                "The path is empty.", where="PATH", hint="name a file or a folder; `.` is the current folder"
            )
        found += expand_pattern(expand_home(Path(text)))
    return found
