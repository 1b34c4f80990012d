"""Tables and views in the memory of DuckDB, for tests that try the views on many small lakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from pm.lake.schema import read_views
from pm.resources import sql_dir
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pm.tables.declaration import Table


class Memory:
    """All tables, empty, and all views, in memory."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("CREATE SCHEMA raw")
        for table in TABLES.values():
            columns = ", ".join(f'"{column.name}" {column.sql_type}' for column in table.columns)
            self.connection.execute(f"CREATE TABLE {table.qualified} ({columns})")
        for view in read_views([sql_dir()]):
            self.connection.execute(f'CREATE VIEW "{view.name}" AS {view.select}')

    def put(self, table: Table, rows: pl.DataFrame | Iterable[Mapping[str, Any]]) -> None:
        """Add rows; columns that they lack are null."""
        schema = table.polars_schema
        given = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(list(rows), infer_schema_length=None)
        if given.is_empty():
            return
        whole = given.select(
            (pl.col(name) if name in given.columns else pl.lit(None).alias(name)).cast(dtype)
            for name, dtype in schema.items()
        )
        self.connection.register("given", whole.to_arrow())
        self.connection.execute(f"INSERT INTO {table.qualified} SELECT * FROM given")
        self.connection.unregister("given")

    def empty(self, *tables: Table) -> None:
        """Delete the rows of tables."""
        for table in tables:
            self.connection.execute(f"DELETE FROM {table.qualified}")

    def query(self, sql: str) -> pl.DataFrame:
        """Return the result of a query."""
        return self.connection.sql(sql).pl()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the result of a query as dictionaries."""
        return self.query(sql).to_dicts()
