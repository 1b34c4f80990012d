"""Robust estimates of scale."""

from __future__ import annotations

__all__ = ["MAD_TO_SIGMA"]

MAD_TO_SIGMA = 1.4826
"""Ratio of a normal distribution's standard deviation to its median absolute deviation."""
