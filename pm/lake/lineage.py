"""Find the descriptions of a SELECT's columns: those of the columns of tables and views that it returns unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pm.lake.reads import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

__all__ = ["described_columns"]

Columns = dict[str, str | None]
"""Column in lower case → its description; None for a column that is computed, or that has several."""
Relations = dict[str, Columns]
"""Tables, views and common table expressions by name, in lower case."""
Scope = list[tuple[str, Columns]]
"""What FROM makes available: the name and the columns of each relation, in order."""


def described_columns(
    connection: duckdb.DuckDBPyConnection, sql: str, known: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Return the descriptions that the columns of a SELECT have from the tables and views that it reads.

    A column that is returned unchanged, renamed or not, has the description of its origin. A computed column has none;
    nor has one of a UNION whose parts have different descriptions.

    Parameters
    ----------
    sql
        A SELECT; any other text has no columns.
    known
        Table or view, as SQL writes it → column → description.

    Returns
    -------
    Column in lower case → description, for the columns that have one.
    """
    tree = parsed(connection, sql)
    if tree.get("error"):
        return {}
    relations: Relations = {
        name.lower(): {column.lower(): text for column, text in columns.items()} for name, columns in known.items()
    }
    found = _of_node(tree["statements"][0]["node"], relations)
    return {column: text for column, text in found.items() if text}


def _of_node(node: dict[str, Any], relations: Relations) -> Columns:
    """Return the columns of a SELECT, or of an operation on several."""
    for entry in node.get("cte_map", {}).get("map", ()):
        columns = _of_node(entry["value"]["query"]["node"], relations)
        relations = {**relations, entry["key"].lower(): _renamed(columns, entry["value"].get("aliases"))}
    match node["type"]:
        case "SELECT_NODE":
            scope = _scope(node["from_table"], relations)
            items = enumerate(node["select_list"])
            return dict(column for place, item in items for column in _of_item(item, place, scope))
        case "SET_OPERATION_NODE" | "RECURSIVE_CTE_NODE":
            first, *others = (
                _of_node(part, relations) for part in node.get("children") or (node["left"], node["right"])
            )
            rows = zip(first, *(part.values() for part in [first, *others]), strict=False)
            return {name: texts[0] if len(set(texts)) == 1 else None for name, *texts in rows}
    return {}


def _of_item(item: dict[str, Any], place: int, scope: Scope) -> Iterator[tuple[str, str | None]]:
    """Yield the columns that an item of a SELECT's list stands for."""
    match item["type"]:
        case "COLUMN_REF":
            yield (item["alias"] or item["column_names"][-1]).lower(), _looked_up(item["column_names"], scope)
        case "STAR" if not item.get("columns"):
            left_out = {_name(name) for name in item["exclude_list"]}
            replaced = {entry["key"].lower() for entry in item["replace_list"]}
            renamed = {_name(entry["key"]): entry["value"].lower() for entry in item["rename_list"]}
            seen = set(left_out)
            for alias, columns in scope:
                if item["relation_name"].lower() in {"", alias}:
                    for name in (name for name in columns if name not in seen):
                        yield renamed.get(name, name), None if name in replaced else columns[name]
                    seen |= columns.keys()  # of a column in two relations, the first is that of USING
        case _:
            yield item["alias"].lower() or f"({place})", None  # a name of its own keeps the place of those after it


def _name(key: str | dict[str, Any]) -> str:
    return (key if isinstance(key, str) else key["column"]).lower()


def _looked_up(parts: list[str], scope: Scope) -> str | None:
    """Return the description of the column that a name, such as `t.close` or `close`, refers to."""
    *relation, column = (part.lower() for part in parts)
    for alias, columns in scope:
        if column in columns and (not relation or relation[-1] == alias):
            return columns[column]
    return None


def _scope(table: dict[str, Any], relations: Relations) -> Scope:
    """Return what a FROM makes available."""
    match table["type"]:
        case "BASE_TABLE":
            name = table["table_name"].lower()
            schema = table["schema_name"].lower()
            columns = relations.get(name if schema in {"", "main", "lake"} else f"{schema}.{name}", {})
        case "SUBQUERY":
            name, columns = "", _of_node(table["subquery"]["node"], relations)
        case "JOIN":
            left = _scope(table["left"], relations)
            return left if table["join_type"] in {"SEMI", "ANTI"} else left + _scope(table["right"], relations)
        case _:
            name, columns = "", {}
    return [((table["alias"] or name).lower(), _renamed(columns, table.get("column_name_alias")))]


def _renamed(columns: Columns, names: list[str] | None) -> Columns:
    """Return columns of which the first have other names, as in `FROM t AS u (a, b)`."""
    new = [name.lower() for name in names or ()]
    return dict(zip([*new, *list(columns)[len(new) :]], columns.values(), strict=False))
