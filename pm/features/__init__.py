"""Compute features of a ticker on a date from its adjusted bars up to that date."""

from pm.features.table import compute_features

__all__ = ["compute_features"]
