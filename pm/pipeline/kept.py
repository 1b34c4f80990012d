"""Keep what a long stage has computed in files, so that it continues after an interruption instead of starting anew."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.workspace import Workspace

__all__ = ["KeptPieces", "discard_kept"]

_COMPLETE = "complete"
"""Name of the file that says that the stage has been computed to its end."""
_MAX_AGE = 30 * 86_400
"""Seconds after which pieces are deleted that no command has asked for."""


class KeptPieces:
    """The pieces of one result, each of them some frames by name.

    A piece is there as a whole or not at all, also after the process was killed.

    Parameters
    ----------
    workspace
        Workspace in which the pieces are kept.
    key
        Hash of everything that the result depends on: pieces are found again under the same key only.
    """

    def __init__(self, workspace: Workspace, key: str) -> None:
        self._folder = workspace.kept / key

    def save(self, name: str, frames: Mapping[str, pl.DataFrame]) -> None:
        """Keep a piece.

        Raises
        ------
        StorageError
            The folder cannot be written, or the disk is full.
        """
        draft, target = self._folder / f"{name}.part", self._folder / name
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            for table, frame in frames.items():
                frame.write_parquet(draft / f"{table}.parquet")
            draft.rename(target)
        except (OSError, pl.exceptions.ComputeError) as error:
            raise StorageError(
                f"What was computed cannot be kept on disk: {getattr(error, 'strerror', None) or error}.",
                where=str(target),
                hint="free some space, then give the same command again; the lake is as it was",
            ) from error

    def load(self, name: str) -> dict[str, pl.DataFrame] | None:
        """Return a piece, or None if it was not kept or its files are damaged."""
        folder = self._folder / name
        try:
            files = sorted(folder.glob("*.parquet"))
            frames = {file.name.removesuffix(".parquet"): pl.read_parquet(file, memory_map=False) for file in files}
        except (OSError, pl.exceptions.PolarsError):
            frames = {}
        if not frames:
            shutil.rmtree(folder, ignore_errors=True)
        return frames or None

    def finish(self) -> None:
        """Note that all pieces are there, so that `discard_kept` deletes them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / _COMPLETE).touch()


def discard_kept(workspace: Workspace) -> None:
    """Delete the pieces of finished results, to be called once these are in the lake, and those older than 30 days."""
    for folder in workspace.kept.glob("*"):
        with suppress(OSError):
            if (folder / _COMPLETE).exists() or time.time() - folder.stat().st_mtime > _MAX_AGE:
                shutil.rmtree(folder, ignore_errors=True)
