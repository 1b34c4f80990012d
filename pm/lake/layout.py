"""Name what is in a lake's folder."""

from __future__ import annotations

__all__ = ["CATALOG", "DATA"]

CATALOG = "catalog.sqlite"
"""File that holds DuckLake's catalog."""
DATA = "data"
"""Folder that holds the Parquet files."""
