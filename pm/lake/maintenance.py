"""Keep the lake small: report its size, merge small files, and forget old snapshots."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_now
from pm.lake.integrity import refuse_faults
from pm.tables.lake import FILE_CHECKSUMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pm.lake.lake import Lake
    from pm.tables.declaration import Table

__all__ = ["Compaction", "compact", "table_sizes"]

_MANY_ROWS = 1_000
"""Number of a table's rows in the catalog from which a compaction writes them to a file: below, a file is larger."""
_DELETED = 0.1
"""Share of deleted rows in a table's files from which a compaction writes the table anew: to delete further rows,
DuckLake reads and writes the positions of all deleted from their file before, which takes a second for a million."""
_INLINED = re.compile(r"ducklake_inlined_(data|delete)_\d+(_\d+)?")
"""Name of a table of the catalog in which DuckLake keeps a table's rows, or deletions of its rows."""

_DELETED_ROWS = """
SELECT f.table_id
FROM __ducklake_metadata_lake.ducklake_data_file AS f
LEFT JOIN __ducklake_metadata_lake.ducklake_delete_file AS d
    ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
WHERE f.end_snapshot IS NULL
GROUP BY f.table_id
HAVING sum(d.delete_count) >= ? * sum(f.record_count)
ORDER BY f.table_id
"""
"""Query for the tables of whose rows in files a share or more is deleted."""


@dataclass(frozen=True)
class Compaction:
    """What a compaction changed.

    Attributes
    ----------
    files_before, files_after
        Number of Parquet files in use: those that a snapshot reads.
    bytes_before, bytes_after
        Their size, in bytes.
    snapshots_forgotten
        Number of snapshots that can no longer be read.
    files_waiting, bytes_waiting
        Number and size of the files on the disk that are no longer in use, and are kept for readers that have them
        open.
    """

    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    snapshots_forgotten: int
    files_waiting: int
    bytes_waiting: int

    @property
    def has_changed(self) -> bool:
        """Whether files were merged or removed, or snapshots forgotten."""
        in_use = (self.files_before, self.bytes_before) != (self.files_after, self.bytes_after)
        return in_use or self.snapshots_forgotten > 0


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

    Every file is verified first, since what is merged from a damaged file would get a checksum of its own. Rows that
    are few enough to be stored in the catalog stay there: as files they would take more room. The last snapshot that
    changed each table is always kept, however old.

    Parameters
    ----------
    keep
        Snapshots to keep, however old: those that rows were computed from.
    grace
        Time for which files are kept after they became unneeded, because readers can still have them open.

    Raises
    ------
    LakeError
        A data file is damaged. Nothing was changed.

    Notes
    -----
    Call it only while nobody else writes to the lake: it would remove a file that is being written, to which nothing
    refers yet.
    """
    refuse_faults(lake.verify(lake.files()), lake.location)
    before = _in_use(lake)
    _clean_up(lake, grace)
    for schema, name in _many_inlined(lake):
        lake.maintain(f"CALL ducklake_flush_inlined_data('lake', schema_name => '{schema}', table_name => '{name}')")
    for table in _much_replaced(lake):
        lake.rewrite(table)
    lake.maintain("CALL ducklake_merge_adjacent_files('lake')")
    forgotten = _expire(lake, keep)
    _clean_up(lake, grace)
    horizon = f"TIMESTAMP '{utc_now() - grace:%Y-%m-%d %H:%M:%S.%f}'"
    lake.maintain(f"CALL ducklake_delete_orphaned_files('lake', older_than => {horizon})")
    lake.forget_checksums()
    after = _in_use(lake)
    waiting = [size for path, size in lake.stored_files().items() if path not in after]
    return Compaction(
        len(before), len(after), sum(before.values()), sum(after.values()), forgotten, len(waiting), sum(waiting)
    )


def _clean_up(lake: Lake, grace: timedelta) -> None:
    """Remove the files that have been out of use for longer than `grace`, unless some have not.

    DuckLake's own limit of age compares dates alone where the catalog is in SQLite: it would remove what became
    unneeded an hour or a second ago.
    """
    newest = lake.scalar(
        "SELECT max(schedule_start::TIMESTAMP) FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion"
    )
    if newest is None:
        return
    if newest <= utc_now() - grace:
        lake.maintain("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)")
    else:
        day_before = utc_now() - grace - timedelta(days=1)
        lake.maintain(f"CALL ducklake_cleanup_old_files('lake', older_than => TIMESTAMP '{day_before:%Y-%m-%d}')")


def _many_inlined(lake: Lake) -> list[tuple[str, str]]:
    """Return the schema and name of each table with so many rows or deletions in the catalog that a file is better."""
    names = {number: name for name, number in lake.table_ids().items() if name in lake.tables}
    rows: dict[str, int] = {}
    for stored in lake.catalog_tables():
        if _INLINED.fullmatch(stored) is None:
            continue
        kind, number = stored.removeprefix("ducklake_inlined_").split("_")[:2]
        name = names.get(int(number))
        if name is not None and name != FILE_CHECKSUMS.qualified:
            valid = "end_snapshot IS NULL" if kind == "data" else "true"
            count = f"SELECT count(*) FROM __ducklake_metadata_lake.{stored} WHERE {valid}"  # noqa: S608 - DuckLake's name
            rows[name] = rows.get(name, 0) + lake.scalar(count)
    many = [lake.tables[name] for name, count in sorted(rows.items()) if count >= _MANY_ROWS]
    return [(table.schema, table.name) for table in many]


def _much_replaced(lake: Lake) -> list[Table]:
    """Return the tables whose files have so many deleted rows that they are written anew."""
    names = {number: name for name, number in lake.table_ids().items() if name in lake.tables}
    found = lake.rows(_DELETED_ROWS, [_DELETED])
    return [lake.tables[names[row["table_id"]]] for row in found if row["table_id"] in names]


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


def _in_use(lake: Lake) -> dict[str, int]:
    """Return the sizes in bytes of the files that a snapshot reads, by their paths below the folder of the data."""
    return {file.path: file.bytes for file in lake.files()}
