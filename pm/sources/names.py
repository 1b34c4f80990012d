"""Names of the sources that are always there."""

from __future__ import annotations

__all__ = ["FILES", "SAMPLE"]

FILES = "files"
"""Files that were imported."""

SAMPLE = "sample"
"""The embedded sample of real stocks."""
