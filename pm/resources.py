"""Find the views and the default settings that are part of the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["config_dir", "sql_dir"]

_PACKAGE = Path(__file__).resolve().parent


def _locate(name: str) -> Path:
    """Return a folder inside the installed package, or beside the package in a checkout."""
    installed = _PACKAGE / "_resources" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def sql_dir() -> Path:
    """Return the folder of the views, one per file."""
    return _locate("sql")


def config_dir() -> Path:
    """Return the folder of the default settings, one file per section."""
    return _locate("config")
