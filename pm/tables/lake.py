"""Declare the table in which the lake describes its tables and views."""

from __future__ import annotations

from pm.tables.declaration import INTEGER, TEXT, Column, Table

__all__ = ["DICTIONARY"]

DICTIONARY = Table(
    "main",
    "dictionary",
    "Description of every column of every table and view. DuckLake has no comments on the columns of a view.",
    ("table_name", "column_name"),
    (
        Column("table_name", TEXT, "Table or view, with its schema unless that is main."),
        Column("kind", TEXT, "'table' or 'view'."),
        Column("position", INTEGER, "Position of the column in the table or view, from 1."),
        Column("column_name", TEXT, "Name of the column."),
        Column("type", TEXT, "SQL type of the column."),
        Column("comment", TEXT, "Description of the column."),
    ),
)
