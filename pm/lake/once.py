"""Compute the rows of views once for several queries that read them.

DuckDB computes a view anew in each query. Here its rows are put into a temporary table, and in the queries a common
table expression of the view's name stands before the view. Views that read it are written out as such expressions too,
since a view that stays one would read the view of the lake.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pm.lake.binding import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import duckdb

__all__ = ["computed_once"]


@contextmanager
def computed_once(
    connection: duckdb.DuckDBPyConnection,
    views: Mapping[str, str],
    definitions: Mapping[str, str],
    sources: Callable[[str], set[str]],
) -> Iterator[Callable[[str], str]]:
    """Compute rows of views, and give a function that rewrites a query to read them in place of the views.

    Parameters
    ----------
    views
        View, to the SELECT of those of its rows and columns that the queries read; it can read the views before it.
    definitions
        The SELECT of each view of the lake.
    sources
        Returns what a SELECT names.
    """
    tables: dict[str, str] = {}
    try:
        for view, select in views.items():
            table = identifier(f"once {view}")
            connection.execute(f"CREATE TEMP TABLE {table} AS {_rewritten(select, tables, definitions, sources)}")
            tables[view] = f"FROM temp.{table}"
        yield lambda query: _rewritten(query, tables, definitions, sources)
    finally:
        for view in tables:
            connection.execute(f"DROP TABLE IF EXISTS temp.{identifier(f'once {view}')}")


def _rewritten(
    query: str, tables: Mapping[str, str], definitions: Mapping[str, str], sources: Callable[[str], set[str]]
) -> str:
    """Return a query that reads tables in place of views.

    Parameters
    ----------
    tables
        View, to the SELECT of the table that is read in its place.
    """
    expressions: dict[str, str] = {}
    known: dict[str, bool] = dict.fromkeys(tables, True)

    def reads_a_table(select: str) -> bool:
        """Return whether a SELECT reads one of the tables, and note the views through which it does."""
        found = [concerns(name) for name in sorted(sources(select))]
        return any(found)

    def concerns(name: str) -> bool:
        if name not in known:
            known[name] = name in definitions and reads_a_table(definitions[name])
            if known[name]:
                expressions[name] = definitions[name]
        return known[name]

    if not reads_a_table(query):
        return query
    written = ", ".join(
        f"{identifier(name)} AS NOT MATERIALIZED ({select})" for name, select in {**tables, **expressions}.items()
    )
    return f"WITH {written} FROM ({query})"
