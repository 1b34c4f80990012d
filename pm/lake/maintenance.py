"""Keep the lake small: report its size, merge small files, and forget old snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from pm.lake.lake import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pm.lake.lake import Lake

__all__ = ["Compaction", "compact", "table_sizes"]


@dataclass(frozen=True)
class Compaction:
    """What a compaction changed.

    Attributes
    ----------
    files_before, files_after
        Number of Parquet files.
    bytes_before, bytes_after
        Their size, in bytes.
    snapshots_forgotten
        Number of snapshots that can no longer be read.
    """

    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    snapshots_forgotten: int


def table_sizes(lake: Lake) -> pl.DataFrame:
    """Return one row a table: name, number of rows, number of Parquet files, their bytes, and comment."""
    names = {number: name for name, number in lake.table_ids().items()}
    files = {
        names[row["table_id"]]: row
        for row in lake.query("FROM ducklake_table_info('lake')").iter_rows(named=True)
        if row["table_id"] in names
    }
    counts = lake.query(
        " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS rows FROM {name}" for name in lake.tables)  # noqa: S608 - declared names
    )
    rows = dict(counts.iter_rows())
    return pl.DataFrame(
        {
            "name": list(lake.tables),
            "rows": [rows[name] for name in lake.tables],
            "files": [files[name]["file_count"] for name in lake.tables],
            "bytes": [files[name]["file_size_bytes"] + files[name]["delete_file_size_bytes"] for name in lake.tables],
            "comment": [item.comment for item in lake.tables.values()],
        }
    )


def compact(lake: Lake, *, keep: Iterable[int], grace: timedelta = timedelta(hours=1)) -> Compaction:
    """Merge small files, drop deleted rows, forget old snapshots, and remove files nothing refers to.

    The last snapshot that changed each table is always kept, however old.

    Parameters
    ----------
    keep
        Snapshots to keep, however old: those that rows were computed from.
    grace
        Time for which files are kept after they became unneeded, because readers can still have them open.

    Notes
    -----
    Call it only while nobody else writes to the lake: it would remove a file that is being written, to which nothing
    refers yet.
    """
    before = _files(lake)
    lake.maintain("CALL ducklake_flush_inlined_data('lake')")
    lake.maintain("CALL ducklake_merge_adjacent_files('lake')")
    lake.maintain("CALL ducklake_rewrite_data_files('lake')")
    forgotten = _expire(lake, keep)
    horizon = f"older_than => TIMESTAMP '{utc_now() - grace:%Y-%m-%d %H:%M:%S.%f}'"
    lake.maintain(f"CALL ducklake_cleanup_old_files('lake', {horizon})")
    lake.maintain(f"CALL ducklake_delete_orphaned_files('lake', {horizon})")
    after = _files(lake)
    return Compaction(before[0], after[0], before[1], after[1], forgotten)


def _expire(lake: Lake, keep: Iterable[int]) -> int:
    oldest = utc_now() - timedelta(days=lake.settings.expire_after_days)
    kept = {lake.snapshot, *lake.versions(lake.tables).values(), *keep}
    old = lake.query(
        "SELECT snapshot_id FROM lake.snapshots() WHERE snapshot_time::TIMESTAMP < ? ORDER BY snapshot_id", [oldest]
    )["snapshot_id"]
    versions = [number for number in old if number not in kept]
    if versions:
        lake.maintain(f"CALL ducklake_expire_snapshots('lake', versions => {versions})")
    return len(versions)


def _files(lake: Lake) -> tuple[int, int]:
    """Return the number of Parquet files on disk, and their bytes."""
    files = list(lake.root.rglob("*.parquet"))
    return len(files), sum(file.stat().st_size for file in files)
