"""Check the lake's size, its snapshots, and the space that is left on its disk."""

from __future__ import annotations

from pm.monitor.finding import Finding
from pm.plural import plural
from pm.tables.vocabulary import HealthStatus

__all__ = ["check_storage"]

_GIB = 1024**3
_SPARE = 1.0 * _GIB
"""Bytes of free disk below which a run can fail at any commit."""
_TIMES = 3.0
"""A compaction writes the files that it merges anew before it removes the old ones: so many times the lake's size."""
_SNAPSHOTS = 10_000
"""Number of snapshots from which opening the catalog takes noticeably longer."""


def check_storage(*, files: int, size: int, snapshots: int, free: int | None) -> Finding:
    """Check the storage of the lake.

    Parameters
    ----------
    files, size
        Number and bytes of the data files that the catalog names.
    snapshots
        Number of snapshots.
    free
        Bytes that are free on the lake's disk; None for an object store.
    """
    rule = (
        f"pm lake info, the disk: failing with less than {_SPARE / _GIB:g} GiB free; degraded with less than "
        f"{_TIMES:g} times the size of the lake free, or with more than {_SNAPSHOTS:,} snapshots."
    )
    values = {"bytes": float(size), "files": float(files), "snapshots": float(snapshots)}
    detail = f"{size / 1e6:,.1f} MB in {plural(files, 'file')}, {plural(snapshots, 'snapshot')}"
    if free is not None:
        values["free_bytes"] = float(free)
        detail += f"; {free / _GIB:,.1f} GiB free on the disk"
        if free < _SPARE:
            return Finding("lake", HealthStatus.FAILING, f"{detail}.", rule, "free some space", values)
        if free < _TIMES * size:
            return Finding("lake", HealthStatus.DEGRADED, f"{detail}.", rule, "free some space", values)
    if snapshots > _SNAPSHOTS:
        return Finding("lake", HealthStatus.DEGRADED, f"{detail}.", rule, "pm lake compact", values)
    return Finding("lake", HealthStatus.HEALTHY, f"{detail}.", rule, "", values)
