"""Explain to the user why rows on their way to the lake cannot be written to disk."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["writing_rows"]


@contextmanager
def writing_rows(path: Path) -> Iterator[None]:
    """Turn the system's errors about a file of rows on their way to the lake into a StorageError.

    Raises
    ------
    StorageError
        The file or its folder cannot be written, or the disk is full.
    """
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        reason = getattr(error, "strerror", None) or str(error).rpartition("error: ")[2]  # polars hands on the system's
        raise StorageError(
            f"Rows for the lake cannot be written to disk: {reason.strip().rstrip('.')}.",
            where=str(path),
            hint="free some space, then run this again; the lake is as it was",
        ) from error
