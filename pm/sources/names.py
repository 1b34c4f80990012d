"""Names of the sources that are always there."""

from __future__ import annotations

__all__ = ["FILES", "SAMPLE", "USER"]

FILES = "files"
"""Files that were imported."""

SAMPLE = "sample"
"""The embedded sample of real stocks."""

USER = "user"
"""Dividends and splits that the user told."""
