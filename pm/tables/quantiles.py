"""List the quantiles that are stored of every distribution, and name their columns."""

from __future__ import annotations

__all__ = ["QUANTILES", "quantile_column"]

QUANTILES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
"""Levels of the quantiles that are stored of every distribution."""


def quantile_column(prefix: str, level: float) -> str:
    """Return the name of a quantile's column: 'q05' for prefix 'q' and level 0.05, 'q025' for level 0.025."""
    digits = f"{level:.3f}".removeprefix("0.")
    return prefix + digits[:2] + digits[2:].rstrip("0")
