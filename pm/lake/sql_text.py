"""Write values as SQL does."""

from __future__ import annotations

import duckdb
import polars as pl

from pm.errors import QueryError
from pm.lake.binding import identifier

__all__ = ["sql_text"]


def sql_text(column: pl.Series) -> pl.Series:
    """Return the values of a column as the texts that a cast to VARCHAR in SQL gives, such as infinity for a date.

    Raises
    ------
    QueryError
        SQL has no such value, as there are among integers of 39 digits inside lists.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", column.alias("value").to_frame().to_arrow())
        try:
            texts = connection.execute("SELECT CAST(value AS VARCHAR) FROM rows").fetchall()
        except duckdb.Error as error:
            raise QueryError(
                f"A value cannot be written: {error}",
                where=f"column {column.name!r}",
                hint=f"cast it in the query: CAST({identifier(column.name)} AS VARCHAR)",
            ) from error
    return pl.Series(column.name, [text for (text,) in texts], pl.String)
