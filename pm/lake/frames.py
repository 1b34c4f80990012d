"""Let SQL name frames like tables.

A frame is handed to DuckDB as a Parquet file. For a frame that is registered DuckDB imports pandas and pyarrow's
datasets, which takes 0.25 s, longer than most statements.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import duckdb

from pm.disk import writing_rows
from pm.lake.binding import identifier, quote
from pm.lake.spill import spill_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import polars as pl

__all__ = ["named_frames"]


@contextmanager
def named_frames(
    connection: duckdb.DuckDBPyConnection, root: Path, frames: Mapping[str, pl.DataFrame]
) -> Iterator[None]:
    """Let SQL name frames like tables inside a `with` block.

    Parameters
    ----------
    root
        The lake's folder, which holds the files meanwhile.
    frames
        Name in SQL, to the frame.

    Raises
    ------
    StorageError
        A file cannot be written.
    """
    if not frames:
        yield
        return
    folder = spill_folder(root)
    try:
        for name, frame in frames.items():
            file = folder / f"{name}.parquet"
            with writing_rows(file):
                folder.mkdir(exist_ok=True)
                frame.write_parquet(file, compression="uncompressed")
            connection.execute(
                f"CREATE OR REPLACE TEMP VIEW {identifier(name)} AS FROM read_parquet({quote(str(file))})"
            )
        yield
    finally:
        for name in frames:
            with suppress(duckdb.Error):  # in a transaction that failed, which takes the views with it
                connection.execute(f"DROP VIEW IF EXISTS temp.{identifier(name)}")
        shutil.rmtree(folder, ignore_errors=True)
