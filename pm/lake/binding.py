"""Give values to the parameters of a statement without DuckDB's Python binding.

DuckDB's own binding imports pandas (0.3 s), which a run that finds nothing new need not wait for. A statement with
parameters is prepared and executed in SQL instead, its values written as literals.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

__all__ = ["execute", "literal", "quote"]


def quote(text: str) -> str:
    """Return the text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def literal(value: object) -> str:
    """Return the value as an SQL constant.

    Parameters
    ----------
    value
        None, a truth value, a number, a text, a date, a time without a zone, or a list of these.

    Raises
    ------
    TypeError
        A value of any other type.
    """
    match value:
        case None:
            text = "NULL"
        case bool():
            text = "TRUE" if value else "FALSE"
        case int():
            text = str(int(value))
        case float():
            text = f"'{float(value)!r}'::DOUBLE"
        case str():
            text = quote(value)
        case datetime():
            text = f"TIMESTAMP '{value.isoformat(sep=' ')}'"
        case date():
            text = f"DATE '{value.isoformat()}'"
        case list() | tuple():
            text = f"[{', '.join(literal(item) for item in value)}]"
        case _:
            raise TypeError(f"SQL has no constant for a {type(value).__name__}: {value!r}")
    return text


def execute(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()
) -> duckdb.DuckDBPyConnection:
    """Run a statement with values for its `?`, in order, and return the connection with its result."""
    if not parameters:
        return connection.execute(sql)
    connection.execute(f"PREPARE pm_statement AS {sql}")
    return connection.execute(f"EXECUTE pm_statement({', '.join(literal(value) for value in parameters)})")
