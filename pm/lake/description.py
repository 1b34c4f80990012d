"""List the tables and views of a lake, and the columns of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from pm.lake.lake import Lake

__all__ = ["columns_of", "tables_and_views"]


def tables_and_views(lake: Lake) -> pl.DataFrame:
    """Return every table and view, a workspace's own views included: name, kind ('table' or 'view'), comment."""
    return lake.query(
        "SELECT CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '.' END || table_name AS name, "
        "'table' AS kind, comment FROM duckdb_tables() WHERE database_name = 'lake' UNION ALL "
        "SELECT view_name, 'view', comment FROM duckdb_views() WHERE database_name = 'lake' AND NOT internal "
        "ORDER BY kind, name"
    )


def columns_of(lake: Lake, name: str) -> pl.DataFrame:
    """Return the columns of a table or view in their order: column, type, comment."""
    shown = ("column_name", "type", "comment")
    columns = lake.select("dictionary", columns=shown, order=("position",), table_name=name)
    return columns.rename({"column_name": "column"})
