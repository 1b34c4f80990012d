"""The lake's own description of its tables and views."""

from __future__ import annotations

from pm.tables.declaration import INTEGER, TEXT, Column, Table

__all__ = ["DICTIONARY"]

DICTIONARY = Table(
    "main",
    "dictionary",
    "What every column of every table and view means. DuckLake has no comments on a view's columns; this has.",
    ("table_name", "column_name"),
    (
        Column("table_name", TEXT, "Table or view, with its schema unless that is main."),
        Column("kind", TEXT, "'table' or 'view'."),
        Column("position", INTEGER, "The column's place, from 1."),
        Column("column_name", TEXT, "Column."),
        Column("type", TEXT, "SQL type."),
        Column("comment", TEXT, "Meaning."),
    ),
)
