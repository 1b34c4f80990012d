"""The quantiles that every stored distribution is known by, and the names of their columns."""

from __future__ import annotations

__all__ = ["QUANTILES", "quantile_column"]

QUANTILES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
"""Levels of every stored distribution."""


def quantile_column(prefix: str, level: float) -> str:
    """Name the column of a quantile: `quantile_column("q", 0.05)` is 'q05', and that of 0.025 is 'q025'."""
    digits = f"{level:.3f}".removeprefix("0.")
    return prefix + digits[:2] + digits[2:].rstrip("0")
