"""Declare the tables that the lake fills itself: a description of its tables and views, and checksums of its files."""

from __future__ import annotations

from pm.tables.declaration import INTEGER, TEXT, Column, Table

__all__ = ["DICTIONARY", "FILE_CHECKSUMS"]

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

FILE_CHECKSUMS = Table(
    "main",
    "file_checksums",
    "Checksum of every data file, recorded at the commit that wrote it. `pm lake verify` and each run compare the "
    "files with it. Its rows are kept in the catalog.",
    ("path", "checksum"),
    (
        Column("path", TEXT, "Path of the file below lake/data, with '/' between folders."),
        Column("bytes", INTEGER, "Size of the file, in bytes."),
        Column("checksum", TEXT, "SHA-256 hash of the file's bytes, in hexadecimal digits."),
    ),
)
