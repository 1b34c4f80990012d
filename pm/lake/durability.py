"""Bring data files onto the disk before the catalog names them.

SQLite syncs the catalog at each commit, but DuckDB only hands a Parquet file's bytes to the operating system. After a
power cut, a catalog on the disk could therefore name files that are empty, cut short or missing.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from pm.open_files import patiently

__all__ = ["DataFiles", "sync", "sync_new_lake"]

_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}
"""Errors of a file system that cannot sync a folder, or of a folder above the lake that the user cannot open."""


class DataFiles:
    """The files and folders below the folder of the lake's data that need not be synced again.

    Those that exist now count as synced: commits before name them already.

    Parameters
    ----------
    folder
        Folder of the lake's data.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._synced = self._present()

    def sync_new(self) -> list[Path]:
        """Wait until the disk has every file and folder made since the last call; return those files, sorted.

        A file of another process's transaction is synced too if it is there; its own commit syncs it again.

        Raises
        ------
        OSError
            The disk did not take a file; it is tried again at the next call.
        """
        present = self._present()
        new = sorted(path for path in present if path not in self._synced)
        files = [Path(path) for path in new if not present[path]]
        for file in files:
            with suppress(FileNotFoundError):  # of a transaction of another process that was rolled back
                patiently(partial(_sync_file, file))
        for folder in sorted({os.path.dirname(path) for path in new}):  # noqa: PTH120 - paths are text here
            with suppress(FileNotFoundError):
                _sync_folder(Path(folder))
        self._synced = present
        return files

    def _present(self) -> dict[str, bool]:
        """Return every path below the folder, and whether it is a folder; as text, since a lake can have thousands."""
        present: dict[str, bool] = {}
        for folder, folders, files in os.walk(self._folder, onerror=_raise_unless_gone):
            present.update((os.path.join(folder, name), True) for name in folders)  # noqa: PTH118
            present.update((os.path.join(folder, name), False) for name in files)  # noqa: PTH118
        return present


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # of a folder that another process has just removed
        raise error


def sync_new_lake(root: Path) -> None:
    """Wait until the disk has the folder of a new lake, and the folders above it, some of which may be new as well."""
    for folder in (root, *root.absolute().parents):
        _sync_folder(folder)


def sync(path: Path) -> None:
    """Wait until the disk has the bytes of a file, or the names that a folder lists."""
    (_sync_folder if path.is_dir() else _sync_file)(path)


def _sync_file(file: Path) -> None:
    # Windows syncs a file only through a descriptor that can write.
    descriptor = os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has the names that a folder lists."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open a folder; NTFS keeps a journal of names
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
