"""Bind values to the parameters of a statement without DuckDB's Python binding.

DuckDB's own binding imports pandas, which takes 0.3 s: longer than the rest of a run that finds nothing new. Here the
values are written into the statement as SQL constants. To prepare it first would let DuckDB plan it twice.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["execute", "identifier", "literal", "quote"]

_PARAMETER = re.compile(rb"\?|\$(\d+)")
_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**127), 2**128 - 1
"""Bounds of DuckDB's widest integer types, HUGEINT and UHUGEINT."""


def quote(text: str) -> str:
    """Return the text as an SQL string.

    Raises
    ------
    ValueError
        The text holds a NUL character, at which DuckDB's parser would end the string.
    """
    if "\0" in text:
        raise ValueError(f"An SQL string cannot hold a NUL character: {text!r}")
    return "'" + text.replace("'", "''") + "'"


def identifier(*parts: str) -> str:
    """Return a name as SQL writes it, each part quoted: `identifier("raw", "rows")` is '"raw"."rows"'."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def literal(value: object) -> str:
    """Return the value as an SQL constant.

    Parameters
    ----------
    value
        None, a truth value, a number, a text, a date, a time or datetime without a zone, or a list of these.

    Raises
    ------
    TypeError
        The value has another type, or a time zone.
    OverflowError
        An integer has more than 128 bits.
    """
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, str):
        parts = [quote(part) for part in value.split("\0")]
        return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"
    if isinstance(value, (date, time)):
        return _time_literal(value)
    return _number_literal(value)


def _time_literal(value: date | time) -> str:
    if isinstance(value, (datetime, time)) and value.tzinfo is not None:
        raise TypeError(f"The lake stores times in UTC without a zone; this one has a zone: {value!r}")
    kind = "TIMESTAMP" if isinstance(value, datetime) else "DATE" if isinstance(value, date) else "TIME"
    return f"{kind} '{value.isoformat().replace('T', ' ')}'"


def _number_literal(value: object) -> str:
    match value:
        case None:
            text = "NULL"
        case bool():
            text = "TRUE" if value else "FALSE"
        case int():
            if not _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
                raise OverflowError(f"SQL has no integer of more than 128 bits: {value}")
            text = str(int(value))
        case float():
            text = f"'{float(value)!r}'::DOUBLE"
        case _:
            raise TypeError(f"SQL has no constant for a {type(value).__name__}: {value!r}")
    return text


def execute(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()
) -> duckdb.DuckDBPyConnection:
    """Run a statement and return the connection, from which its result can be fetched.

    Parameters
    ----------
    sql
        One statement; each `?` in it, outside of strings and comments, stands for the next value, or each `$2` for the
        second.
    parameters
        The values, in order.
    """
    return connection.execute(_bound(sql, parameters) if parameters else sql)


def _bound(sql: str, parameters: Sequence[object]) -> str:
    """Return a statement with SQL constants in the places of its parameters; one without a value stays."""
    text = sql.encode()
    constants = [_constant(value) for value in parameters]
    parts = []
    start = count = 0
    for at, kind in duckdb.tokenize(sql):  # tokens begin at a byte, not at a character
        found = _PARAMETER.match(text, at) if kind == duckdb.token_type.operator else None
        if found is None:
            continue
        place = int(found[1]) if found[1] else count + 1
        count = max(count, place)
        if place <= len(constants):
            parts += [text[start:at], constants[place - 1]]
            start = found.end()
    if count < len(constants):
        raise duckdb.InvalidInputException(f"There are {len(constants)} values for {count} parameters.")
    return b"".join([*parts, text[start:]]).decode()


def _constant(value: object) -> bytes:
    text = literal(value)
    return f"({text})".encode() if text.startswith("-") else text.encode()
