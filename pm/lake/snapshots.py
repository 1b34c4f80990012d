"""The snapshots of a lake: the newest one, the one of a time, and the last that changed the rows of each table."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pm.errors import LakeError
from pm.lake.binding import execute
from pm.tables.lake import FILE_CHECKSUMS

if TYPE_CHECKING:
    import duckdb
    import polars as pl

__all__ = ["MAINTENANCE", "at", "last_changes", "listed", "newest", "table_ids"]

MAINTENANCE = '{"maintenance": true}'
"""Mark of the commits of maintenance, which move rows between files: DuckLake lists some of them as deletions."""

_ROW_CHANGES = ("tables_inserted_into", "tables_deleted_from", "inlined_insert", "inlined_delete")
"""Names of the changes of rows in DuckLake's list of changes; all other changes are of comments, views and types."""

_TABLES_LISTED = 6
"""Largest number of tables that the list of snapshots names for one change; of more it shows their number."""


def newest(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the newest snapshot."""
    return int(_scalar(connection, "SELECT id FROM lake.current_snapshot()"))


def at(connection: duckdb.DuckDBPyConnection, moment: int | date | datetime, where: str) -> int:
    """Return the snapshot that was the newest at a time, as `Lake.snapshot_at` describes.

    Parameters
    ----------
    where
        Place of the lake, for the message of an error.
    """
    if isinstance(moment, int):
        found = _scalar(connection, "SELECT snapshot_id FROM lake.snapshots() WHERE snapshot_id = ?", moment)
    else:
        end = (
            moment
            if isinstance(moment, datetime)
            else datetime.combine(moment + timedelta(days=1), datetime.min.time())
        )
        found = _scalar(
            connection, "SELECT max(snapshot_id) FROM lake.snapshots() WHERE snapshot_time::TIMESTAMP < ?", end
        )
    if found is None:
        first = _scalar(connection, "SELECT min(snapshot_time)::TIMESTAMP FROM lake.snapshots()")
        raise LakeError(
            f"There is no snapshot {moment}." if isinstance(moment, int) else f"There was no lake on {moment}.",
            where=where,
            hint=f"the oldest is of {first:%Y-%m-%d %H:%M} UTC; list the snapshots with `pm lake snapshots`",
        )
    return int(found)


def listed(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Return every snapshot kept: snapshot_id, snapshot_time (UTC), author, message, and changes by table."""
    import polars as pl

    frame: pl.DataFrame = connection.execute(
        "SELECT snapshot_id, snapshot_time::TIMESTAMP AS snapshot_time, author, commit_message AS message, "
        "changes::VARCHAR AS changes FROM lake.snapshots() ORDER BY snapshot_id"
    ).pl()
    names = {str(number): name for name, number in table_ids(connection).items()}
    return frame.with_columns(pl.col("changes").map_elements(lambda text: _named(text, names), return_dtype=pl.String))


def last_changes(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return, for each table, the snapshot that last changed its rows; 0 for a table that never had any."""
    last: dict[str, int] = {}
    for snapshot, changes, extra in connection.execute(
        "SELECT snapshot_id, changes, commit_extra_info FROM lake.snapshots() ORDER BY snapshot_id"
    ).fetchall():
        for kind in _ROW_CHANGES if extra != MAINTENANCE else ():
            last.update(dict.fromkeys(changes.get(kind, ()), int(snapshot)))
    return {name: last.get(str(number), 0) for name, number in table_ids(connection).items()}


def table_ids(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the number by which the catalog knows each table."""
    rows = connection.execute(
        "SELECT s.schema_name, t.table_name, t.table_id FROM __ducklake_metadata_lake.ducklake_table t "
        "JOIN __ducklake_metadata_lake.ducklake_schema s USING (schema_id) "
        "WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL"
    ).fetchall()
    return {name if schema == "main" else f"{schema}.{name}": int(number) for schema, name, number in rows}


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str, *parameters: object) -> Any:  # noqa: ANN401 - any SQL value
    row = execute(connection, sql, parameters).fetchone()
    return row[0] if row else None


def _named(changes: str, names: dict[str, str]) -> str:
    """Replace the numbers of tables in DuckLake's list of changes by their names."""
    parts = []
    for part in changes.strip("{}").split("], "):
        kind, _, items = part.partition("=")
        listed = [names.get(item.strip(), item.strip()) for item in items.strip("[]").split(",") if item.strip()]
        if set(listed) == {FILE_CHECKSUMS.qualified}:  # nearly every commit adds to it
            continue
        listed = [name for name in listed if name != FILE_CHECKSUMS.qualified]
        shown = ", ".join(listed) if len(listed) <= _TABLES_LISTED else f"{len(listed)}"
        parts.append(f"{kind.replace('_', ' ')}: {shown}")
    return "; ".join(parts)
