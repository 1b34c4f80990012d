"""Find the views and default settings that travel with the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["config_dir", "sql_dir"]

_PACKAGE = Path(__file__).resolve().parent


def _locate(name: str) -> Path:
    installed = _PACKAGE / "_resources" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def sql_dir() -> Path:
    """Folder of the views, one a file: in the wheel, or beside the package in a checkout."""
    return _locate("sql")


def config_dir() -> Path:
    """Folder of the default settings, one file a section."""
    return _locate("config")
