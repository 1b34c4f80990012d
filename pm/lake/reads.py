"""Find out what a statement reads from its parsed form, without running it.

DuckDB's own `get_table_names` refuses a statement with parameters or with `AT (VERSION => n)`, and overlooks the
functions that read a table by its name. Here the statement is parsed to JSON and walked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pm.lake.binding import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import duckdb

__all__ = ["parsed", "resolved", "sources_of"]

_LAKE = "lake"
_READ_NOTHING = frozenset({"generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest"})
"""Table functions that compute their rows from their arguments alone."""

_READ_A_TABLE = {
    "table_changes": ("table",), "table_deletions": ("table",), "table_insertions": ("table",),
    "ducklake_table_changes": ("catalog", "schema", "table"),
    "ducklake_table_deletions": ("catalog", "schema", "table"),
    "ducklake_table_insertions": ("catalog", "schema", "table"),
    "query_table": ("table",),
}  # fmt: skip
"""Table functions that read the table named by their first arguments, and the meaning of these."""


def parsed(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    """Return DuckDB's syntax tree of a SELECT; in place of one, for any other text, `error` and `error_message`."""
    row = connection.execute(f"SELECT json_serialize_sql({literal(sql)})").fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True, "error_message": "nothing to parse"}
    return tree


def sources_of(connection: duckdb.DuckDBPyConnection, sql: str) -> set[str]:
    """Return the names of everything that a SELECT reads, as `Lake.tables_read_by` describes, but views unresolved.

    Raises
    ------
    ValueError
        The statement is not a SELECT.
    """
    tree = parsed(connection, sql)
    if tree.get("error"):
        raise ValueError(f"This is not a SELECT ({tree.get('error_message')}): {sql}")
    return set(_walk(tree["statements"], frozenset()))


def resolved(
    names: set[str],
    tables: Iterable[str],
    views: Callable[[], Mapping[str, str]],
    sources: Callable[[str], set[str]],
) -> tuple[set[str], set[str]]:
    """Return the tables and the views that a SELECT reads; what is read through a view is among them.

    Parameters
    ----------
    names
        What the SELECT names.
    tables
        Names of the lake's tables. What is neither a table nor a view stands among the tables by its own name.
    views
        Returns the SELECT of each view. It is called at most once, and only for a name that is no table's.
    sources
        Returns what a SELECT names.
    """
    declared = {name.lower(): name for name in tables}
    definitions: Mapping[str, str] | None = None
    found: set[str] = set()
    seen: set[str] = set()
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name.lower() in declared:
            found.add(declared[name.lower()])
            continue
        definitions = views() if definitions is None else definitions
        view = next((known for known in definitions if known.lower() == name.lower()), None)
        if view is None:
            found.add(name)
        elif view not in seen:
            seen.add(view)
            waiting += sources(definitions[view])
    return found, seen


def _walk(node: Any, common: frozenset[str]) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield what a part of the tree reads.

    Parameters
    ----------
    common
        Names of the common table expressions (WITH) that the part can refer to, in lower case.
    """
    if isinstance(node, list):
        for item in node:
            yield from _walk(item, common)
    if not isinstance(node, dict):
        return
    for entry in node.get("cte_map", {}).get("map", ()):
        name = entry["key"].lower()
        # Only a recursive expression refers to itself; in any other its own name is that of a table.
        recursive = entry["value"]["query"]["node"]["type"] == "RECURSIVE_CTE_NODE"
        yield from _walk(entry["value"], common | {name} if recursive else common)
        common |= {name}
    match node.get("type"):
        case "BASE_TABLE":
            yield from _table(node, common)
        case "TABLE_FUNCTION":
            yield from _function(node["function"])
        case "SHOW_REF" if not node.get("query"):
            yield "SHOW " + node["table_name"].strip('"').upper()
    for key, value in node.items():
        if key != "cte_map":
            yield from _walk(value, common)


def _table(node: dict[str, Any], common: frozenset[str]) -> Iterator[str]:
    catalog, schema, table = node["catalog_name"], node["schema_name"], node["table_name"]
    if catalog or schema or table.lower() not in common:
        yield _qualified(catalog, schema, table)


def _qualified(catalog: str, schema: str, table: str) -> str:
    """Return a table's name without the parts that it does not need: the catalog `lake` and the schema `main`."""
    if not catalog and schema.lower() == _LAKE:
        catalog, schema = schema, ""
    parts = [
        "" if catalog.lower() == _LAKE else catalog,
        "" if schema.lower() == "main" else schema,
        table,
    ]
    return ".".join(part for part in parts if part)


def _function(function: dict[str, Any]) -> Iterator[str]:
    name = function["function_name"].lower()
    meanings = _READ_A_TABLE.get(name, ())
    texts = [_constant_text(argument) for argument in function["children"][: len(meanings)]]
    if meanings and len(texts) == len(meanings) and all(texts):
        arguments = dict(zip(meanings, map(str, texts), strict=True))
        schema, _, table = arguments["table"].rpartition(".")
        yield _qualified(arguments.get("catalog", ""), arguments.get("schema", schema), table)
    elif name not in _READ_NOTHING:
        yield f"{name}()"


def _constant_text(argument: dict[str, Any]) -> str | None:
    value = argument.get("value")
    if argument.get("class") != "CONSTANT" or not isinstance(value, dict):
        return None
    text = value.get("value")
    return text if isinstance(text, str) else None
