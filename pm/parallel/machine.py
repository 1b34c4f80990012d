"""What this machine offers: the number of cores."""

from __future__ import annotations

__all__ = ["cores"]


def cores() -> int:
    """Return the number of cores that this process may use."""
    from joblib import cpu_count  # joblib takes 0.1 s to import

    return int(cpu_count())
